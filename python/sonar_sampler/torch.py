"""The samplers as functions of the k-diffusion shape, for hosts that speak torch.

CPU tensors of float32 and float64 share their memory with the Rust core; a tensor on another device crosses over
once each way per step. The latent between the steps is float32 for lower precisions, the model sees its own
device and dtype, and the result has them too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from tqdm.auto import tqdm

from sonar_sampler import ConfigError, ScheduleError, SonarConfig
from sonar_sampler._core import sample_for
from sonar_sampler.tensors import ANSWER, NOISE, Array, Tensor, Tensors

Model = Callable[..., Tensor]
Callback = Callable[[dict[str, Any]], object]
NoiseSampler = Callable[[Tensor, Tensor], Tensor]


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
    tensors = Tensors(x)
    sigmas = _schedule(sigmas)
    levels = sigmas.tolist()
    with nullcontext() if disable else tqdm(total=len(sigmas) - 1, disable=disable) as progress:
        latent = sample_for(
            _Host(model, tensors, sigmas.unbind(), levels, extra_args or {}, callback, noise_sampler, progress),
            tensors.given(x, "x"),
            levels,
            config,
            reference=None if reference is None else tensors.given(reference, "reference"),
            history=None if history is None else tensors.given(history, "history"),
            threads=torch.get_num_threads(),
            sqrt=_ROOTS[tensors.working].__getitem__,
        )
    return tensors.result(latent)


class _Host:
    """What `sample_for` asks at each step."""

    def __init__(
        self,
        model: Model,
        tensors: Tensors,
        sigmas: Sequence[Tensor],
        levels: list[float],
        extra_args: Mapping[str, Any],
        callback: Callback | None,
        noise_sampler: NoiseSampler | None,
        progress: tqdm[Any] | None,
    ) -> None:
        self._model = model
        self._tensors = tensors
        self._extra_args = extra_args
        self._callback = callback
        self._noise_sampler = noise_sampler
        self._progress = progress
        # Once per run: between the calls of a model, each kind of torch's operations costs as much as half of a small
        # latent's arithmetic.
        self._sigmas = sigmas
        self._per_image = tensors.per_image(levels)

    def denoise(self, x: Array, step: int, sigma_hat: float | None, draws: bool) -> tuple[Array, Array | None]:
        latent, sigma, per_image = self._tensors.tensor(x), self._sigmas[step], self._per_image[step]
        if sigma_hat is not None:
            per_image = torch.full_like(per_image, sigma_hat)
        denoised = self._model(latent, per_image, **self._extra_args)
        if self._callback is not None:
            told = sigma if sigma_hat is None else sigma.new_tensor(sigma_hat)
            self._callback({"x": latent, "i": step, "sigma": sigma, "sigma_hat": told, "denoised": denoised})
        if self._progress is not None:
            self._progress.update()
        if draws and self._noise_sampler is not None:
            return self._tensors.arrays(denoised, self._noise_sampler(sigma, self._sigmas[step + 1]))
        return self._tensors.array(denoised, ANSWER), None

    def noise(self, step: int) -> Array | None:
        if self._noise_sampler is None:
            return None
        return self._tensors.array(self._noise_sampler(self._sigmas[step], self._sigmas[step + 1]), NOISE)


class _Roots(dict[float, float]):
    """Square roots as torch computes them, for k-diffusion's bits: MKL's are not always rounded right."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def __missing__(self, value: float) -> float:
        if len(self) == _MOST_ROOTS:
            self.clear()
        root: float = torch.tensor(value, dtype=self._dtype).sqrt().item()
        self[value] = root
        return root


_MOST_ROOTS = 4096
_ROOTS = {dtype: _Roots(dtype) for dtype in (torch.float32, torch.float64)}


def _schedule(sigmas: Any) -> Tensor:
    try:
        sigmas = torch.as_tensor(sigmas)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ScheduleError(f"sigmas: {sigmas!r} is not a list of numbers") from error
    if sigmas.is_complex() or sigmas.dtype is torch.bool:
        raise ScheduleError(f"sigmas: hold {sigmas.dtype}; must be real numbers")
    if sigmas.ndim != 1:
        raise ScheduleError(f"sigmas: have shape {list(sigmas.shape)}; must be one-dimensional")
    checked: Tensor = sigmas.detach()
    return checked
