"""Optimisation of the condition and of the final latent by the model's own gradients.

The original Sonar had it until the web UI switched gradients off in January 2023: with D the model without guidance,
what it answers is asked to be what it would answer again. Off unless asked for; for torch models, since the gradient is
the model's.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from sonar_sampler.descent import Descent, descend, usual
from sonar_sampler.errors import ConfigError, shown

Tensor = torch.Tensor
Model = Callable[..., Tensor]

MOST_ITERATIONS = 100
"""Of one descent: each calls the model twice and goes back through it."""


class GradientWarning(UserWarning):
    """The model cannot be gone back through; the run went on without."""


@dataclass(frozen=True)
class Gradients:
    """What is optimised in a run, and how.

    With `eps` a standard normal draw of the image and step, kept for all iterations of a descent, and both signs of it,
    each descent lowers

        of the condition c, after a step's first model call:  mean |D(D0 + s eps; c) - D0|^2 / s^2, s the step's sigma,
                                                              D0 its answer, which stays as it is
        of the final latent x:                                mean |D(x + s eps; c) - x|^2 / s^2, s = grad_x_sigma

    by steps of `grad_rule`: "norm" is v -= alpha rms(v) g / rms(g), image by image; "sign" is v -= alpha sign(g), as
    the original's. An image whose loss rises stops there; it keeps the best that it had.

    Attributes:
        condition: the key of `extra_args` that is the condition: a floating tensor with one entry per image. It is
            never written to: the run works on a copy of its own.
        model: the conditional branch alone, called as the model; None: the model itself, which then must be without
            guidance.
        grad_c_iter: iterations after each step; 0 leaves the condition alone.
        grad_c_skip: the steps before the first of them.
        grad_c_alpha: the length of a step of the condition.
        grad_x_iter: iterations after the last step; 0 leaves the latent alone.
        grad_x_alpha, grad_x_sigma: the length of a step of the latent, and the noise that it is tried with.
        grad_rule: the rule.
        told: called with the `Descent` of each step's condition and with that of the latent.

    Raises:
        ConfigError: with the option, its value and what is allowed.
    """

    condition: str = "cond"
    model: Model | None = None
    grad_c_iter: int = 0
    grad_c_skip: int = 0
    grad_c_alpha: float = 0.01
    grad_x_iter: int = 0
    grad_x_alpha: float = 0.01
    grad_x_sigma: float = 0.1
    grad_rule: Literal["norm", "sign"] = "norm"
    told: Callable[[Descent], object] | None = None

    def __post_init__(self) -> None:
        for name, most in (("grad_c_iter", MOST_ITERATIONS), ("grad_c_skip", None), ("grad_x_iter", MOST_ITERATIONS)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0 or (most and value > most):
                allowed = f"must be a whole number from 0 to {most}" if most else "must be a whole number from 0"
                raise ConfigError(f"{name} = {shown(value)}: {allowed}")
        for name in ("grad_c_alpha", "grad_x_alpha", "grad_x_sigma"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not (0 < value < math.inf):
                raise ConfigError(f"{name} = {shown(value)}: must be a finite number above 0")
        if self.grad_rule not in ("norm", "sign"):
            raise ConfigError(f"grad_rule = {shown(self.grad_rule)}: must be one of norm, sign")
        for name in ("model", "told"):
            if not (getattr(self, name) is None or callable(getattr(self, name))):
                raise ConfigError(f"{name} = {shown(getattr(self, name))}: must be callable")


class Optimiser:
    """The descents of one run, on copies of its own of what they change.

    Args:
        gradients: what is optimised.
        model: the run's model.
        extra_args: what the model is called with; not written to.
        seeds: one per image, for the noise.

    Raises:
        ConfigError: a condition is to be optimised, and there is none.
    """

    def __init__(self, gradients: Gradients, model: Model, extra_args: Mapping[str, Any], seeds: Sequence[int]) -> None:
        self._gradients = gradients
        self._model = gradients.model or model
        self._seeds = seeds
        self._is_able = True
        self.extra_args = dict(extra_args)
        if gradients.grad_c_iter:
            self._check_condition()

    def of_condition(self, denoised: Tensor, sigma: Tensor, step: int) -> None:
        """Optimises the condition for the steps after this one, after what the model answered at sigma (per image)."""
        given, key = self._gradients, self._gradients.condition
        if step < given.grad_c_skip or not given.grad_c_iter or not self._is_able:
            return
        with torch.inference_mode(False):
            sigma, answer = usual(sigma), usual(denoised)
            level = _per_image(sigma, answer)
            noise = self._noise(answer, step) * level

            def loss(condition: Tensor) -> Tensor:
                args = {**self.extra_args, key: condition}
                return _error(
                    [self._model(answer + signed, sigma, **args) for signed in (noise, -noise)], answer, level
                )

            condition = self.extra_args[key]
            found = self._descended(loss, condition, given.grad_c_iter, given.grad_c_alpha, step)
        if found is not None:
            self.extra_args[key] = found

    def of_latent(self, latent: Tensor, steps: int) -> Tensor:
        """The final latent, optimised."""
        given = self._gradients
        if not given.grad_x_iter or not self._is_able:
            return latent
        with torch.inference_mode(False):
            sigma = torch.full((len(latent),), given.grad_x_sigma, dtype=latent.dtype, device=latent.device)
            level = _per_image(sigma, latent)
            noise = self._noise(latent, steps) * level

            def loss(clean: Tensor) -> Tensor:
                answers = [self._model(clean + signed, sigma, **self.extra_args) for signed in (noise, -noise)]
                return _error(answers, clean, level)

            found = self._descended(loss, latent, given.grad_x_iter, given.grad_x_alpha, None)
        return latent if found is None else found

    def _descended(
        self, loss: Callable[[Tensor], Tensor], start: Tensor, iterations: int, alpha: float, step: int | None
    ) -> Tensor | None:
        try:
            found = descend(loss, start, iterations, alpha, self._gradients.grad_rule, step)
        except RuntimeError as error:  # want of memory, quantised weights, inference tensors, checkpoints
            self._is_able = False
            reason = str(error).strip().split("\n")[0][:200]
            message = f"Sonar: no gradients, since this model cannot be gone back through ({reason}); the run goes on"
            warnings.warn(message, GradientWarning, stacklevel=2)
            return None
        if self._gradients.told is not None:
            self._gradients.told(found)
        return found.best

    def _noise(self, like: Tensor, step: int) -> Tensor:
        """A draw of each image and step, for all iterations: with a fresh one losses could not be compared."""
        draws = []
        for seed in self._seeds:
            key = hashlib.sha256(f"gradient {seed} {step}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "little") >> 1)
            draws.append(torch.randn(like.shape[1:], generator=generator))
        return torch.stack(draws).to(like)

    def _check_condition(self) -> None:
        key = self._gradients.condition
        found = self.extra_args.get(key)
        if not isinstance(found, Tensor) or not found.is_floating_point() or len(found) != len(self._seeds):
            what = f"is {shown(found)}" if not isinstance(found, Tensor) else f"has shape {list(found.shape)}"
            raise ConfigError(
                f"condition = {key!r}: extra_args[{key!r}] {what}; must be a floating tensor with one entry for each "
                f"of the {len(self._seeds)} images"
            )


def _per_image(sigma: Tensor, like: Tensor) -> Tensor:
    return sigma.to(like).reshape(-1, *[1] * (like.ndim - 1))


def _error(answers: Sequence[Tensor], clean: Tensor, level: Tensor) -> Tensor:
    """The mean square of what the answers are off, in units of the noise, for each image."""
    errors = [((answer - clean) / level).square().flatten(1).mean(1) for answer in answers]
    return torch.stack(errors).mean(0)
