"""The sampling functions that the host's `KDiffusionSampler` calls.

The host reads their signatures to decide what to pass, so they are written out; everything else comes from the
job, `model.p`: options, noise and seeds. Nothing here outlives a call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from modules import rng, shared

from sonar_sampler import SonarConfig
from sonar_sampler import torch as sonar
from sonar_sampler.hosts.webui import job as jobs

Tensor = torch.Tensor
NoiseSampler = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Pass:
    """One sampling pass of a job, as `sampler.begin` left it on `p.sonar_pass`."""

    job: jobs.Job
    reference: Tensor | None = None


def sample_euler_a(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
    eta: float = 1.0,
    s_noise: float = 1.0,
    noise_sampler: NoiseSampler | None = None,
) -> Tensor:
    """Sonar Euler a. Arguments and result are those of `sonar_sampler.torch.sample_sonar_euler_a`."""
    run = _Run(model, x, sigmas)
    noise_sampler = noise_sampler or run.noise
    return sonar.sample_sonar_euler_a(
        model, x, sigmas, extra_args, callback, disable, eta, s_noise, noise_sampler,
        config=run.config, reference=run.reference,
    )  # fmt: skip


def sample_euler(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
    s_churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = math.inf,
    s_noise: float = 1.0,
) -> Tensor:
    """Sonar Euler. Arguments and result are those of `sonar_sampler.torch.sample_sonar_euler`."""
    run = _Run(model, x, sigmas)
    if run.config.flow and s_churn > 0:
        run.tell("Sonar Euler: Sigma churn does not fit this model (flow matching) and was left out.")
        s_churn = 0.0
    noise = run.noise
    if noise is not None:
        every = _EveryStep(noise, callback)
        noise, callback = every.draw, every.callback
    return sonar.sample_sonar_euler(
        model, x, sigmas, extra_args, callback, disable, s_churn, s_tmin, s_tmax, s_noise,
        config=run.config, noise_sampler=noise, reference=run.reference,
    )  # fmt: skip


def sample_naive(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: dict[str, Any] | None = None,
    callback: Any = None,
    disable: bool | None = None,
) -> Tensor:
    """Sonar Naive. Arguments and result are those of `sonar_sampler.torch.sample_sonar_naive`."""
    run = _Run(model, x, sigmas)
    return sonar.sample_sonar_naive(
        model, x, sigmas, extra_args, callback, disable,
        config=run.config, noise_sampler=run.noise, reference=run.reference,
    )  # fmt: skip


class _Run:
    """What one call takes from the job."""

    def __init__(self, model: Any, x: Tensor, sigmas: Tensor) -> None:
        self._p: Any = getattr(model, "p", None)
        current: Pass = getattr(self._p, "sonar_pass", None) or Pass(jobs.of(self._p))
        self.config: SonarConfig = replace(
            current.job.config,
            momentum=current.job.momentum(len(sigmas) - 1),
            seed=_seeds(self._p, len(x)),
            flow=_is_flow(model),
            exact_last_step=_blends_in_denoiser_only(model),
        )
        self.reference = current.reference
        self.noise = _noise(self._p, x)

    def tell(self, text: str) -> None:
        """Shows a line below the images."""
        if hasattr(self._p, "comment"):
            self._p.comment(text)


class _EveryStep:
    """Takes one draw per step, used or not, as k-diffusion's Euler does: the streams stay aligned."""

    def __init__(self, noise: NoiseSampler, callback: Any) -> None:
        self._noise = noise
        self._callback = callback
        self._step = 0
        self._drawn = 0

    def draw(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        while self._drawn < self._step:
            self._noise(sigma, sigma_next)
            self._drawn += 1
        self._drawn += 1
        return self._noise(sigma, sigma_next)

    def callback(self, state: dict[str, Any]) -> None:
        self._step = state["i"] + 1
        if self._callback is not None:
            self._callback(state)


def _noise(p: Any, x: Tensor) -> NoiseSampler | None:
    """The job's noise, one stream per image; None (the seeds' own streams) if the job has none for this batch."""
    source = getattr(p, "rng", None)
    if source is None or len(source.generators) != len(x):
        return None

    def draw(_sigma: Tensor, _sigma_next: Tensor) -> Tensor:
        if tuple(source.shape) == tuple(x.shape[1:]):
            noise: Tensor = source.next()
        else:
            noise = torch.stack([rng.randn_without_seed(x.shape[1:], generator=one) for one in source.generators])
        return noise.to(x)

    return draw


def _seeds(p: Any, batch: int) -> tuple[int, ...]:
    """One seed per image, for what is drawn apart from the job's noise: the random sign and history."""
    seeds = getattr(p, "seeds", None) or [0]
    if len(seeds) != batch:
        seeds = [int(seeds[0]) + image for image in range(batch)]
    return tuple(int(seed) % 2**64 for seed in seeds)


def _is_flow(model: Any) -> bool:
    """Whether the model is a flow-matching one (SD3, Flux); each host tells it in its own way."""
    if hasattr(shared.sd_model, "add_noise_to_latent"):  # AUTOMATIC1111
        return True
    inner = getattr(model, "inner_model", None)
    predictor = getattr(inner, "predictor", None)
    if predictor is not None:  # Forge
        return getattr(predictor, "prediction_type", None) == "const"
    unet = getattr(getattr(shared.sd_model, "forge_objects", None), "unet", None)  # reForge
    sampling = getattr(getattr(unet, "model", None), "model_sampling", None)
    return any(ancestor.__name__ == "CONST" for ancestor in type(sampling).__mro__)


def _blends_in_denoiser_only(model: Any) -> bool:
    """Whether nobody puts the kept area back after sampling: momentum in the last step would show there."""
    parameters = getattr(getattr(model, "p", None), "extra_generation_params", {})
    return getattr(model, "mask", None) is not None and bool(parameters.get("Soft inpainting enabled"))
