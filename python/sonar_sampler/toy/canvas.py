"""Marks on a square of `SIZE` x `SIZE` pixels: silhouettes, discs, noise, stars.

A map is float64 of shape (SIZE, SIZE); masks lie in [0, 1] and have soft (anti-aliased) edges. `u` runs from
0 (left) to 1 (right), `v` from 0 (top) to 1 (bottom). A profile is a line of `v` at each of `PROFILE_U`.
Randomness comes from the generator that is passed in: the same state draws the same map.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

SIZE = 128
_COLUMNS = 4 * SIZE  # profiles are sampled four times finer than pixels: slanted edges come out smooth
_WIDE = SIZE + SIZE // 4  # noise is made on a larger square and cut, since the transform makes it periodic

Map = NDArray[np.float64]

_CENTRES = (np.arange(SIZE) + 0.5) / SIZE
U: Map = np.broadcast_to(_CENTRES[None, :], (SIZE, SIZE))
V: Map = np.broadcast_to(_CENTRES[:, None], (SIZE, SIZE))
PROFILE_U: Map = (np.arange(_COLUMNS) + 0.5) / _COLUMNS


def smoothstep(low: float, high: float, value: Map) -> Map:
    """0 below `low`, 1 above `high`, a cubic ease between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def below(profile: Map) -> Map:
    """Coverage of everything below a skyline: `profile` holds `v` of the skyline at each of `PROFILE_U`."""
    rows = np.arange(1, SIZE + 1)[:, None]
    cover = np.clip(rows - profile[None, :] * SIZE, 0.0, 1.0)
    coverage: Map = cover.reshape(SIZE, SIZE, -1).mean(axis=2)
    return coverage


def pixels(profile: Map) -> Map:
    """A profile at the pixels' columns, shape (1, SIZE)."""
    columns: Map = profile.reshape(1, SIZE, -1).mean(axis=2)
    return columns


def under(profile: Map) -> Map:
    """Depth below a skyline in units of `v`, 0 at it and above."""
    return np.maximum(V - pixels(profile), 0.0)


def smoothed(profile: Map, width: float = 0.12) -> Map:
    """A profile without its fine teeth: mean over `width`."""
    count = int(width * _COLUMNS) // 2
    padded = np.pad(profile, count, mode="edge")
    return np.convolve(padded, np.full(2 * count + 1, 1.0 / (2 * count + 1)), mode="valid")


def disc(u: float, v: float, radius: float) -> Map:
    """A filled circle."""
    return np.clip((radius - np.hypot(U - u, V - v)) * SIZE + 0.5, 0.0, 1.0)


def halo(u: float, v: float, radius: float) -> Map:
    """A soft light: 1 at its centre, a bright core and a wide skirt."""
    distance = np.hypot(U - u, V - v)
    light: Map = 0.65 * np.exp(-0.5 * (distance / radius) ** 2) + 0.35 * np.exp(-3.0 * distance / radius)
    return light


def noise(rng: Generator, scale: float, stretch: float = 1.0, slope: float = 1.7) -> Map:
    """Smooth random field of zero mean and unit deviation.

    `scale` is the size of the largest features (1: the picture), `stretch` how much wider than high they are,
    `slope` how fast smaller features fade (amplitude ~ frequency^-slope).
    """
    gain = _noise_gain(scale, stretch, slope)
    real, imaginary = rng.standard_normal((2, *gain.shape)) * gain
    field: Map = np.fft.irfft2(real + 1j * imaginary, s=(_WIDE, _WIDE))[:SIZE, :SIZE]
    field -= field.mean()
    field /= field.std()
    return field


@cache
def _noise_gain(scale: float, stretch: float, slope: float) -> Map:
    fy = np.fft.fftfreq(_WIDE)[:, None] * SIZE
    fx = np.fft.rfftfreq(_WIDE)[None, :] * SIZE * stretch
    return (1.0 + (fx * fx + fy * fy) * scale**2) ** (-slope / 2)


def wave(rng: Generator, scale: float, slope: float = 1.7) -> Map:
    """One-dimensional `noise` at `PROFILE_U`, for skylines."""
    frequency = np.fft.rfftfreq(2 * _COLUMNS) * _COLUMNS * scale
    real, imaginary = rng.standard_normal((2, frequency.size)) * (1.0 + frequency**2) ** (-slope / 2)
    line: Map = np.fft.irfft(real + 1j * imaginary, n=2 * _COLUMNS)[:_COLUMNS]
    line -= line.mean()
    line /= line.std()
    return line


def stars(rng: Generator, count: int) -> Map:
    """Points of light: most faint, a few bright ones with a small cross."""
    field = np.zeros((SIZE, SIZE))
    rows, columns = rng.integers(1, SIZE - 1, (2, count))
    bright = rng.random(count) ** 3
    np.maximum.at(field, (rows, columns), 0.25 + 0.75 * bright)
    for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        np.maximum.at(field, (rows + dy, columns + dx), 0.45 * bright**2)
    return field


def relief(height: Map) -> tuple[Map, Map]:
    """Light on a rough surface from the right and from above: both of unit deviation."""
    dy, dx = np.gradient(height)
    return dx / dx.std(), dy / dy.std()
