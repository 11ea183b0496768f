"""Options of a sampler as text: on the command line and in a picture's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sonar_sampler import ConfigError, registry
from sonar_sampler.steps import format_step, parse_step

# What the embedded model decides (it is no flow model and has no masks), and the seed, which has an option of its own.
_HIDDEN = ("flow", "exact_last_step", "seed")


def visible_knobs() -> Mapping[str, registry.Knob]:
    """The options of a sampler that the command line offers."""
    return {name: knob for name, knob in registry.knobs().items() if name not in _HIDDEN}


def is_position(name: str) -> bool:
    """Whether an option is a step of the run."""
    return name.endswith(("_start", "_stop"))


def read_option(name: str, text: str) -> Any:
    """The value of an option from its text.

    Raises:
        ConfigError: the text is no value of this option.
    """
    if is_position(name):
        return parse_step(text, name)
    parts = text.split(",")
    values = tuple(parts) if registry.knobs()[name].choices else tuple(_number(name, part) for part in parts)
    return values if len(values) > 1 else values[0]


def write_option(name: str, value: Any) -> str:
    """The text from which `read_option` makes this value."""
    if is_position(name):
        return format_step(value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{name} = {text!r}: must be a number") from None
