"""The descents of one run."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from sonar_sampler import _core
from sonar_sampler.descent import descend, usual, wide
from sonar_sampler.errors import ConfigError, shown
from sonar_sampler.gradients import Gradients, GradientWarning, Model
from sonar_sampler.reference_loss import ReferenceLoss
from sonar_sampler.registry import SonarConfig

Tensor = torch.Tensor
Loss = Callable[[Tensor], Tensor]


class Optimiser:
    """The descents of one run, on copies of its own of what they change.

    Args:
        gradients: what is optimised.
        model: the run's model.
        extra_args: what the model is called with; not written to.
        seeds: one per image, for the noise.
        config: of the run.
        sigmas: the noise levels of the schedule.
        reference, mask: what `grad_r_iter` goes towards, and where, as `ReferenceLoss` has them.

    Raises:
        ConfigError: a condition is to be optimised, and there is none; `grad_r_iter` with another `ref_method`.
    """

    def __init__(
        self,
        gradients: Gradients,
        model: Model,
        extra_args: Mapping[str, Any],
        seeds: Sequence[int],
        config: SonarConfig,
        sigmas: Sequence[float],
        reference: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> None:
        self._gradients = gradients
        self._model = gradients.model or model
        self._seeds = seeds
        self._is_able = True
        self.extra_args = dict(extra_args)
        self._reference: ReferenceLoss | None = None
        if gradients.grad_c_iter:
            self._check_condition()
        if gradients.grad_r_iter and reference is not None:
            gradients.check(config)
            self._reference = ReferenceLoss(config, reference, mask)
            self._weights = _core.reference_weights(config, sigmas)

    @property
    def pulls(self) -> bool:
        """Whether the latent is moved towards a reference, in the place of the pull."""
        return self._reference is not None

    def of_step(self, latent: Tensor, sigma: Tensor, step: int) -> Tensor | None:
        """The latent before a step, moved towards the reference; sigma (per image) is its noise. None: as it is."""
        near = self._reference
        if near is None or not self._is_able or not (weight := self._weights[step]):
            return None
        sign = 1.0 if weight > 0 else -1.0
        with torch.inference_mode(False):
            sigma = usual(sigma)
            towards: list[Tensor] = []

            def loss(moved: Tensor) -> Tensor:
                answer = self._model(moved, sigma, **self.extra_args)
                if not towards:
                    towards.append(near.towards(answer.detach()))
                return sign * near(answer, towards[0])

            unit = _per_image(sigma, latent)
            return self._descended(loss, latent, self._gradients.grad_r_iter, abs(weight), "reference", step, unit)

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

            start = self.extra_args[key]
            found = self._descended(loss, start, given.grad_c_iter, given.grad_c_alpha, "condition", step)
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

            found = self._descended(loss, latent, given.grad_x_iter, given.grad_x_alpha, "latent", None)
        return latent if found is None else found

    def _descended(
        self,
        loss: Loss,
        start: Tensor,
        iterations: int,
        alpha: float,
        of: str,
        step: int | None,
        unit: Tensor | None = None,
    ) -> Tensor | None:
        try:
            found = descend(loss, start, iterations, alpha, self._gradients.grad_rule, unit)
        except RuntimeError as error:  # want of memory, quantised weights, inference tensors, checkpoints
            self._is_able = False
            reason = str(error).strip().split("\n")[0][:200]
            message = f"Sonar: no gradients, since this model cannot be gone back through ({reason}); the run goes on"
            if self._gradients.unable is not None:
                self._gradients.unable(message)
            else:
                warnings.warn(message, GradientWarning, stacklevel=2)
            return None
        if self._gradients.told is not None:
            self._gradients.told(replace(found, of=of, step=step))
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
    errors = [((answer - clean) / level).to(wide(clean)).square().flatten(1).mean(1) for answer in answers]
    return torch.stack(errors).mean(0)
