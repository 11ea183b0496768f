"""The subjects in space: nebula and planet, with their colours. Each subject function draws one layout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from .canvas import Map, U, V, disc, noise, smoothstep, stars
from .palette import RGB
from .scene import Colours, Scene

VARIANTS = 3  # star patterns; where the light comes from


@dataclass(frozen=True)
class Tone:
    """Four colours of a picture of space."""

    deep: RGB  # the empty sky
    main: RGB
    accent: RGB
    bright: RGB


TONES = {
    "blue": Tone((0.01, 0.03, 0.10), (0.12, 0.40, 0.80), (0.45, 0.30, 0.75), (0.75, 0.92, 1.0)),
    "red": Tone((0.07, 0.01, 0.04), (0.80, 0.20, 0.16), (0.95, 0.55, 0.20), (1.0, 0.88, 0.72)),
    "violet": Tone((0.05, 0.01, 0.10), (0.52, 0.22, 0.75), (0.90, 0.30, 0.55), (1.0, 0.85, 0.95)),
    "green": Tone((0.00, 0.05, 0.07), (0.08, 0.55, 0.48), (0.50, 0.70, 0.25), (0.88, 1.0, 0.88)),
    "gold": Tone((0.05, 0.03, 0.03), (0.85, 0.58, 0.22), (0.35, 0.45, 0.62), (1.0, 0.95, 0.80)),
}


@dataclass(frozen=True)
class Tones:
    """All modes of a picture of space at once: colours are (modes, 3)."""

    words: tuple[frozenset[str], ...]
    deep: Colours
    main: Colours
    accent: Colours
    bright: Colours
    light: NDArray[np.intp]
    sky: NDArray[np.intp]

    def only(self, which: NDArray[np.bool_], colour: Colours) -> Colours:
        """`colour` in the modes of `which`, nothing elsewhere."""
        return np.where(which[:, None], colour, 0.0)


@cache
def space_tones() -> Tones:
    """Every combination of tone, place of the light and pattern of the stars."""
    modes = list(product(TONES.items(), range(VARIANTS), range(VARIANTS)))

    def column(name: str) -> Colours:
        return np.array([getattr(tone, name) for (_, tone), *_ in modes], dtype=np.float64)

    return Tones(
        words=tuple(frozenset({name}) for (name, _), *_ in modes),
        deep=column("deep"),
        main=column("main"),
        accent=column("accent"),
        bright=column("bright"),
        light=np.array([mode[1] for mode in modes]),
        sky=np.array([mode[2] for mode in modes]),
    )


def add_stars(scene: Scene, tones: Tones, rng: Generator, seen: Map, count: int) -> None:
    """The star patterns; one of them is on in each mode."""
    for index in range(VARIANTS):
        here = tones.sky == index
        scene.add(seen * stars(rng, count), tones.only(here, 0.35 + 0.6 * tones.bright), 0.003, 0.002)


def turned(rng: Generator) -> tuple[Map, Map]:
    """Coordinates around a point near the middle, turned by a random angle."""
    angle = rng.uniform(0, np.pi)
    x, y = U - rng.uniform(0.42, 0.58), V - rng.uniform(0.42, 0.58)
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def nebula(rng: Generator, tones: Tones, layout: int) -> Scene:
    """Glowing gas with dark lanes; a spiral galaxy; a ring; a band across the sky."""
    scene = Scene(tones.words)
    seen = scene.layer(np.ones_like(V))
    x, y = turned(rng)
    radius = np.hypot(x, y)
    cloud, dust = noise(rng, 0.5, 1.0, 1.6), noise(rng, 0.35, 1.0, 1.5)
    if layout == 0:
        shape = np.exp(-((radius / 0.42) ** 2)) * smoothstep(-0.9, 1.6, cloud) * 1.5
        rim = np.exp(-((radius / 0.25) ** 2)) * smoothstep(-0.3, 1.8, dust)
    elif layout == 1:
        y = y / 0.55
        radius, angle = np.hypot(x, y), np.arctan2(y, x)
        arms = 0.5 + 0.5 * np.cos(2 * angle - 6.0 * np.log(radius + 0.03) + 0.35 * cloud)
        shape = np.exp(-radius / 0.24) * (0.30 + 1.5 * arms**2) * smoothstep(-2.2, 0.8, dust)
        rim = np.exp(-radius / 0.32) * arms**5 * smoothstep(-0.6, 1.4, cloud)
    elif layout == 2:
        warped = radius * (1 + 0.07 * cloud)
        shape = 1.1 * np.exp(-(((warped - 0.27) / 0.065) ** 2)) * smoothstep(-2.0, 1.0, dust)
        rim = np.exp(-(((warped - 0.19) / 0.06) ** 2)) + 0.5 * np.exp(-((radius / 0.14) ** 2))
    else:
        band = np.exp(-(((y + 0.04 * cloud) / 0.16) ** 2))
        shape = band * smoothstep(-1.6, 1.4, cloud + 0.6 * dust) * 1.2
        rim = np.exp(-(((y + 0.03 * dust) / 0.07) ** 2)) * smoothstep(-0.4, 1.5, dust)
    scene.add(seen, tones.deep, 0.015, 0.015, base=True)
    scene.add(seen * shape, tones.main, 0.06, 0.05, base=True)
    scene.add(seen * rim, 0.75 * tones.accent, 0.06, 0.05)
    scene.add(seen * np.exp(-0.5 * (radius / 0.4) ** 2), 0.12 * tones.main, 0.03, 0.03)
    strength = 0.9 if layout in (1, 2) else 0.45
    scene.add(seen * np.exp(-radius / 0.05), strength * tones.bright, 0.03, 0.02)
    lanes = smoothstep(0.1, 1.5, noise(rng, 0.25, 1.0, 1.3)) * np.clip(shape + rim, 0, 1)
    scene.add(seen * lanes, -0.55 * tones.main, 0.03, 0.02)
    for index in range(VARIANTS):
        # Light that falls in from a side: brightens the gas there.
        here = tones.light == index
        side = np.cos(2.1 * index) * (U - 0.5) + np.sin(2.1 * index) * (V - 0.5)
        scene.add(seen * shape * side, tones.only(here, 1.3 * tones.accent), 0.04, 0.03)
        patch = smoothstep(0.2, 2.0, noise(rng, 0.4, 1.0, 1.6))
        scene.add(seen * patch, tones.only(here, 0.30 * tones.accent), 0.02, 0.02)
    add_stars(scene, tones, rng, seen, 260)
    for _ in range(8):
        scene.add(seen * noise(rng, 0.4, 1.0, 1.9) * (0.25 + np.clip(shape, 0, 1)), 0.0 * tones.main, 0.035, 0.025)
    return scene


def planet(rng: Generator, tones: Tones, layout: int) -> Scene:
    """A planet with bands and a lit side; a ring or a moon; stars and a trace of gas behind."""
    scene = Scene(tones.words)
    u, v, size = ((0.56, 0.54, 0.27), (0.50, 0.50, 0.22), (0.50, 1.02, 0.62), (0.34, 0.60, 0.30))[layout]
    if layout == 1:
        add_ring(scene, tones, u, v, size, front=True)
    if layout in (0, 3):
        add_ball(scene, tones, rng, (0.20, 0.24, 0.07) if layout == 0 else (0.78, 0.26, 0.11), tones.accent)
    add_ball(scene, tones, rng, (u, v, size), tones.main)
    if layout == 1:
        add_ring(scene, tones, u, v, size, front=False)
    seen = scene.layer(np.ones_like(V))
    scene.add(seen, tones.deep, 0.012, 0.012, base=True)
    scene.add(seen * np.exp(-np.maximum(np.hypot(U - u, V - v) - size, 0) / 0.035), 0.40 * tones.main, 0.02, 0.02)
    gas = smoothstep(-0.2, 2.2, noise(rng, 0.6, 1.6, 1.7))
    scene.add(seen * gas, 0.42 * tones.accent + 0.15 * tones.main, 0.05, 0.04)
    add_stars(scene, tones, rng, seen, 220)
    for _ in range(6):
        scene.add(seen * noise(rng, 0.5, 1.5, 1.9), 0.0 * tones.main, 0.018, 0.018)
    return scene


def add_ball(scene: Scene, tones: Tones, rng: Generator, place: tuple[float, float, float], colour: Colours) -> None:
    """A planet: dark, lit from one of three sides, with bands and storms that curve around it."""
    u, v, size = place
    seen = scene.layer(disc(u, v, size))
    x, y = (U - u) / size, (V - v) / size
    z = np.sqrt(np.clip(1.0 - x * x - y * y, 0.0, 1.0))
    swirl = noise(rng, 0.22, 3.0, 1.4)
    latitude = 0.94 * y + 0.34 * x
    bands = np.sin(9.0 * np.arcsin(np.clip(latitude, -1, 1)) + rng.uniform(0, 6) + 0.55 * swirl) + 0.3 * swirl
    scene.add(seen, 0.6 * tones.deep + 0.04 * colour, 0.012, 0.012, base=True)
    for index, (lx, ly, lz) in enumerate(((-0.75, -0.45, 0.48), (0.05, -0.80, 0.60), (0.78, -0.40, 0.48))):
        here = tones.light == index
        shine = np.clip(x * lx + y * ly + z * lz, 0.0, 1.0) ** 0.8
        rim = (1 - z) ** 2.5 * shine
        scene.add(seen * shine, tones.only(here, 1.05 * colour), 0.03, 0.03)
        scene.add(seen * shine * bands, tones.only(here, 0.16 * tones.bright + 0.10 * tones.accent), 0.02, 0.02)
        scene.add(seen * rim, tones.only(here, 0.9 * tones.bright), 0.02, 0.01)
    for _ in range(4):
        scene.add(seen * z * noise(rng, 0.3, 2.5, 1.7), 0.0 * colour, 0.025, 0.02)


def add_ring(scene: Scene, tones: Tones, u: float, v: float, size: float, *, front: bool) -> None:
    """One half of a tilted ring, before or behind the planet."""
    x, y = (U - u) * 0.95 + (V - v) * 0.31, (V - v) * 0.95 - (U - u) * 0.31
    radius = np.hypot(x, y / 0.24) / size
    half = smoothstep(-0.002, 0.002, y if front else -y)
    flat = (
        smoothstep(1.28, 1.33, radius)
        * smoothstep(2.05, 2.0, radius)
        * (1 - 0.75 * np.exp(-(((radius - 1.72) / 0.035) ** 2)))
    )
    grooves = 0.72 + 0.28 * np.sin(34 * radius)
    seen = scene.layer(half * flat * 0.92)
    scene.add(seen * grooves, 0.55 * tones.bright + 0.30 * tones.accent, 0.03, 0.03, base=True)
    scene.add(seen * x / size, 0.0 * tones.bright, 0.06, 0.03)
