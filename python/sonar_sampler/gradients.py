"""Optimisation of the condition, of the final latent, and towards a reference, by the model's own gradients.

The original Sonar had the first two until the web UI switched gradients off in January 2023: with D the model without
guidance, what it answers is asked to be what it would answer again. Off unless asked for; for torch models, since the
gradient is the model's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from sonar_sampler.descent import Descent
from sonar_sampler.errors import ConfigError, shown
from sonar_sampler.registry import SonarConfig, option

Tensor = torch.Tensor
Model = Callable[..., Tensor]

ITERATIONS = ("grad_c_iter", "grad_x_iter", "grad_r_iter")
"""The options that switch something on."""

MOST_ITERATIONS = 100
"""Of one descent: each calls the model, and goes back through it."""

_COST = f"Each costs about as much as {{}} plain steps. At most {MOST_ITERATIONS}; 0 is off."


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
        of the latent x before a step:                        mean |mask low(R' - D(x; c))|^2, R' the reference as
                                                              `ref_match` has it at the descent's start

    by steps of `grad_rule`, image by image: "norm" is v -= alpha rms(v) g / rms(g); "sign" is v -= alpha sign(g), as
    the original's. In the last of the three alpha is the weight w of `ref_method` "denoised" at that step, which is its
    factor times its window, in units of sigma: v -= w sigma g / rms(g). A negative one pushes away. The pull itself is
    not done then. An image whose loss rises stops there; it keeps the best that it had.

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
        grad_r_iter: iterations before each step in the reference's window; 0: the reference pulls as it does.
        grad_rule: the rule.
        told: called with each `Descent`.
        unable: called with the reason, once, if the model cannot be gone back through, and the run goes on without;
            None: a `GradientWarning`.

    Raises:
        ConfigError: with the option, its value and what is allowed.
    """

    condition: str = "cond"
    model: Model | None = None
    grad_c_iter: int = option(
        0,
        "whole",
        "gradients",
        "Prompt iterations",
        f"How often the prompt's condition is optimised after each step, for this image alone. {_COST.format('five')}",
        low=0,
        high=20,
        step=1,
    )
    grad_c_skip: int = option(
        0,
        "whole",
        "gradients",
        "Prompt skip",
        "How many steps pass before the prompt is optimised.",
        low=0,
        high=50,
        step=1,
        needs=("grad_c_iter",),
    )
    grad_c_alpha: float = option(
        0.01,
        "number",
        "gradients",
        "Prompt alpha",
        "How far the prompt's condition moves in one iteration, as a part of its own size.",
        low=0.001,
        high=0.1,
        step=0.001,
        needs=("grad_c_iter",),
    )
    grad_x_iter: int = option(
        0,
        "whole",
        "gradients",
        "Latent iterations",
        f"How often the finished latent is optimised, after the last step. {_COST.format('five')}",
        low=0,
        high=20,
        step=1,
    )
    grad_x_alpha: float = option(
        0.01,
        "number",
        "gradients",
        "Latent alpha",
        "How far the latent moves in one iteration, as a part of its own size.",
        low=0.001,
        high=0.1,
        step=0.001,
        needs=("grad_x_iter",),
    )
    grad_x_sigma: float = option(
        0.1,
        "number",
        "gradients",
        "Latent sigma",
        "The noise with which the finished latent is tried.",
        low=0.01,
        high=2.0,
        step=0.01,
        needs=("grad_x_iter",),
    )
    grad_r_iter: int = option(
        0,
        "whole",
        "gradients",
        "Reference iterations",
        "How often the latent is moved towards the reference by the model's gradient before each step, in the place of "
        f"the pull of Reference method denoised, which must be chosen. {_COST.format('three')}",
        low=0,
        high=20,
        step=1,
    )
    grad_rule: Literal["norm", "sign"] = option(
        "norm",
        "choice",
        "gradients",
        "Gradient rule",
        "norm: along the slope, by alpha of the thing's own size. sign: the original's, every number by alpha.",
        choices=("norm", "sign"),
    )
    told: Callable[[Descent], object] | None = None
    unable: Callable[[str], object] | None = None

    def __post_init__(self) -> None:
        for name in ITERATIONS:
            self._check_whole(name, MOST_ITERATIONS)
        self._check_whole("grad_c_skip")
        for name in ("grad_c_alpha", "grad_x_alpha", "grad_x_sigma"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not (0 < value < math.inf):
                raise ConfigError(f"{name} = {shown(value)}: must be a finite number above 0")
        if self.grad_rule not in ("norm", "sign"):
            raise ConfigError(f"grad_rule = {shown(self.grad_rule)}: must be one of norm, sign")
        for name in ("model", "told", "unable"):
            if not (getattr(self, name) is None or callable(getattr(self, name))):
                raise ConfigError(f"{name} = {shown(getattr(self, name))}: must be callable")

    def check(self, config: SonarConfig) -> None:
        """Refuses what does not fit the other options of a run with a reference.

        Raises:
            ConfigError: `grad_r_iter` with another `ref_method` than denoised.
        """
        if self.grad_r_iter and config.ref_method != "denoised":
            raise ConfigError(
                f"grad_r_iter = {self.grad_r_iter}: needs ref_method = denoised, whose factor, window, match and "
                f"detail it has; this is {config.ref_method}"
            )

    @property
    def is_on(self) -> bool:
        """Whether anything is optimised."""
        return any(getattr(self, name) for name in ITERATIONS)

    def _check_whole(self, name: str, most: int | None = None) -> None:
        value = getattr(self, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0 or (most and value > most):
            allowed = f"must be a whole number from 0 to {most}" if most else "must be a whole number from 0"
            raise ConfigError(f"{name} = {shown(value)}: {allowed}")
