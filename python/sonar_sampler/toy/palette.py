"""Colours of the landscapes: light (time of day, weather) x season x mist x arrangement of the sky."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .scene import Colours

RGB = tuple[float, float, float]
SUNS = 3  # places of the sun, numbered from the left
SKIES = 3  # cloud and star patterns


@dataclass(frozen=True)
class Light:
    """What the sky looks like and what its light does to the ground."""

    zenith: RGB
    horizon: RGB
    sun: RGB  # the disc of sun or moon
    glow: RGB  # added around it
    cloud: RGB
    ground: RGB  # what a white thing on the ground looks like
    clouds: float = 0.5
    disc: float = 1.0
    stars: float = 0.0
    aurora: float = 0.0
    lamps: float = 0.0


LIGHTS = {
    "day": Light(
        (0.16, 0.45, 0.80),
        (0.74, 0.88, 0.95),
        (1.0, 0.99, 0.90),
        (0.34, 0.28, 0.12),
        (0.99, 0.99, 1.0),
        (1.0, 0.99, 0.94),
        0.75,
    ),
    "dawn": Light(
        (0.33, 0.42, 0.70),
        (0.99, 0.78, 0.70),
        (1.0, 0.95, 0.82),
        (0.42, 0.22, 0.08),
        (1.0, 0.80, 0.80),
        (0.92, 0.76, 0.78),
        0.6,
    ),
    "sunset": Light(
        (0.22, 0.15, 0.42),
        (0.99, 0.50, 0.20),
        (1.0, 0.90, 0.55),
        (0.50, 0.26, 0.02),
        (0.92, 0.36, 0.34),
        (0.80, 0.46, 0.38),
        0.7,
    ),
    "night": Light(
        (0.02, 0.04, 0.14),
        (0.10, 0.18, 0.38),
        (0.97, 0.96, 0.88),
        (0.20, 0.23, 0.28),
        (0.16, 0.21, 0.36),
        (0.22, 0.27, 0.45),
        0.4,
        stars=0.9,
        lamps=1.0,
    ),
    "aurora": Light(
        (0.02, 0.04, 0.13),
        (0.05, 0.20, 0.26),
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.05, 0.20, 0.26),
        (0.17, 0.33, 0.38),
        0.0,
        0.0,
        stars=0.7,
        aurora=1.0,
        lamps=0.8,
    ),
    "storm": Light(
        (0.17, 0.20, 0.26),
        (0.62, 0.66, 0.66),
        (0.9, 0.9, 0.85),
        (0.10, 0.10, 0.07),
        (0.30, 0.33, 0.38),
        (0.50, 0.54, 0.58),
        1.2,
        0.0,
        lamps=0.3,
    ),
}
SEASONS = ("summer", "autumn", "winter")


@dataclass(frozen=True)
class Looks:
    """All modes of a landscape at once: arrays with one row per mode; colours are (modes, 3), amounts (modes, 1)."""

    words: tuple[frozenset[str], ...]
    zenith: Colours
    horizon: Colours
    sun_colour: Colours
    glow: Colours
    cloud: Colours
    ground: Colours
    clouds: Colours
    disc: Colours
    stars: Colours
    aurora: Colours
    lamps: Colours
    mist: Colours
    season: NDArray[np.intp]
    sun: NDArray[np.intp]
    sky: NDArray[np.intp]

    def lit(self, albedo: tuple[RGB, RGB, RGB], haze: float) -> Colours:
        """Colour of the ground: `albedo` of each of `SEASONS` in this light, behind `haze` (0..1) of air."""
        colour = np.array(albedo)[self.season] * self.ground
        return self.hazy(colour, haze)

    def hazy(self, colour: Colours, haze: float) -> Colours:
        """`colour` behind so much air; mist thickens it."""
        share = haze + (0.85 - haze) * 0.6 * self.mist * min(1.0, 0.35 + haze)
        return colour + share * (0.9 * self.horizon - colour)

    def only(self, which: NDArray[np.bool_], colour: Colours) -> Colours:
        """`colour` in the modes of `which`, nothing elsewhere."""
        return np.where(which[:, None], colour, 0.0)


@cache
def landscape_looks() -> Looks:
    """Every combination of light, season, mist, place of the sun and pattern of the sky."""
    modes = list(product(LIGHTS.items(), range(len(SEASONS)), (0.0, 1.0), range(SUNS), range(SKIES)))
    lights = [light for (_, light), *_ in modes]

    def column(name: str) -> Colours:
        return np.array([getattr(light, name) for light in lights], dtype=np.float64).reshape(len(modes), -1)

    mist = np.array([[mode[2]] for mode in modes])
    horizon, zenith = column("horizon"), column("zenith")
    zenith = zenith + 0.45 * mist * (horizon - zenith)
    return Looks(
        words=tuple(
            frozenset({name, SEASONS[season], "misty" if fog else "clear"}) for (name, _), season, fog, _, _ in modes
        ),
        zenith=zenith,
        horizon=horizon,
        sun_colour=column("sun"),
        glow=column("glow"),
        cloud=column("cloud"),
        ground=column("ground"),
        clouds=column("clouds") * (1.0 - 0.5 * mist),
        disc=column("disc"),
        stars=column("stars") * (1.0 - 0.6 * mist),
        aurora=column("aurora"),
        lamps=column("lamps"),
        mist=mist,
        season=np.array([mode[1] for mode in modes]),
        sun=np.array([mode[3] for mode in modes]),
        sky=np.array([mode[4] for mode in modes]),
    )
