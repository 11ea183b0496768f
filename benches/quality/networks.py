"""The networks: their shapes, what they learn and how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from . import data
from .network import Shape


@dataclass(frozen=True)
class Recipe:
    """How a network is trained."""

    name: str
    shape: Shape
    data: Callable[[], tuple[Tensor, Tensor]]
    steps: int
    batch: int = 128
    rate: float = 2e-3
    seed: int = 0


_RECIPES = (
    Recipe("digits_unet", Shape("unet", (1, 8, 8), 10, 16), data.digits, 2500, batch=64),
    Recipe("digits_mlp", Shape("mlp", (1, 8, 8), 10, 192), data.digits, 8000, rate=1e-3),
    Recipe("landscapes_unet", Shape("unet", (3, 16, 16), 9, 24, fold=2), data.landscapes, 3000, batch=64),
)
NETWORKS = {recipe.name: recipe for recipe in _RECIPES}
