"""A scene: one layout, as the linear model that a `Layout` in the mixture is made from.

A picture of the scene is `sum_f colour[f] * field[f]`: fields are fixed maps (the silhouettes are in them,
which keeps edges crisp), colours vary. In a mode (sunset in winter, sun on the left ...) the colours are
Gaussian around the mode's means, with the same covariance in each mode.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .canvas import SIZE, Map

Colours = NDArray[np.float64]  # (modes, 3): one RGB colour per mode, 0..1


@dataclass
class Scene:
    """Fields with their mean colours per mode; built front to back: a nearer layer hides what is behind it."""

    words: tuple[frozenset[str], ...]  # per mode: the words that describe it
    fields: list[Map] = field(default_factory=list)
    means: list[Colours] = field(default_factory=list)
    spreads: list[tuple[float, float]] = field(default_factory=list)
    bases: list[bool] = field(default_factory=list)
    _open: Map = field(default_factory=lambda: np.ones((SIZE, SIZE)))

    def layer(self, mask: Map) -> Map:
        """Put a layer behind those put before; answers the part of `mask` that is still seen."""
        seen = self._open * mask
        self._open = self._open - seen
        return seen

    def add(self, seen: Map, colour: Colours, luma: float, chroma: float, *, base: bool = False) -> None:
        """Add `seen * colour`, with the deviations `luma` and `chroma` of the colour inside a mode.

        `base` marks the plain fill of a layer: fills also share a common exposure and tint.
        """
        self.fields.append(seen)
        self.means.append(np.broadcast_to(colour, (len(self.words), 3)))
        self.spreads.append((luma, chroma))
        self.bases.append(base)
