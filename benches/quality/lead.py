"""Lead in plain torch, with its guard's parts to be switched off: what the package computes, and the ablation."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Model = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[object, object], Tensor]

GUARD = 0.25


def guarded(lead: Tensor, denoised: Tensor, x: Tensor, sigma: float, guard: float, *, turns: bool = True) -> Tensor:
    """The term `lead` where it is to be trusted; smaller, and then a lag, where the image runs away.

    Per image. Clipped to `guard` deviations of the denoised image. With `turns` it is then multiplied by 2 - r, within
    -1 and 1, where r is the distance of the answer from the noised image in units of what it should be: E|x - D|^2 is
    at most n sigma^2 for a posterior mean, and strong guidance pushes it above. A lag is not clipped. A guard of 0 does
    nothing.
    """
    if guard == 0:
        return lead
    deviation = denoised.flatten(1).double().std(1)
    share = (guard * deviation / rms(lead).clamp(min=torch.finfo(torch.float64).tiny)).clamp(max=1)
    if turns:
        distance = rms(x - denoised) / (sigma**2 + (deviation / 2) ** 2).sqrt()
        trust = (2 - distance).clamp(-1, 1)
        share = torch.where(trust > 0, share * trust, trust)
    return lead * share.to(lead.dtype)[:, None, None, None]


def rms(x: Tensor) -> Tensor:
    """Per image, (n,), float64."""
    return x.flatten(1).double().square().mean(1).sqrt()


@torch.no_grad()
def sample_lead(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    noise_sampler: Noise | None = None,
    *,
    momentum: float = 0.5,
    momentum_hist: float = 0.0,
    guard: float = GUARD,
    turns: bool = True,
    own_steps: bool = False,
) -> Tensor:
    """Ancestral Euler (eta 1) led by momentum on the denoised image; Euler without a `noise_sampler`.

    `own_steps` takes DPM++ 2M's coefficient, half the ratio of the log steps, in place of 1 - momentum: without a guard
    it is DPM++ 2M or, with noise, DPM++ 2M SDE (midpoint).
    """
    history = None
    levels = sigmas.double().tolist()
    for step, (sigma, following) in enumerate(pairwise(levels)):
        denoised = model(x, torch.full((len(x),), sigma))
        target = denoised
        if history is not None and following > 0:
            share = 1 - momentum
            if own_steps:  # equal log steps: 1 / 2
                share = math.log(sigma / following) / (2 * math.log(levels[step - 1] / sigma))
            target = denoised + guarded(share * (denoised - history), denoised, x, sigma, guard, turns=turns)
        history = denoised if history is None else momentum_hist * history + (1 - momentum_hist) * denoised
        if following == 0:
            x = target
            continue
        down, up = (following, 0.0) if noise_sampler is None else _ancestral(sigma, following)
        x = target + (x - target) * (down / sigma)
        if noise_sampler is not None:
            x = x + up * noise_sampler(sigma, following)
    return x


def _ancestral(sigma: float, following: float) -> tuple[float, float]:
    """Down to which level a step goes and how much noise comes back."""
    up = following * math.sqrt(1 - (following / sigma) ** 2)
    return math.sqrt(following**2 - up**2), up
