"""Sonar's own: what a user of the package gets."""

from __future__ import annotations

from functools import partial

from torch import Tensor

from sonar_sampler.torch import sample_function

from .samplers import Model, Noise, Sampler

# The preset "Lead".
_OPTIONS = {"momentum_mode": "lead", "momentum": 0.5, "momentum_hist": 0.0}


def _run(model: Model, x: Tensor, sigmas: Tensor, seed: int, *, solver: str) -> Tensor:
    return sample_function(solver)(model, x, sigmas, noise_sampler=Noise(x, seed), disable=True, **_OPTIONS)


LEAD = Sampler("lead", "sonar", "sde", partial(_run, solver="euler_a"))
LEAD_ODE = Sampler("lead_ode", "sonar", "ode", partial(_run, solver="euler"))
