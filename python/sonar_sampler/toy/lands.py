"""The landscape subjects: mountains, lake, sea, hills, forest, desert. Each function draws one layout.

Layers are put front to back; the sky comes last.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import PROFILE_U, SIZE, U, V, noise, smoothstep, under, wave
from .landscape import (
    MEADOW,
    PINES,
    ROCK,
    Albedo,
    add_ridge,
    add_sky,
    add_water,
    peaks,
    pines,
    rolling,
    suns,
)
from .palette import Looks
from .scene import Scene

SAND: Albedo = ((0.93, 0.70, 0.42), (0.86, 0.52, 0.32), (0.90, 0.88, 0.86))
MESA: Albedo = ((0.72, 0.40, 0.26), (0.62, 0.32, 0.24), (0.74, 0.66, 0.66))
BARK = (0.25, 0.18, 0.12)
FIELD: Albedo = ((0.56, 0.72, 0.30), (0.86, 0.68, 0.30), (0.93, 0.95, 0.99))
STONE: Albedo = ((0.30, 0.32, 0.34), (0.32, 0.30, 0.30), (0.50, 0.54, 0.60))


def mountains(rng: Generator, looks: Looks, layout: int) -> Scene:
    """Ranges behind each other, snow on the far one, pines in front."""
    scene = Scene(looks.words)
    horizon = rng.uniform(0.62, 0.70)
    places = suns(rng, horizon)
    add_ridge(scene, looks, rng, pines(rng, rolling(rng, 0.90, 0.03), 0.13, 34), PINES, 0.0, rugged=0.02, fade=0.5)
    add_ridge(scene, looks, rng, rolling(rng, 0.80, 0.035, 0.5), MEADOW, 0.22, rugged=0.05)
    add_ridge(scene, looks, rng, peaks(rng, 0.52, 0.74, 4, 0.012), PINES, 0.40, rugged=0.10)
    top = (0.20, 0.26, 0.16, 0.30)[layout]
    add_ridge(
        scene,
        looks,
        rng,
        peaks(rng, top, 0.62, (3, 4, 2, 5)[layout], 0.012),
        ROCK,
        0.42,
        rugged=0.16,
        snow=0.9,
        fade=0.4,
    )
    add_sky(scene, looks, rng, horizon, places)
    return scene


def lake(rng: Generator, looks: Looks, layout: int) -> Scene:
    """Mountains mirrored in still water."""
    scene = Scene(looks.words)
    level = (0.62, 0.58, 0.66, 0.60)[layout]
    places = suns(rng, level)
    bank = 1.02 - 0.26 * np.clip(1 - PROFILE_U / 0.5 if layout % 2 else 1 - (1 - PROFILE_U) / 0.5, 0, 1) ** 0.7
    add_ridge(
        scene,
        looks,
        rng,
        pines(rng, bank + 0.006 * wave(rng, 0.3), 0.17, 30),
        PINES,
        0.0,
        rugged=0.02,
        fade=0.5,
    )
    near = np.minimum(pines(rng, rolling(rng, level - 0.02, 0.012, 0.5), 0.06, 60), level + 0.004)
    far = peaks(rng, (0.16, 0.22, 0.30, 0.20)[layout], level, (3, 4, 3, 2)[layout], 0.012)
    mirror = [(near, PINES, 0.25), (far, ROCK, 0.42)]
    add_water(scene, looks, rng, np.full_like(PROFILE_U, level), places, mirror=mirror, swell=0.5)
    add_ridge(scene, looks, rng, near, PINES, 0.25, rugged=0.03)
    add_ridge(scene, looks, rng, far, ROCK, 0.42, rugged=0.16, snow=0.9, fade=0.4)
    add_sky(scene, looks, rng, level, places)
    return scene


def sea(rng: Generator, looks: Looks, layout: int) -> Scene:
    """Open water with a boat, islands, a headland or a lighthouse."""
    scene = Scene(looks.words)
    level = (0.58, 0.62, 0.54, 0.60)[layout]
    places = suns(rng, level)
    flat = np.full_like(PROFILE_U, level)
    if layout == 0:
        for u, size in ((0.36, 0.15), (0.70, 0.06)):
            add_boat(scene, looks, u, level + 0.25 * size + 0.02, size)
    elif layout == 1:
        rock = 1.05 - 0.42 * smoothstep(0.45, 0.0, PROFILE_U) + 0.012 * wave(rng, 0.2, 1.2)
        add_ridge(scene, looks, rng, rock, STONE, 0.02, rugged=0.10, fade=0.6)
    elif layout == 3:
        tower = np.where(np.abs(PROFILE_U - 0.80) < 0.018, 0.34, 1.1)
        tower = np.minimum(tower, np.where(np.abs(PROFILE_U - 0.80) < 0.026, 0.40, 1.1))
        rock = 0.96 - 0.36 * np.exp(-(((PROFILE_U - 0.88) / 0.16) ** 2)) + 0.008 * wave(rng, 0.2, 1.2)
        add_ridge(scene, looks, rng, np.minimum(rock, tower), STONE, 0.02, rugged=0.06, fade=0.6)
    coast = level - 0.10 * np.clip(wave(rng, 0.5, 2.0), 0, None) + 0.012
    add_water(scene, looks, rng, flat, places, mirror=[(coast, ROCK, 0.5)] if layout else None)
    if layout:
        add_ridge(scene, looks, rng, coast, ROCK, 0.5, rugged=0.08, fade=0.2)
    add_sky(scene, looks, rng, level, places)
    return scene


def add_boat(scene: Scene, looks: Looks, u: float, v: float, size: float) -> None:
    """A sailing boat of height `size`, its keel at (u, v)."""
    x, y = (U - u) / size, (v - V) / size
    edge = 0.6 / (SIZE * size)
    hull = (
        smoothstep(-edge, edge, y)
        * smoothstep(edge, -edge, y - 0.16)
        * smoothstep(edge, -edge, np.abs(x) - 0.22 - 0.5 * y)
    )
    main = (
        smoothstep(-edge, edge, y - 0.22)
        * smoothstep(-edge, edge, x - 0.02)
        * smoothstep(edge, -edge, x / 0.34 + y - 1.0)
    )
    jib = (
        smoothstep(-edge, edge, y - 0.24)
        * smoothstep(-edge, edge, -x - 0.02)
        * smoothstep(edge, -edge, -x / 0.26 + y - 0.86)
    )
    scene.add(scene.layer(hull), 0.25 * looks.ground, 0.02, 0.01, base=True)
    scene.add(scene.layer(np.maximum(main, jib)), 0.95 * looks.ground + 0.05, 0.04, 0.04, base=True)


def hills(rng: Generator, looks: Looks, layout: int) -> Scene:
    """Rolling fields with a tree or a row of trees."""
    scene = Scene(looks.words)
    horizon = rng.uniform(0.60, 0.66)
    places = suns(rng, horizon)
    ground = rolling(rng, 0.84, 0.035)
    if layout in (0, 2):
        u = (0.30, 0.0, 0.72)[layout]
        foot = float(ground[int(u * ground.size)])
        crown = sum(
            (
                np.exp(-(((U - u - dx) / r) ** 2 + ((V - foot + dy) / r) ** 2))
                for dx, dy, r in (
                    (0.0, 0.23, 0.085),
                    (-0.07, 0.18, 0.065),
                    (0.07, 0.17, 0.06),
                    (0.02, 0.29, 0.05),
                )
            ),
            start=np.zeros_like(V),
        )
        crown = smoothstep(0.40, 0.48, crown + 0.07 * noise(rng, 0.06, 1.0, 1.0))
        trunk = smoothstep(0.014, 0.006, np.abs(U - u)) * (foot - 0.2 < V) * (foot + 0.01 > V)
        leaf = looks.lit(((0.16, 0.36, 0.14), (0.78, 0.34, 0.10), (0.62, 0.68, 0.76)), 0.0)
        seen = scene.layer(crown)
        scene.add(seen, leaf, 0.03, 0.03, base=True)
        scene.add(
            seen * (U - u) / 0.1,
            0.07 * np.array([-1.0, 0.0, 1.0])[looks.sun][:, None] * looks.ground,
            0.01,
            0.004,
        )
        scene.add(scene.layer(trunk), looks.lit((BARK, BARK, BARK), 0.0), 0.02, 0.01)
    add_ridge(scene, looks, rng, ground, FIELD, 0.0, rugged=0.05, fade=0.6)
    middle = rolling(rng, 0.73, 0.035, 0.5)
    add_ridge(scene, looks, rng, pines(rng, middle, 0.05, 26) if layout else middle, MEADOW, 0.18, rugged=0.05)
    add_ridge(scene, looks, rng, rolling(rng, 0.65, 0.03, 0.4), FIELD, 0.38, rugged=0.05)
    add_ridge(scene, looks, rng, rolling(rng, 0.57, 0.035, 0.4), PINES, 0.58, rugged=0.05, fade=0.15)
    add_sky(scene, looks, rng, horizon, places)
    return scene


def forest(rng: Generator, looks: Looks, layout: int) -> Scene:
    """Rows of conifers that fade into the air."""
    scene = Scene(looks.words)
    horizon = rng.uniform(0.60, 0.68)
    places = suns(rng, horizon)
    tall = (0.42, 0.30, 0.52, 0.36)[layout]
    for height, trees, haze, count in (
        (1.00, tall, 0.0, (8, 14, 6, 10)[layout]),
        (0.90, 0.75 * tall, 0.22, 16),
        (0.80, 0.55 * tall, 0.45, 26),
        (0.70, 0.36 * tall, 0.66, 42),
    ):
        ground = rolling(rng, height, 0.025, 0.6)
        add_ridge(scene, looks, rng, pines(rng, ground, trees, count), PINES, haze, rugged=0.02, fade=0.45)
    if layout % 2:
        add_ridge(scene, looks, rng, peaks(rng, 0.25, 0.64, 3, 0.01), ROCK, 0.66, rugged=0.12, snow=0.8, fade=0.3)
    add_sky(scene, looks, rng, horizon, places)
    return scene


def desert(rng: Generator, looks: Looks, layout: int) -> Scene:
    """Dunes with a bright and a dark side, or table mountains."""
    scene = Scene(looks.words)
    horizon = rng.uniform(0.56, 0.62)
    places = suns(rng, horizon)
    for height, swing, haze in ((0.86, 0.06, 0.0), (0.73, 0.05, 0.14), (0.63, 0.035, 0.32)):
        crest = rolling(rng, height, swing, 0.8)
        seen = add_ridge(scene, looks, rng, crest, SAND, haze, rugged=0.03, fade=0.5)
        # The lee side: a dark flank that runs down from the summit of the dune.
        summit = float(PROFILE_U[np.argmin(crest)])
        flank = smoothstep(-0.01, 0.015, (U - summit) + 0.35 * under(crest) ** 0.7 * np.sin(9 * V + layout))
        lee = seen * flank * np.exp(-under(crest) / 0.16)
        turn = np.array([1.0, 0.7, -0.8])[looks.sun][:, None]
        scene.add(lee, -0.30 * turn * looks.lit(SAND, haze) * (1 - haze), 0.02, 0.01)
    if layout in (1, 3):
        line = np.full_like(PROFILE_U, 0.62)
        for centre, width, top in ((0.25, 0.13, 0.36), (0.72, 0.18, 0.42), (0.50, 0.06, 0.48)):
            centre = centre if layout == 1 else 1 - centre
            side = np.clip((np.abs(PROFILE_U - centre) - width) / 0.05, 0, None)
            line = np.minimum(line, top + 0.10 * side + 0.05 * (side > 0.5))
        add_ridge(scene, looks, rng, line + 0.004 * wave(rng, 0.1, 1.0), MESA, 0.36, rugged=0.10, fade=0.3)
    add_sky(scene, looks, rng, horizon, places)
    return scene
