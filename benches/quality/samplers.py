"""What every sampler of the comparison looks like; each comes from its own package.

A sampler is called as `run(model, x, sigmas, seed)`; `model(x, sigma)` answers the denoised latents. `process` says
what it converges to: the samples of the reverse SDE ("sde"), of the probability-flow ODE ("ode") or, with less noise
than the SDE, something between ("between"), which is compared with the nearer of both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Model = Callable[..., Tensor]


@dataclass(frozen=True)
class Sampler:
    """A row of the comparison."""

    name: str
    source: str
    process: str
    run: Callable[[Model, Tensor, Tensor, int], Tensor]
    per_step: int = 1  # model calls; the last step, to sigma 0, takes one

    def steps(self, calls: int) -> int:
        """The most steps that `calls` model calls pay for."""
        return calls if self.per_step == 1 else (calls + self.per_step - 1) // self.per_step


class Noise:
    """Noise from a seed of its own, drawn at each call."""

    def __init__(self, like: Tensor, seed: int) -> None:
        self._like = like
        self._random = torch.Generator().manual_seed(seed)

    def __call__(self, *_levels: Any) -> Tensor:  # noqa: D102
        return torch.randn(self._like.shape, generator=self._random)
