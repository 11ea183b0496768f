"""The samplers as functions of the k-diffusion shape, for hosts that speak torch.

There is one for each sampler that hosts list, `sample_sonar_<name>`: `sample_sonar_euler`, `sample_sonar_euler_a`,
`sample_sonar_lead` and so on, made from its row. With momentum 1 each equals k-diffusion's function bit for bit.

CPU tensors of float32 and float64 share their memory with the Rust core; a tensor on another device crosses over
once each way per step. The latent between the steps is float32 for lower precisions, the model sees its own
device and dtype, and the result has them too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Protocol

import torch
from tqdm.auto import tqdm

from sonar_sampler._core import run_for
from sonar_sampler.brownian import BrownianNoise
from sonar_sampler.elementary import ELEMENTARY
from sonar_sampler.errors import ConfigError, ScheduleError, shown
from sonar_sampler.gradients import Gradients
from sonar_sampler.host_noise import HostNoise, NoiseSampler, private_seed
from sonar_sampler.listed import LISTED, Listed
from sonar_sampler.optimiser import Optimiser
from sonar_sampler.registry import Solver, SonarConfig, knobs, unknown_option
from sonar_sampler.tensors import ANSWER, NOISE, Array, Tensor, Tensors

_PREFIX = "sample_sonar_"
_NEEDED = frozenset({"model", "x", "sigmas"})
_OPTIONS = frozenset(knobs()) - {"sampler"}

_DOC = """{label} with momentum and reference guidance: {help}

With momentum 1 it is `k_diffusion.sampling.{original}`{note}.

Args:
    model: called as `model(x, sigma, **extra_args)`, {calls} per step, sigma one value per image; answers the
        denoised latent. Whatever it raises passes through.
    x: noised latent (batch, channel, spatial...), of any device and real floating dtype.
    sigmas: noise levels, one more than there are steps.
    extra_args: keyword arguments for the model.
    callback: told `{{x, i, sigma, sigma_hat, denoised}}` once per step, before x changes.
    disable: True hides the progress bar.
    {options}noise_sampler: called as `noise_sampler(sigma, sigma_next)` when noise is needed. None: with a seed, own
        streams, one per image; without one (`SonarConfig.seed` None), k-diffusion's own draws from torch's generator.
    config: all other options; `SonarConfig()` if None.{preset}
    reference: latent to pull towards, shaped like x or one image of it, not normalised.
    reference_mask: where it counts, in [0, 1], shaped like x with one channel; for `ref_method` "denoised".
    history: momentum history to start from, shaped like x; overrides `momentum_hist_init`.
    gradients: optimises the condition, the result, or the way to the reference by the model's gradients
        (`gradients.Gradients`); None: nothing.
    momentum, ...: every option of `SonarConfig` by name; they override those of `config`.

Returns:
    The latent, in the device and dtype of x. Inputs are not modified.

Raises:
    SonarError: of the kind that fits the mistake.
"""
_PRESET = """ The momentum of the preset {} takes the place of
        its own, unless its `momentum_mode` is "lead" too."""
_ORIGINALS = {"euler_a": "sample_euler_ancestral", "naive": "sample_euler"}


Model = Callable[..., Tensor]
Callback = Callable[[dict[str, Any]], object]


class SampleFunction(Protocol):
    """A sampling function of the k-diffusion shape; `inspect.signature` shows the solver's own options too."""

    __name__: str

    def __call__(
        self,
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        disable: bool | None = None,
        *more: Any,
        **options: Any,
    ) -> Tensor:
        """Samples."""
        ...


def sample_function(sampler: str) -> SampleFunction:
    """The sampling function of a sampler of `listed.LISTED`: `sample_function("heun")` is `sample_sonar_heun`."""
    function: SampleFunction = globals()[_PREFIX + sampler]
    return function


