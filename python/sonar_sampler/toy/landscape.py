"""Parts of a landscape: skies, ridges, water. Each puts one layer behind those already in the scene."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import (
    PROFILE_U,
    Map,
    U,
    V,
    below,
    disc,
    halo,
    noise,
    pixels,
    relief,
    smoothed,
    smoothstep,
    stars,
    under,
    wave,
)
from .palette import RGB, SKIES, Looks
from .scene import Scene

Albedo = tuple[RGB, RGB, RGB]  # one per season: summer, autumn, winter

ROCK: Albedo = ((0.50, 0.52, 0.56), (0.52, 0.48, 0.46), (0.72, 0.77, 0.84))
MEADOW: Albedo = ((0.38, 0.58, 0.26), (0.78, 0.56, 0.22), (0.90, 0.93, 0.98))
PINES: Albedo = ((0.13, 0.30, 0.20), (0.42, 0.22, 0.10), (0.34, 0.42, 0.48))
SNOW = np.array((0.97, 0.98, 1.0))


def suns(rng: Generator, horizon: float) -> list[tuple[float, float]]:
    """Where the sun may stand: left, middle, right; low in the middle."""
    heights = (0.42, 0.66, 0.48)
    return [
        (u + rng.uniform(-0.05, 0.05), horizon * height + rng.uniform(-0.05, 0.05))
        for u, height in zip((0.24, 0.52, 0.77), heights, strict=True)
    ]


def add_sky(scene: Scene, looks: Looks, rng: Generator, horizon: float, places: list[tuple[float, float]]) -> None:
    """The sky behind everything: gradient, sun or moon with its glow, clouds, stars, aurora."""
    seen = scene.layer(np.ones_like(V))
    depth = np.clip(V / horizon, 0.0, 1.0) ** 1.4
    scene.add(seen * (1 - depth), looks.zenith, 0.05, 0.02, base=True)
    scene.add(seen * depth, looks.horizon, 0.05, 0.02, base=True)
    scene.add(seen * np.exp(-(((V - horizon) / 0.12) ** 2)), 0.5 * looks.glow, 0.04, 0.018)
    scene.add(seen * (U - 0.5), 0.0 * looks.glow, 0.08, 0.02)
    radius = rng.uniform(0.035, 0.06)
    for index, (u, v) in enumerate(places):
        here = looks.sun == index
        ball, shine = disc(u, v, radius), halo(u, v, 0.17)
        behind = looks.zenith + (looks.horizon - looks.zenith) * (v / horizon) ** 1.4
        scene.add(seen * shine, looks.only(here, looks.glow), 0.03, 0.02)
        scene.add(seen * ball, looks.only(here, looks.disc * (looks.sun_colour - behind - looks.glow)), 0.004, 0.004)
    middle = 0.5 * (looks.zenith + looks.horizon)
    for index in range(SKIES):
        here = looks.sky == index
        field = noise(rng, 0.45, 3.0, 1.5)
        clouds = smoothstep(0.0, 1.9, field) * smoothstep(0.0, 0.25, V)
        scene.add(seen * clouds, looks.only(here, looks.clouds * (looks.cloud - middle)), 0.02, 0.01)
        scene.add(
            seen * stars(rng, 130) * smoothstep(1.05, 0.5, V / horizon),
            looks.only(here, looks.stars),
            0.003,
            0.002,
        )
        curtain = aurora(rng, horizon)
        colour = np.array(((0.15, 0.85, 0.50), (0.20, 0.75, 0.70), (0.55, 0.35, 0.80))[index])
        scene.add(seen * curtain, looks.only(here, looks.aurora * colour), 0.006, 0.006)
    for _ in range(5):
        scene.add(seen * noise(rng, 0.5, 2.0, 2.2), 0.0 * looks.glow, 0.022, 0.006)


def aurora(rng: Generator, horizon: float) -> Map:
    """Two curtains of light with sharp lower and soft upper edges."""
    total = np.zeros_like(V)
    for _ in range(2):
        line = (
            horizon * rng.uniform(0.50, 0.80) + 0.07 * wave(rng, 0.8, 3.0) + rng.uniform(-0.3, 0.3) * (PROFILE_U - 0.5)
        )
        streaks = 1.0 + 0.28 * wave(rng, 0.05, 1.2) + 0.3 * wave(rng, 0.4, 2.0)
        base, streaks = (pixels(part) for part in (line, streaks))
        height = base - V
        curtain = smoothstep(-0.03, 0.05, height) * np.exp(-np.maximum(height, 0.0) / 0.16)
        total += np.clip(streaks, 0.1, 1.8) * curtain
    return total * smoothstep(-0.1, 0.3, V)


def peaks(rng: Generator, top: float, bottom: float, count: int, rough: float) -> Map:
    """Skyline of pointed mountains between `top` and `bottom` (v)."""
    line = np.full_like(PROFILE_U, bottom)
    centres = (np.arange(count) + rng.uniform(0.15, 0.85, count)) / count
    for centre, height in zip(centres, rng.uniform(0.0, 1.0, count), strict=True):
        summit = top + (bottom - top) * 0.65 * height
        left, right = rng.uniform(0.7, 1.3, 2)
        offset = PROFILE_U - centre
        line = np.minimum(line, summit + np.abs(offset) * np.where(offset < 0, left, right))
    return line + rough * wave(rng, 0.25, 1.3)


def rolling(rng: Generator, height: float, swing: float, scale: float = 0.8) -> Map:
    """Skyline of soft hills around `height`."""
    return height + swing * wave(rng, scale, 3.0)


def pines(rng: Generator, ground: Map, height: float, count: int) -> Map:
    """Skyline of conifers that stand on `ground`."""
    line: Map = ground.copy()
    for centre in rng.uniform(-0.02, 1.02, count):
        tall = height * rng.uniform(0.55, 1.2)
        offset = np.abs(PROFILE_U - centre)
        width = 0.24 * tall
        foot = ground[int(np.clip(centre, 0, 0.999) * ground.size)]
        # Branches: the outline of a tree steps in and out as it narrows.
        rise = tall * (1 - offset / width) + 0.10 * tall * np.sin(offset / width * 22.0)
        line = np.where(offset < width, np.minimum(line, foot - np.maximum(rise, 0.0)), line)
    return line


def add_ridge(
    scene: Scene,
    looks: Looks,
    rng: Generator,
    skyline: Map,
    albedo: Albedo,
    haze: float,
    *,
    rugged: float = 0.10,
    snow: float = 0.0,
    fade: float = 0.25,
) -> Map:
    """Ground below `skyline`: fill, mist at its foot, light on its relief, snow below its crest.

    `haze` 0..1 is the air in front of it, `rugged` the strength of the relief, `snow` how much is white in
    summer (in winter all of it), `fade` the depth in which the foot vanishes into the haze. Answers what is
    seen of it.
    """
    seen = scene.layer(below(skyline))
    depth = under(skyline)
    fill = looks.lit(albedo, haze)
    foot = smoothstep(0.0, fade, under(smoothed(skyline)))
    scene.add(seen, fill, 0.04, 0.02, base=True)
    scene.add(seen * foot, looks.hazy(fill, min(0.9, haze + 0.25)) - fill, 0.035, 0.012)
    height = noise(rng, 0.20, 1.0, 2.1)
    across, down = relief(height)
    side = np.array([1.0, 0.35, -1.0])[looks.sun][:, None]
    scene.add(seen * across, rugged * (1 - haze) * side * looks.ground, 0.012, 0.004)
    scene.add(seen * down, -0.4 * rugged * (1 - haze) * looks.ground, 0.012, 0.004)
    for _ in range(2):
        scene.add(seen * noise(rng, 0.3, 1.5, 2.0), 0.0 * fill, 0.018, 0.005)
    if snow > 0:
        line = 0.10 + 0.05 * noise(rng, 0.14, 0.5, 1.9)
        cap = smoothstep(-0.015, 0.015, line - depth)
        white = looks.hazy(SNOW * looks.ground, haze)
        amount = np.array([snow, 0.8 * snow, 1.0])[looks.season][:, None]
        scene.add(seen * cap, amount * (white - fill), 0.01, 0.005)
    return seen


def add_water(
    scene: Scene,
    looks: Looks,
    rng: Generator,
    shore: Map,
    places: list[tuple[float, float]],
    *,
    mirror: list[tuple[Map, Albedo, float]] | None = None,
    swell: float = 1.0,
) -> None:
    """Water below `shore`: the sky's colours upside down, the path of the sun, waves, mirrored ridges.

    `mirror` holds skyline, albedo and haze of the ridges that are reflected, `swell` scales the waves.
    """
    seen = scene.layer(below(shore))
    level = float(shore.min())
    depth = np.clip((V - level) / (1.0 - level), 0.0, 1.0)
    tint = np.array((0.70, 0.86, 0.92))
    scene.add(seen * (1 - depth), 0.88 * looks.horizon * tint, 0.04, 0.018, base=True)
    scene.add(seen * depth, (0.75 * looks.zenith + 0.10 * looks.horizon) * tint, 0.04, 0.018, base=True)
    # Perspective: waves get longer and lower towards the horizon.
    ripples = noise(rng, 0.10, 7.0, 1.1) * (0.35 + depth)
    for index, (u, _) in enumerate(places):
        width = 0.035 + 0.13 * depth + 0.02 * noise(rng, 0.06, 4.0, 1.0)
        glitter = np.exp(-(((U - u) / width) ** 2)) * np.clip(0.62 + 0.45 * ripples, 0.0, 1.25)
        here = looks.sun == index
        scene.add(
            seen * glitter,
            looks.only(here, 0.9 * looks.disc * looks.sun_colour * np.maximum(looks.horizon, 0.35)),
            0.012,
            0.008,
        )
    scene.add(seen * ripples, 0.05 * swell * (looks.horizon + 0.1), 0.010, 0.004)
    for _ in range(3):
        scene.add(seen * noise(rng, 0.25, 5.0, 1.8) * (0.4 + 0.6 * depth), 0.0 * looks.glow, 0.020, 0.005)
    hidden = np.zeros_like(V)
    for skyline, albedo, haze in mirror or []:
        blur = 0.006 * noise(rng, 0.05, 6.0, 1.0)
        flipped = np.clip(((2 * level - pixels(skyline)) - V + blur) * V.shape[0] / 2, 0, 1)
        image = flipped * (1 - hidden)
        hidden = hidden + image
        dark = looks.lit(albedo, min(1.0, haze + 0.1)) * tint
        scene.add(seen * image * (1 - 0.5 * depth), 0.7 * (dark - 0.8 * looks.horizon), 0.015, 0.01)
