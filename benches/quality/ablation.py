"""Lead with parts of its guard left out, and the guard on DPM++ 2M SDE."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from .lead import sample_lead
from .samplers import Model, Noise, Sampler


def _run(model: Model, x: Tensor, sigmas: Tensor, seed: int, *, noisy: bool, **options: Any) -> Tensor:
    return sample_lead(model, x, sigmas, Noise(x, seed) if noisy else None, **options)


def _of(name: str, process: str, **options: Any) -> Sampler:
    return Sampler(name, "ablation", process, partial(_run, noisy=process == "sde", **options))


ABLATION = (
    _of("lead, no guard", "sde", guard=0.0),
    _of("lead, clip only", "sde", clip_only=True),
    _of("lead, plain ends", "sde", ends=False),
    _of("2M SDE, no guard", "sde", guard=0.0, own_steps=True),
    _of("2M SDE, guard", "sde", own_steps=True),
    _of("lead_ode, no guard", "ode", guard=0.0),
    _of("lead_ode, plain ends", "ode", ends=False),
)
