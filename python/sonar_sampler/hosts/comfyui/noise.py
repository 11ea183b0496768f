"""The host's noise, by its own seed rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from comfy import samplers

NoiseSampler = Callable[[Any, Any], torch.Tensor]


def sampler(kind: str, x: torch.Tensor, sigmas: torch.Tensor, seed: int | None) -> NoiseSampler | None:
    """What the host's own samplers draw from in a run; None if they draw nothing.

    Args:
        kind: the solver's kind of noise, see `sonar_sampler.registry.Solver`.
        x: the latent at the start.
        sigmas: the noise levels.
        seed: the run's.
    """
    # Looked up in each run: other packs reload the module.
    own = samplers.k_diffusion_sampling
    if kind == "independent":
        independent: NoiseSampler = own.default_noise_sampler(x, seed=seed)
        return independent
    levels = sigmas[sigmas > 0]
    if kind == "brownian" and len(levels) > 0:
        brownian: NoiseSampler = own.BrownianTreeNoiseSampler(x, levels.min(), sigmas.max(), seed=seed, cpu=True)
        return brownian
    if kind == "churn":
        return lambda _sigma, _sigma_next: torch.randn_like(x)
    return None


def seeds(seed: int | None, batch: int) -> tuple[int, ...] | None:
    """One seed per image, for what is drawn apart from the host's noise."""
    return None if seed is None else tuple((seed + image) % 2**64 for image in range(batch))
