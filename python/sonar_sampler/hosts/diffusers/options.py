"""Sonar's options as arguments of a scheduler and in its config file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from sonar_sampler.errors import ConfigError
from sonar_sampler.registry import SOLVERS, SonarConfig, default, knobs

# What the scheduler's class decides; and churn, which would need the model's answer at a noise level of its own.
_LEFT_OUT = ("flow", "exact_last_step", "s_churn", "s_tmin", "s_tmax")

OPTIONS: tuple[str, ...] = tuple(name for name in knobs() if name not in _LEFT_OUT)
"""The options of `SonarConfig` that a scheduler takes by name."""


def with_options(host: Callable[..., None], **added: Any) -> inspect.Signature:
    """The signature of a scheduler: the host's own arguments, some more, and Sonar's options.

    diffusers makes a scheduler's config from it.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    more = {**added, **{name: default(name) for name in OPTIONS}}
    return inspect.Signature(
        [
            *inspect.signature(host).parameters.values(),
            *(inspect.Parameter(name, kind, default=value) for name, value in more.items()),
        ]
    )


def sonar_config(config: Mapping[str, Any], *, flow: bool) -> SonarConfig:
    """The options of a run from a scheduler's config.

    Raises:
        ConfigError: an option is not allowed, or the solver calls the model twice in a step.
    """
    made = SonarConfig(flow=flow, **{name: config[name] for name in OPTIONS})
    if SOLVERS[made.sampler].calls > 1:
        once = ", ".join(name for name, solver in SOLVERS.items() if solver.calls == 1)
        raise ConfigError(f"sampler = {made.sampler!r}: calls the model twice in a step; a scheduler takes {once}")
    return made


def is_flow(config: Mapping[str, Any]) -> bool:
    """Whether a scheduler's config, of whatever class, is for a flow-matching model."""
    prediction = config.get("prediction_type")
    if prediction is None:
        return "shift" in config or bool(config.get("use_flow_sigmas"))
    return prediction == "flow_prediction" or bool(config.get("use_flow_sigmas"))
