"""The samplers that are compared, each from its own package.

A sampler is called as `run(model, x, sigmas, seed)`; `model(x, sigma)` answers the denoised latents. `process` says
what it converges to: the samples of the reverse SDE ("sde"), of the probability-flow ODE ("ode") or, with less noise
than the SDE, something between ("between"), which is compared with the nearer of both.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .lead import sample_lead

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # clip-anytorch's use of pkg_resources
    from k_diffusion import sampling as k_sampling

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


def _lead(model: Model, x: Tensor, sigmas: Tensor, seed: int, *, noisy: bool, **options: Any) -> Tensor:
    return sample_lead(model, x, sigmas, Noise(x, seed) if noisy else None, **options)


def _k(model: Model, x: Tensor, sigmas: Tensor, seed: int, *, name: str, noise: str) -> Tensor:
    """A sampler of k-diffusion. `noise`: "own" (drawn here), "tree" (its Brownian tree) or "none"."""
    options: dict[str, Any] = {}
    if noise == "own":
        options["noise_sampler"] = Noise(x, seed)
    if noise == "tree":
        levels = sigmas[sigmas > 0]
        options["noise_sampler"] = k_sampling.BrownianTreeNoiseSampler(x, levels.min(), levels.max(), seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(k_sampling, f"sample_{name}")(model, x, sigmas, disable=True, **options)


def _of_k(name: str, process: str, noise: str, per_step: int = 1) -> Sampler:
    return Sampler(name, "k-diffusion", process, partial(_k, name=name, noise=noise), per_step)


def _of_lead(name: str, process: str, **options: Any) -> Sampler:
    return Sampler(name, "sonar", process, partial(_lead, noisy=process == "sde", **options))


LEAD = _of_lead("lead", "sde")
LEAD_ODE = _of_lead("lead_ode", "ode")
EULER_A = _of_k("euler_ancestral", "sde", "own")
EULER = _of_k("euler", "ode", "none")

K_DIFFUSION = (
    EULER_A,
    EULER,
    _of_k("dpmpp_2m_sde", "sde", "own"),
    _of_k("dpmpp_3m_sde", "sde", "own"),
    _of_k("dpmpp_2m", "ode", "none"),
    _of_k("lms", "ode", "none"),
    _of_k("heun", "ode", "none", 2),
    _of_k("dpm_2_ancestral", "sde", "own", 2),
    _of_k("dpmpp_2s_ancestral", "sde", "own", 2),
    _of_k("dpmpp_sde", "sde", "tree", 2),
)

# Parts of the guard left out, and the guard on DPM++ 2M SDE.
ABLATION = (
    _of_lead("lead, no guard", "sde", guard=0.0),
    _of_lead("lead, clip only", "sde", clip_only=True),
    _of_lead("2M SDE, no guard", "sde", guard=0.0, own_steps=True),
    _of_lead("2M SDE, guard", "sde", own_steps=True),
    _of_lead("lead_ode, no guard", "ode", guard=0.0),
)
