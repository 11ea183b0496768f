"""The table of options as inputs of nodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from comfy_api.v0_0_2 import io

from sonar_sampler.registry import Knob, default, knobs
from sonar_sampler.steps import format_step, parse_step

UNLIMITED = 1e6
"""What a node shows for infinity, which JSON does not have: more than any model's sigma."""


def names(*groups: str) -> list[str]:
    """The options of some groups, in order."""
    return [name for name, knob in knobs().items() if knob.group in groups]


def of_options(options: list[str]) -> list[Any]:
    """One input for each option, with its label and help."""
    return [of_knob(name, knobs()[name], default(name)) for name in options]


def of_knob(name: str, knob: Knob, value: Any) -> Any:
    """The input of a knob whose default is `value`."""
    shown = {"display_name": knob.label, "tooltip": knob.help}
    if knob.kind == "choice":
        return io.Combo.Input(name, options=list(knob.choices), default=value, **shown)
    if knob.kind == "step":
        return io.String.Input(name, default=format_step(value), **shown)
    low = 0.0 if knob.low is None else knob.low
    high = UNLIMITED if knob.high is None else knob.high
    step = 0.01 if knob.step is None else knob.step
    return io.Float.Input(name, default=min(value, high), min=low, max=high, step=step, **shown)


def read(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `SonarConfig` that the inputs hold.

    Raises:
        ConfigError: a step is neither a number nor a fraction.
    """
    return {name: _value(name, value) for name, value in values.items()}


def _value(name: str, value: Any) -> Any:
    kind = knobs()[name].kind
    if kind == "step":
        return parse_step(value, name)
    return math.inf if kind == "number" and value == UNLIMITED else value
