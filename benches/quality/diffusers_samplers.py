"""diffusers' schedulers behind the shape of `samplers`: the same levels, the denoised image as their model's answer.

They work on variance-preserving latents x / sqrt(1 + sigma^2). Their last step, to sigma 0, is the denoised image, as
everywhere here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from diffusers import (
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    IPNDMScheduler,
    SASolverScheduler,
    UniPCMultistepScheduler,
)
from torch import Tensor

from .samplers import Model, Sampler
from .schedules import TRAINED


def _multistep(model: Model, x: Tensor, sigmas: Tensor, seed: int, *, kind: Any, noisy: bool, **options: Any) -> Tensor:
    scheduler = kind(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="sample", **options
    )
    count = len(sigmas) - 1
    scheduler.set_timesteps(count)
    scheduler.sigmas = sigmas.clone()
    scheduler.timesteps = torch.tensor([int((TRAINED.log() - level.log()).abs().argmin()) for level in sigmas[:-1]])
    scheduler.set_begin_index(0)
    more = {"generator": torch.Generator().manual_seed(seed)} if noisy else {}
    for step in range(count - 1):
        scale = (1 + sigmas[step] ** 2).sqrt()
        answer = model(x, sigmas[step].expand(len(x)))
        x = (
            scheduler.step(answer, scheduler.timesteps[step], x / scale, **more).prev_sample
            * (1 + sigmas[step + 1] ** 2).sqrt()
        )
    return model(x, sigmas[-2].expand(len(x)))


def _ipndm(model: Model, x: Tensor, sigmas: Tensor, _seed: int) -> Tensor:
    """Its model answers a velocity v with v alpha + x beta = noise."""
    scheduler = IPNDMScheduler(trained_betas=(sigmas / (1 + sigmas**2).sqrt()).tolist())
    scheduler.set_timesteps(len(sigmas) - 1)
    scheduler.set_begin_index(0)
    for step in range(len(sigmas) - 2):
        sigma, alpha, beta = sigmas[step], scheduler.alphas[step], scheduler.betas[step]
        noise = (x - model(x, sigma.expand(len(x)))) / sigma
        velocity = (noise - x * alpha * beta) / alpha
        x = scheduler.step(velocity, scheduler.timesteps[step], x * alpha).prev_sample / scheduler.alphas[step + 1]
    return model(x, sigmas[-2].expand(len(x)))


def _of(name: str, kind: Any, process: str = "ode", **options: Any) -> Sampler:
    return Sampler(name, "diffusers", process, partial(_multistep, kind=kind, noisy=process != "ode", **options))


DIFFUSERS = (
    _of("unipc", UniPCMultistepScheduler),
    _of("dpmpp_3m", DPMSolverMultistepScheduler, solver_order=3),
    _of("deis", DEISMultistepScheduler),
    _of("sa_solver", SASolverScheduler, "between"),
    Sampler("ipndm", "diffusers", "ode", _ipndm),
)
