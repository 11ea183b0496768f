"""The city: rows of towers with windows. `city` draws one layout, front to back."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from .canvas import PROFILE_U, SIZE, Map, below, pixels, smoothstep, under
from .landscape import Albedo, add_sky, add_water, suns
from .palette import Looks
from .scene import Scene

WALL: Albedo = ((0.42, 0.45, 0.52), (0.48, 0.43, 0.44), (0.50, 0.54, 0.62))


def towers(rng: Generator, top: float, bottom: float, count: int) -> Map:
    """Skyline of flat roofs, some stepped, some with a mast."""
    line = np.full_like(PROFILE_U, bottom)
    edges = np.sort(rng.uniform(-0.02, 1.02, count))
    for left in edges:
        width = rng.uniform(0.045, 0.10)
        middle = np.exp(-(((left - 0.5) / 0.33) ** 2))
        roof = bottom - (bottom - top) * np.clip(rng.uniform(0.25, 0.75) + 0.4 * middle * rng.random(), 0, 1)
        inside = (left < PROFILE_U) & (left + width > PROFILE_U)
        line[inside] = np.minimum(line[inside], roof)
        if rng.random() < 0.35:
            core = np.abs(PROFILE_U - left - width / 2) < width * 0.28
            line[core] = np.minimum(line[core], roof - 0.035)
        if rng.random() < 0.25:
            mast = np.abs(PROFILE_U - left - width / 2) < 0.004
            line[mast] = np.minimum(line[mast], roof - 0.10)
    return line


def add_towers(scene: Scene, looks: Looks, rng: Generator, skyline: Map, haze: float, lit: float) -> None:
    """A row of buildings with windows; `lit` is the share of the windows that shine at night."""
    seen = scene.layer(below(skyline))
    fill = looks.lit(WALL, haze)
    scene.add(seen, fill * (0.55 + 0.45 * haze), 0.04, 0.018, base=True)
    scene.add(seen * smoothstep(0.0, 0.6, under(skyline)), 0.25 * (looks.horizon - fill), 0.03, 0.02)
    # Neighbouring towers differ in tone: steps of the skyline give the towers.
    steps = np.cumsum(np.abs(np.diff(skyline, prepend=skyline[0])) > 0.01)
    tone = rng.uniform(-1, 1, steps[-1] + 1)[steps]
    scene.add(seen * pixels(tone), 0.10 * fill, 0.015, 0.008)
    rows, columns = np.indices((SIZE, SIZE))
    pane = (rows % 3 != 0) & (columns % 2 == 0)
    inside = below(skyline + 0.02) * (below(np.minimum(skyline, 1.0)) > 0.99)
    for _ in range(2):
        on = rng.random((SIZE // 3 + 1, SIZE // 2))[rows // 3, columns // 2] < lit
        scene.add(
            seen * inside * (on & pane),
            looks.lamps * np.array((0.95, 0.72, 0.36)) * (1 - 0.4 * haze) * 0.6,
            0.02,
            0.01,
        )


def city(rng: Generator, looks: Looks, layout: int) -> Scene:
    """A skyline in three depths, in half of the layouts behind water."""
    scene = Scene(looks.words)
    level = 0.78 if layout % 2 else 1.02
    places = suns(rng, 0.72)
    near = towers(rng, (0.50, 0.42, 0.44, 0.50)[layout], level, 13)
    middle = towers(rng, (0.26, 0.22, 0.18, 0.30)[layout], level, 15)
    far = towers(rng, 0.34, level, 17)
    if layout % 2:
        mirror = [(near, WALL, 0.0), (middle, WALL, 0.3), (far, WALL, 0.6)]
        add_water(scene, looks, rng, np.full_like(PROFILE_U, level), places, mirror=mirror)
    add_towers(scene, looks, rng, near, 0.0, 0.40)
    add_towers(scene, looks, rng, middle, 0.30, 0.30)
    add_towers(scene, looks, rng, far, 0.58, 0.20)
    add_sky(scene, looks, rng, 0.74, places)
    return scene
