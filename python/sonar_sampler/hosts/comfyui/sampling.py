"""The sampling functions that the host's `KSAMPLER` calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from comfy import model_sampling

from sonar_sampler import ConfigError
from sonar_sampler import torch as sonar
from sonar_sampler.hosts.comfyui import modalities, noise
from sonar_sampler.hosts.comfyui.settings import Settings
from sonar_sampler.listed import LISTED

Tensor = torch.Tensor


def function(name: str) -> Callable[..., Tensor]:
    """The sampling function of a sampler for the host.

    Args:
        name: its name in `LISTED`.
    """
    of_torch, listed = sonar.sample_function(name), LISTED[name]

    def sample(
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Mapping[str, Any] | None = None,
        callback: Any = None,
        disable: bool | None = None,
        *,
        settings: Settings | None = None,
        **options: Any,
    ) -> Tensor:
        settings, extra_args = settings or Settings(), extra_args or {}
        settings = replace(settings, options={**settings.options, **options})
        loaded = model.inner_model.inner_model
        seed, kept = extra_args.get("seed"), extra_args.get("denoise_mask")
        config = settings.config(
            len(sigmas) - 1,
            sampler=listed.solver,
            seed=noise.seeds(seed, len(x)),
            flow=isinstance(loaded.model_sampling, model_sampling.CONST),
            # The host blends the kept area into what the model answers, and does nothing after the last step.
            exact_last_step=kept is not None,
        )
        config = replace(config, **listed.missing(config.momentum_mode))
        config = replace(config, s_noise=config.s_noise * getattr(loaded.model_sampling, "noise_scale", 1.0))
        reference = None if settings.guidance is None else loaded.process_latent_in(settings.guidance.latent)
        own = settings.per_image and seed is not None
        draw = None if own else noise.sampler(listed.facts.noise, x, sigmas, seed)
        shapes = modalities.shapes(model, x)
        mask = None if settings.guidance is None else settings.guidance.mask_like(x, kept)
        given: dict[str, Any] = {"config": config, "noise_sampler": draw, "reference": reference}
        if shapes is not None:
            if mask is not None:
                raise ConfigError("a mask of the reference: is of pictures; a latent of several kinds takes none")
            return modalities.sample(model, x, sigmas, extra_args, callback, shapes, **given)
        return of_torch(model, x, sigmas, extra_args, callback, disable, reference_mask=mask, **given)

    sample.__name__ = sample.__qualname__ = f"sample_sonar_{name}"
    return sample
