"""Lead in plain torch, with parts of its guard to be left out: `src/direction/lead.rs`, for the ablation."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Model = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[object, object], Tensor]

GUARD = 0.25
_TINY = torch.finfo(torch.float64).tiny


def shares(change: Tensor, denoised: Tensor, x: Tensor, sigma: float, p: float, guard: float) -> Tensor:
    """How much of `change`, the denoised image minus its history, is added to the denoised image: (n,), float64.

    p, times, with y = x - denoised, per image:

    - trust = 2 - rms(y) / sqrt(sigma^2 + (std(denoised) / 2.5)^2), within -1 and 1. E|y|^2 is at most n sigma^2 for a
      posterior mean; strong guidance pushes it above. A negative trust is a lag, which damps: without the rest;
    - what clips the term to `guard` deviations of the denoised image;
    - 1 + <change, y> / (2 <change, change>), within 1/2 and 1. The product is above 0 for a posterior mean, whose
      answer follows the noise by less than the noise; below under strong guidance.

    A guard of 0 leaves p.
    """
    full = torch.full((len(x),), p, dtype=torch.float64)
    if guard == 0:
        return full
    clipped = clip(change, denoised, p, guard)
    rest = (x - denoised).flatten(1).double()
    deviation = denoised.flatten(1).double().std(1)
    trust = (2 - rms(rest) / (sigma**2 + (deviation / 2.5) ** 2).sqrt()).clamp(-1, 1)
    moved = change.flatten(1).double()
    turn = (moved * rest).sum(1) / moved.square().sum(1).clamp(min=_TINY)
    return torch.where(trust > 0, clipped * trust * (1 + turn / 2).clamp(0.5, 1), full * trust)


def clip(change: Tensor, denoised: Tensor, p: float, guard: float) -> Tensor:
    """The share p, less where that moves the image by more than `guard` of its own deviations: (n,)."""
    limit = guard * denoised.flatten(1).double().std(1)
    return (limit / rms(change).clamp(min=_TINY)).clamp(max=p)


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
    clip_only: bool = False,
    ends: bool = True,
    own_steps: bool = False,
) -> Tensor:
    """Ancestral Euler (eta 1) led by momentum on the denoised image; Euler without a `noise_sampler`.

    With a guard and `ends`, the second step makes good what the first could not know and the step to sigma 0 leads too.
    `own_steps` takes DPM++ 2M's coefficient, half the ratio of the log steps, in place of 1 - momentum: without a guard
    it is DPM++ 2M or, with noise, DPM++ 2M SDE (midpoint).
    """
    history = None
    first = 0.0  # the weight of the first answer in the latent
    levels = sigmas.double().tolist()
    for step, (sigma, following) in enumerate(pairwise(levels)):
        denoised = model(x, torch.full((len(x),), sigma))
        target = denoised
        down, up = (following, 0.0) if noise_sampler is None else _ancestral(sigma, following)
        p = 1 - momentum
        if own_steps and history is not None and following > 0:
            p = math.log(sigma / following) / (2 * math.log(levels[step - 1] / sigma))
        if following == 0:
            p *= _reach(levels[step - 1] / sigma) if ends and guard > 0 else 0.0
        if history is not None and p > 0:
            change = denoised - history
            share = clip(change, denoised, p, guard) if clip_only else shares(change, denoised, x, sigma, p, guard)
            if step == 1 and ends and guard > 0:
                share = share + p * first * down / (sigma - down)
            target = denoised + share.to(x.dtype)[:, None, None, None] * change
        history = denoised if history is None else momentum_hist * history + (1 - momentum_hist) * denoised
        if following == 0:
            return target
        first = first or 1 - down / sigma
        x = target + (x - target) * (down / sigma)
        if noise_sampler is not None:
            x = x + up * noise_sampler(sigma, following)
    return x


def _reach(fell: float) -> float:
    """Of the step to sigma 0, in units of p, where the level fell by this factor before."""
    return min(1.0, 2 / (fell**2 - 1)) if fell > 1 else 0.0


def _ancestral(sigma: float, following: float) -> tuple[float, float]:
    """Down to which level a step goes and how much noise comes back."""
    up = following * math.sqrt(1 - (following / sigma) ** 2)
    return math.sqrt(following**2 - up**2), up