def _function(name: str, listed: Listed) -> SampleFunction:
    solver = listed.facts
    signature = _signature(solver)
    arguments, positional = frozenset(signature.parameters), _positional(signature)

    def sample(*args: Any, **kwargs: Any) -> Tensor:
        given = {**dict(zip(positional, args, strict=False)), **kwargs}
        if not arguments.issuperset(given):
            unknown = next(argument for argument in kwargs if argument not in arguments)
            raise unknown_option(unknown, kwargs[unknown], list(signature.parameters))
        if len(given) < len(args) + len(kwargs) or len(_NEEDED.intersection(given)) < len(_NEEDED):
            signature.bind(*args, **kwargs)  # whose errors are Python's own; too slow to be asked each time
        # Hosts give None for what they leave to the config.
        options = {option: given.pop(option) for option in _OPTIONS.intersection(given)}
        options = {option: value for option, value in options.items() if value is not None}
        return _sample(solver, _configured(given.pop("config", None), listed, options), **given)

    sample.__name__ = sample.__qualname__ = _PREFIX + name
    sample.__module__ = __name__
    sample.__signature__ = signature  # type: ignore[attr-defined]
    sample.__doc__ = _DOC.format(
        label=listed.label,
        help=listed.help,
        original=_ORIGINALS.get(listed.solver, f"sample_{listed.solver}"),
        note=" and a jitter of 1e-5 after every step" if solver.noise == "private" else "",
        calls="once" if solver.calls == 1 else "twice",
        options=f"{', '.join(solver.options)}: override those of `config` where given.\n    " if solver.options else "",
        preset=_PRESET.format(listed.preset) if listed.preset else "",
    )
    return sample


def _signature(solver: Solver) -> inspect.Signature:
    """k-diffusion's arguments in its order; by keyword alone, the rest."""
    positional, keyword = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    host_noise = ["noise_sampler"] if solver.noise in ("independent", "brownian") else []
    optional = ["extra_args", "callback", "disable", *solver.options, *host_noise]
    rest = [
        "config",
        "noise_sampler",
        "reference",
        "reference_mask",
        "history",
        "gradients",
        *(name for name in knobs() if name in _OPTIONS),
    ]
    return inspect.Signature(
        [
            *(inspect.Parameter(name, positional) for name in ("model", "x", "sigmas")),
            *(inspect.Parameter(name, positional, default=None) for name in optional),
            *(inspect.Parameter(name, keyword, default=None) for name in rest if name not in optional),
        ]
    )


def _positional(signature: inspect.Signature) -> list[str]:
    return [name for name, argument in signature.parameters.items() if argument.kind is not argument.KEYWORD_ONLY]


def _configured(config: SonarConfig | None, listed: Listed, given: Mapping[str, Any]) -> SonarConfig:
    config = config or SonarConfig()
    given = {**listed.missing(config.momentum_mode), **given}
    if config.sampler == listed.solver and not given:
        return config
    return replace(config, **{"sampler": listed.solver, **given})


def _sample(
    solver: Solver,
    config: SonarConfig,
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    extra_args: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
    disable: bool | None = None,
    noise_sampler: NoiseSampler | None = None,
    reference: Tensor | None = None,
    reference_mask: Tensor | None = None,
    history: Tensor | None = None,
    gradients: Gradients | None = None,
) -> Tensor:
    if not callable(model):
        raise ConfigError(f"model = {shown(model)}: must be callable")
    tensors = Tensors(x)
    sigmas = _schedule(sigmas)
    noise: HostNoise | None = None
    if noise_sampler is not None:
        noise = HostNoise(noise_sampler)
    elif config.seed is None:
        noise = HostNoise.of_k_diffusion(solver.noise, x, sigmas)
        config = private_seed(config, solver.noise)
    args, optimiser = extra_args or {}, None
    if gradients is not None:
        seeds = _seeds(config, len(x))
        levels = sigmas.tolist()
        optimiser = Optimiser(_checked(gradients), model, args, seeds, config, levels, reference, reference_mask)
        if optimiser.pulls:
            config = replace(config, ref_factor=0.0)  # the core still checks the reference
    with nullcontext() if disable else tqdm(total=len(sigmas) - 1, disable=disable) as progress:
        latent = run_for(
            _Host(model, tensors, sigmas, args, callback, noise, progress, optimiser),
            tensors.given(x, "x"),
            sigmas.tolist(),
            config,
            reference=tensors.optional(reference, "reference"),
            reference_mask=tensors.optional(reference_mask, "reference_mask"),
            history=tensors.optional(history, "history"),
            threads=torch.get_num_threads(),
            elementary=ELEMENTARY[tensors.working],
        )
    result = tensors.result(latent)
    return result if optimiser is None else optimiser.of_latent(result, len(sigmas) - 1)


