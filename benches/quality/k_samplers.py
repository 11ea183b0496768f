"""k-diffusion's samplers."""

from __future__ import annotations

import importlib
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from .samplers import Model, Noise, Sampler

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "python"))
k_sampling = importlib.import_module("k_sampling").load()  # without its training code, whose imports are not installed


def run(model: Model, x: Tensor, sigmas: Tensor, seed: int, *, name: str, noise: str) -> Tensor:
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
    return Sampler(name, "k-diffusion", process, partial(run, name=name, noise=noise), per_step)


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
