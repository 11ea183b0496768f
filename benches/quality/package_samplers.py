"""Sonar's own: what a user of the package gets."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from sonar_sampler.torch import sample_function

from .samplers import Model, Noise, Sampler


def _run(model: Model, x: Tensor, sigmas: Tensor, seed: int, *, name: str) -> Tensor:
    return sample_function(name)(model, x, sigmas, noise_sampler=Noise(x, seed), disable=True)


def _of(name: str, process: str) -> Sampler:
    return Sampler(name, "sonar", process, partial(_run, name=name))


LEAD, LEAD_ODE = _of("lead", "sde"), _of("lead_ode", "ode")
