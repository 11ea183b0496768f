"""The samplers as functions of the k-diffusion shape, for hosts that speak torch.

CPU tensors of float32 and float64 share their memory with the Rust core; a tensor on another device crosses over
once each way per step. The latent between the steps is float32 for lower precisions, the model sees its own
device and dtype, and the result has them too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from sonar_sampler import ConfigError, Done, DtypeError, Noise, NumericError, ScheduleError, SonarConfig, Stepper

Tensor = torch.Tensor
Model = Callable[..., Tensor]
Callback = Callable[[dict[str, Any]], object]
NoiseSampler = Callable[[Tensor, Tensor], Tensor]

_SHARED = (torch.float32, torch.float64)


def sample_sonar_euler(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    disable: bool | None = None,
    s_churn: float | None = None,
    s_tmin: float | None = None,
    s_tmax: float | None = None,
    s_noise: float | None = None,
    *,
    config: SonarConfig | None = None,
    noise_sampler: NoiseSampler | None = None,
    reference: Tensor | None = None,
    history: Tensor | None = None,
) -> Tensor:
    """Euler with momentum and reference guidance; with momentum 1 it is `k_diffusion.sampling.sample_euler`.

    Args:
        model: called as `model(x, sigma, **extra_args)` once per step, sigma one value per image; answers the
            denoised latent. Whatever it raises passes through.
        x: noised latent (batch, channel, spatial...), of any device and real floating dtype.
        sigmas: noise levels, one more than there are steps.
        extra_args: keyword arguments for the model.
        callback: told `{x, i, sigma, sigma_hat, denoised}` once per step, before x changes.
        disable: True hides the progress bar.
        s_churn, s_tmin, s_tmax, s_noise: override those of `config` where given.
        config: all other options; `SonarConfig()` if None.
        noise_sampler: called as `noise_sampler(sigma, sigma_next)` when noise is needed (with churn only); None
            draws from `config.seed`, one stream per image.
        reference: latent to pull towards, shaped like x or one image of it, not normalised.
        history: momentum history to start from, shaped like x; overrides `momentum_hist_init`.

    Returns:
        The latent, in the device and dtype of x. Inputs are not modified.

    Raises:
        SonarError: of the kind that fits the mistake.
    """
    given = {"s_churn": s_churn, "s_tmin": s_tmin, "s_tmax": s_tmax, "s_noise": s_noise}
    config = _configured(config, "euler", given)
    return _sample(model, x, sigmas, extra_args, callback, disable, config, noise_sampler, reference, history)


def sample_sonar_euler_a(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    disable: bool | None = None,
    eta: float | None = None,
    s_noise: float | None = None,
    noise_sampler: NoiseSampler | None = None,
    *,
    config: SonarConfig | None = None,
    reference: Tensor | None = None,
    history: Tensor | None = None,
) -> Tensor:
    """Ancestral Euler with momentum and reference guidance.

    With momentum 1 it is `k_diffusion.sampling.sample_euler_ancestral`. `noise_sampler` is called once for every
    step that does not end at sigma 0, even with eta 0, as k-diffusion does. The other arguments, the result and
    the errors are those of `sample_sonar_euler`; `eta` and `s_noise` override those of `config` where given.
    """
    config = _configured(config, "euler_a", {"eta": eta, "s_noise": s_noise})
    return _sample(model, x, sigmas, extra_args, callback, disable, config, noise_sampler, reference, history)


def sample_sonar_naive(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    disable: bool | None = None,
    *,
    config: SonarConfig | None = None,
    noise_sampler: NoiseSampler | None = None,
    reference: Tensor | None = None,
    history: Tensor | None = None,
) -> Tensor:
    """Euler with momentum and reference guidance, and a jitter of 1e-5 after every step.

    Arguments, result and errors are those of `sample_sonar_euler`.
    """
    config = _configured(config, "naive", {})
    return _sample(model, x, sigmas, extra_args, callback, disable, config, noise_sampler, reference, history)


def _configured(config: SonarConfig | None, sampler: str, given: Mapping[str, float | None]) -> SonarConfig:
    options = {name: value for name, value in given.items() if value is not None}
    config = config or SonarConfig()
    if config.sampler == sampler and not options:
        return config
    return replace(config, sampler=sampler, **options)  # type: ignore[arg-type]


def _sample(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Mapping[str, Any] | None,
    callback: Callback | None,
    disable: bool | None,
    config: SonarConfig,
    noise_sampler: NoiseSampler | None,
    reference: Tensor | None,
    history: Tensor | None,
) -> Tensor:
    if not callable(model):
        raise ConfigError(f"model = {model!r}: must be callable")
    host = _Host(x)
    sigmas = _schedule(sigmas)
    stepper = Stepper(
        config,
        sigmas.detach().cpu().to(torch.float64).numpy(),
        host.array(x, "x"),
        reference=None if reference is None else host.array(reference, "reference"),
        history=None if history is None else host.array(history, "history"),
        record=False,
        threads=torch.get_num_threads(),
        sqrt=_sqrt(host.working),
    )
    extra_args = extra_args or {}
    per_image = (len(x),)
    at, sigma, sigma_next = -1, sigmas[0], sigmas[0]
    with nullcontext() if disable else tqdm(total=len(sigmas) - 1, disable=disable) as progress:
        while not isinstance(request := stepper.request(), Done):
            if (step := stepper.step) != at:
                # Taking a number out of a tensor costs as much as a small latent's arithmetic: one per step.
                at, sigma, sigma_next = step, sigma_next, sigmas[step + 1]
            if isinstance(request, Noise):
                if noise_sampler is None:
                    stepper.draw()
                else:
                    stepper.feed(host.array(noise_sampler(sigma, sigma_next), "the noise"))
                continue
            latent = host.tensor(request.x)
            denoised = model(latent, x.new_full(per_image, request.sigma), **extra_args)
            if callback is not None:
                sigma_hat = sigmas.new_tensor(request.sigma)
                callback({"x": latent, "i": step, "sigma": sigma, "sigma_hat": sigma_hat, "denoised": denoised})
            noisy = stepper.draws_after_denoising
            if noisy and noise_sampler is not None:
                answer, noise = host.arrays(denoised, noise_sampler(sigma, sigma_next))
                stepper.feed(answer)
                stepper.feed(noise)
            else:
                stepper.feed(host.array(denoised, _ANSWER))
                if noisy:
                    stepper.draw()
            if progress is not None:
                progress.update()
    return host.result(stepper)


@functools.cache
def _sqrt(dtype: torch.dtype) -> Callable[[float], float]:
    """The square root of torch, so that a schedule has k-diffusion's bits: MKL's is not always rounded right."""

    @functools.lru_cache(maxsize=4096)
    def sqrt(value: float) -> float:
        return torch.tensor(value, dtype=dtype).sqrt().item()

    return sqrt


class _Host:
    """Where the caller's latents live, and how they get to the core and back."""

    def __init__(self, x: Tensor) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise _not_a_latent(x, "x")
        self._like = x
        self._stages: dict[str, Tensor] = {}
        self.working = x.dtype if x.dtype in _SHARED else torch.float32

    def array(self, tensor: Tensor, name: str) -> np.ndarray[Any, Any]:
        """A tensor's numbers in the core's dtype: the same memory if it is a CPU tensor of that dtype."""
        array: np.ndarray[Any, Any]
        if not isinstance(tensor, Tensor):
            raise _not_a_latent(tensor, name)
        if tensor.dtype is self.working and tensor.is_cpu and not tensor.requires_grad:
            array = tensor.numpy()
        elif tensor.is_floating_point():
            array = self._down(tensor.detach()).to(self.working).numpy()
        else:
            raise _not_a_latent(tensor, name)
        return array

    def arrays(self, denoised: Tensor, noise: Tensor) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """The model's answer and the noise: from another device they come in one transfer."""
        comparable = isinstance(denoised, Tensor) and not denoised.is_cpu and isinstance(noise, Tensor)
        alike = comparable and all(getattr(denoised, name) == getattr(noise, name) for name in _ALIKE)
        if not alike or not denoised.is_floating_point():
            return self.array(denoised, _ANSWER), self.array(noise, "the noise")
        both = self.array(torch.stack([denoised.detach(), noise.detach()]), _ANSWER)
        return both[0], both[1]

    def tensor(self, array: np.ndarray[Any, Any]) -> Tensor:
        """A latent of the core for the caller: the same memory if that is a CPU tensor of the core's dtype."""
        # The core hands out read-only views, which torch warns of; the buffer behind is what the model gets, as it
        # would get k-diffusion's own x.
        latent = torch.from_numpy(array if array.base is None else array.base)
        like = self._like
        if like.is_cpu and like.dtype is self.working:
            return latent
        if not _pins(like):
            return latent.to(like.device, like.dtype)
        return self._stage("up", latent.shape, like.dtype).copy_(latent).to(like.device)

    def _down(self, tensor: Tensor) -> Tensor:
        """A tensor on the CPU, in its own dtype. A staged one is good until the next comes down from its device."""
        if not _pins(tensor):
            return tensor.cpu()
        return self._stage(f"down from {tensor.device}", tensor.shape, tensor.dtype).copy_(tensor)

    def _stage(self, way: str, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """Pinned memory, which a GPU reads and writes by itself; made at first use, and again if the need changes.

        Every copy into and out of it is waited for: the core reads what has arrived, and the next step writes to
        what has left.
        """
        stage = self._stages.get(way)
        if stage is None or stage.shape != shape or stage.dtype != dtype:
            stage = self._stages[way] = _pinned(shape, dtype)
        return stage

    def result(self, stepper: Stepper) -> Tensor:
        """The latent of a run that is done."""
        latent: np.ndarray[Any, Any] = stepper.result
        largest = torch.finfo(self._like.dtype).max
        if self._like.dtype not in _SHARED and latent.size and np.abs(latent).max() > largest:
            raise NumericError(f"step {stepper.step}: the latent grew past the largest {self._like.dtype}, {largest}")
        return self.tensor(latent)


def _pins(tensor: Tensor) -> bool:
    """Whether a tensor crosses over through pinned memory."""
    return tensor.is_cuda


def _pinned(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, pin_memory=True)


_ANSWER = "the denoiser's answer"
_ALIKE = ("shape", "device", "dtype")


def _schedule(sigmas: Any) -> Tensor:
    try:
        sigmas = torch.as_tensor(sigmas)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ScheduleError(f"sigmas: {sigmas!r} is not a list of numbers") from error
    if sigmas.is_complex() or sigmas.dtype is torch.bool:
        raise ScheduleError(f"sigmas: hold {sigmas.dtype}; must be real numbers")
    checked: Tensor = sigmas
    return checked


def _not_a_latent(value: object, name: str) -> DtypeError:
    found = f"has dtype {value.dtype}" if isinstance(value, Tensor) else f"is a {type(value).__name__}"
    return DtypeError(f"{name} {found}; must be a torch tensor of a real floating dtype")
