"""The sampling functions that the host's `KDiffusionSampler` calls.

The host reads their signatures to decide what to pass; everything else comes from the job, `model.p`: options, noise
and seeds. Nothing here outlives a call.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from modules import rng, shared

from sonar_sampler import SonarConfig
from sonar_sampler import torch as sonar
from sonar_sampler.errors import NumericError
from sonar_sampler.gradients import Gradients
from sonar_sampler.hosts.webui import job as jobs
from sonar_sampler.hosts.webui.conditioned import NAME, Conditioned, hindrance
from sonar_sampler.hosts.webui.losses import Losses
from sonar_sampler.listed import LISTED

Tensor = torch.Tensor
NoiseSampler = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Pass:
    """One sampling pass of a job, as `sampler.begin` left it on `p.sonar_pass`."""

    job: jobs.Job
    reference: Tensor | None = None
    mask: Tensor | None = None


def function(name: str) -> Callable[..., Tensor]:
    """The sampling function of a sampler for the host.

    Its signature is that of its solver's function in `sonar_sampler.torch` up to the keyword-only arguments, which
    come from the job.

    Args:
        name: its name in `LISTED`.
    """
    # The options that the sampler adds are in the job already.
    of_torch = sonar.sample_function(LISTED[name].solver)

    parameters = inspect.signature(of_torch).parameters
    names = [key for key, parameter in parameters.items() if parameter.kind is not parameter.KEYWORD_ONLY]

    def sample(
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Any = None,
        disable: bool | None = None,
        **options: Any,
    ) -> Tensor:
        run, denoiser = _Run(model, x), model
        noise = options.pop("noise_sampler", None) or run.noise
        if run.config.flow and options.get("s_churn"):
            run.tell(
                f"Sonar {LISTED[name].label}: Sigma churn does not fit this model (flow matching) and was left out."
            )
            options["s_churn"] = 0.0
        # k-diffusion's functions with churn take a draw at each step, used or not.
        if "s_churn" in names and noise is not None:
            every = _EveryStep(noise, callback)
            noise, callback = every.draw, every.callback
        given = {
            **options,
            "config": run.config,
            "noise_sampler": noise,
            "reference": run.reference,
            "reference_mask": run.mask,
        }
        forgiving = _Forgiving(model) if getattr(shared.cmd_opts, "disable_nan_check", False) else None
        model = forgiving or model
        losses, gradients = Losses(run.p), run.gradients(extra_args or {})
        if gradients is not None:
            model = Conditioned(model, denoiser, extra_args or {})
            extra_args = {NAME: model.condition}
            given["gradients"] = replace(
                gradients, condition=NAME, model=model.without_guidance, told=losses.told, unable=run.tell
            )
        try:
            latent = of_torch(model, x, sigmas, extra_args, callback, disable, **given)
        except NumericError:
            if forgiving is None:
                raise
            return torch.full_like(x, math.nan)
        finally:
            losses.end()
        return latent if forgiving is None else forgiving.without_lost(latent)

    sample.__signature__ = inspect.Signature([parameters[key] for key in names])  # type: ignore[attr-defined]
    sample.__name__ = sample.__qualname__ = f"sample_{name}"
    return sample


class _Forgiving:
    """A model whose answers are finite: images that it lost are left out, and the others of the batch go on.

    The host's samplers do the same by themselves, and show a lost image black.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._lost: Tensor | None = None

    def __call__(self, x: Tensor, sigma: Tensor, **kwargs: Any) -> Tensor:
        denoised: Tensor = self._model(x, sigma, **kwargs)
        lost = ~denoised.flatten(1).isfinite().all(1)
        self._lost = lost if self._lost is None else lost | self._lost
        return denoised.masked_fill(self._of_image(denoised), 0)

    def without_lost(self, latent: Tensor) -> Tensor:
        """The result of the run, NaN where an image was lost."""
        return latent.masked_fill(self._of_image(latent), math.nan)

    def _of_image(self, latent: Tensor) -> Tensor:
        assert self._lost is not None
        return self._lost.to(latent.device).reshape(-1, *[1] * (latent.ndim - 1))


class _Run:
    """What one call takes from the job."""

    def __init__(self, model: Any, x: Tensor) -> None:
        self.p: Any = getattr(model, "p", None)
        current: Pass = getattr(self.p, "sonar_pass", None) or Pass(jobs.of(self.p))
        self.config: SonarConfig = replace(
            current.job.config,
            seed=_seeds(self.p, len(x)),
            flow=_is_flow(model),
            exact_last_step=_blends_in_denoiser_only(model),
        )
        self.reference = current.reference
        self.mask = current.mask
        self.noise = _noise(self.p, x)
        self._gradients = current.job.gradients

    def gradients(self, args: Mapping[str, Any]) -> Gradients | None:
        """What is optimised; None, and a line below the images, where it cannot be."""
        gradients = self._gradients
        if gradients is None:
            return None
        if why := hindrance(self.p, args):
            self.tell(f"Sonar: nothing was optimised by gradients: {why}.")
            return None
        if gradients.grad_x_iter and self.config.exact_last_step:
            self.tell("Sonar: the finished latent was not optimised: soft inpainting keeps a part of it.")
            gradients = replace(gradients, grad_x_iter=0)
        return gradients

    def tell(self, text: str) -> None:
        """Shows a line below the images."""
        if hasattr(self.p, "comment"):
            self.p.comment(text)


class _EveryStep:
    """Takes one draw per step, used or not: the streams stay aligned."""

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
