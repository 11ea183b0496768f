"""Latents of several kinds, such as audio and video, in one run.

The host flattens them into one array (batch, 1, numbers). What is measured per image (a reference's mean and spread,
Lead's guard) would mix the kinds: here each has a run of its own, and all ask the model at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from sonar_sampler import Denoise, Done, SonarConfig, Stepper
from sonar_sampler.tensors import ANSWER, NOISE, Tensors

Tensor = torch.Tensor
Shape = Sequence[int]


def shapes(model: Any, x: Tensor) -> list[Shape] | None:
    """The shapes of the kinds that the host flattened into x; None for a latent of one kind."""
    for conditions in getattr(model.inner_model, "conds", {}).values():
        for condition in conditions or ():
            packed = condition.get("model_conds", {}).get("latent_shapes")
            found = None if packed is None else list(packed.cond)
            if found and len(found) > 1 and x.shape[1:] == (1, sum(_size(shape) for shape in found)):
                return found
    return None


def sample(
    model: Any,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Mapping[str, Any],
    callback: Callable[[dict[str, Any]], object] | None,
    kinds: list[Shape],
    *,
    config: SonarConfig,
    noise_sampler: Callable[[Any, Any], Tensor] | None,
    reference: Tensor | None,
) -> Tensor:
    """Samples the kinds in lockstep: one call of the model for all of them.

    Args:
        model, x, sigmas, extra_args, callback: as the host gives them, x (batch, 1, numbers).
        kinds: the shape of each kind, (batch, channel, ...).
        config: of the run.
        noise_sampler: the host's noise, shaped like x; None draws from the config's seeds.
        reference: shaped like x or one image of it.

    Returns:
        The latent, shaped like x.

    Raises:
        SonarError: of the kind that fits the mistake.
    """
    tensors, levels = Tensors(x), {float(sigma): sigma for sigma in sigmas}
    references = [None] * len(kinds) if reference is None else _split(reference.to(x), kinds)
    steppers = [
        Stepper(
            replace(config, seed=_shifted(config.seed, part)),
            sigmas.tolist(),
            tensors.given(latent, "x"),
            reference=None if target is None else tensors.given(target, "reference"),
            record=False,
        )
        for part, (latent, target) in enumerate(zip(_split(x, kinds), references, strict=True))
    ]
    told = -1
    while True:
        requests = [stepper.request() for stepper in steppers]
        first = requests[0]
        if isinstance(first, Done):
            return _joined([stepper.result for stepper in steppers], x)
        if isinstance(first, Denoise):
            latent = _joined([request.x for request in requests if isinstance(request, Denoise)], x)
            answer = model(latent, x.new_full([len(x)], first.sigma), **extra_args)
            step = steppers[0].step
            if callback is not None and step > told:
                sigma, sigma_hat = sigmas[step], sigmas.new_tensor(first.sigma)
                callback({"x": latent, "i": step, "sigma": sigma, "sigma_hat": sigma_hat, "denoised": answer})
            told, name = step, ANSWER
        elif noise_sampler is None:
            for stepper in steppers:
                stepper.draw()
            continue
        else:
            ends = (levels.get(level, sigmas.new_tensor(level)) for level in (first.sigma, first.sigma_next))
            answer, name = noise_sampler(*ends), NOISE
        for stepper, part_of_answer in zip(steppers, _split(answer, kinds), strict=True):
            stepper.feed(tensors.given(part_of_answer, name))


def _shifted(seeds: int | Sequence[int] | None, part: int) -> int | Sequence[int] | None:
    """Other seeds for each kind: the same would draw the same numbers for all of them."""
    return tuple((seed + (part << 32)) % 2**64 for seed in seeds) if isinstance(seeds, tuple) else seeds


def _size(shape: Shape) -> int:
    return math.prod(shape[1:])


def _split(packed: Tensor, kinds: list[Shape]) -> list[Tensor]:
    parts = torch.split(packed, [_size(shape) for shape in kinds], dim=-1)
    return [part.reshape(len(packed), *shape[1:]) for part, shape in zip(parts, kinds, strict=True)]


def _joined(parts: Iterable[Any], like: Tensor) -> Tensor:
    return torch.cat([torch.tensor(part).reshape(len(part), 1, -1) for part in parts], dim=-1).to(like)