def _checked(gradients: Any) -> Gradients:
    if not isinstance(gradients, Gradients):
        raise ConfigError(f"gradients = {shown(gradients)}: must be a Gradients")
    return gradients


def _seeds(config: SonarConfig, batch: int) -> Sequence[int]:
    seed = config.seed or 0
    return [seed + image for image in range(batch)] if isinstance(seed, int) else seed


class _Host:
    """What `run_for` asks."""

    def __init__(
        self,
        model: Model,
        tensors: Tensors,
        sigmas: Tensor,
        extra_args: Mapping[str, Any],
        callback: Callback | None,
        noise: HostNoise | None,
        progress: tqdm[Any] | None,
        optimiser: Optimiser | None,
    ) -> None:
        self._model = model
        self._tensors = tensors
        self._sigmas = sigmas
        self._extra_args = extra_args
        self._callback = callback
        self._draw = None if noise is None else noise.sampler
        self._idle = noise.sampler if noise is not None and noise.idles else None
        self._progress = progress
        self._optimiser = optimiser
        # Asked before each step, which costs a crossing: only where it has an answer.
        self.begin_step = self._moved if optimiser is not None and optimiser.pulls else None

    def begin(self, levels: list[float]) -> None:
        # Once per run: between the calls of a model, each kind of torch's operations costs as much as half of a small
        # latent's arithmetic.
        own = (self._sigmas.new_tensor(level) for level in levels[len(self._sigmas) :])
        self._levels: Sequence[Tensor] = [*self._sigmas.unbind(), *own]
        self._per_image = self._tensors.per_image(levels)

    def _moved(self, x: Array, step: int, level: int) -> Array | None:
        assert self._optimiser is not None
        moved = self._optimiser.of_step(self._tensors.tensor(x), self._per_image[level], step)
        return None if moved is None else self._tensors.given(moved, "x")

    def denoise(
        self, x: Array, step: int, level: int, first: bool, draws: tuple[int, int] | None
    ) -> tuple[Array, Array | None]:
        latent, levels = self._tensors.tensor(x), self._levels
        if self._idle is not None and first and level == step:
            # Drawn and not used, so that the host's generator is where k-diffusion leaves it.
            self._idle(levels[step], levels[step + 1])
        denoised = self._model(latent, self._per_image[level], **self._extra_args)
        if first:
            if self._callback is not None:
                sigma = levels[step]
                told = {"x": latent, "i": step, "sigma": sigma, "sigma_hat": levels[level], "denoised": denoised}
                self._callback(told)
            if self._progress is not None:
                self._progress.update()
            if self._optimiser is not None:
                self._optimiser.of_condition(denoised, self._per_image[level], step)
                self._extra_args = self._optimiser.extra_args
        if draws is not None and self._draw is not None:
            return self._tensors.arrays(denoised, self._draw(levels[draws[0]], levels[draws[1]]))
        return self._tensors.array(denoised, ANSWER), None

    def noise(self, level: int, next_level: int) -> Array | None:
        if self._draw is None:
            return None
        return self._tensors.array(self._draw(self._levels[level], self._levels[next_level]), NOISE)


def _schedule(sigmas: Any) -> Tensor:
    try:
        sigmas = torch.as_tensor(sigmas)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ScheduleError(f"sigmas: {shown(sigmas)} is not a list of numbers") from error
    if sigmas.is_complex() or sigmas.dtype is torch.bool:
        raise ScheduleError(f"sigmas: hold {sigmas.dtype}; must be real numbers")
    if sigmas.ndim != 1:
        raise ScheduleError(f"sigmas: have shape {list(sigmas.shape)}; must be one-dimensional")
    checked: Tensor = sigmas.detach()
    return checked


_FUNCTIONS = {_PREFIX + name: _function(name, listed) for name, listed in LISTED.items()}
globals().update(_FUNCTIONS)

__all__ = ["BrownianNoise", "SampleFunction", "sample_function", *_FUNCTIONS]


def __getattr__(name: str) -> SampleFunction:
    """For type checkers, which do not see the functions that are made from the table."""
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
