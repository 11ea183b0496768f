"""Step positions as text: `12` is a step, `0.75` and `75%` are a fraction of the steps of the run."""

from __future__ import annotations

from sonar_sampler.errors import ConfigError

_ALLOWED = "must be a step such as 12, or a fraction of the steps such as 0.75 or 75%"


def parse_step(text: str | float, name: str) -> int | float:
    """A step (int) or a fraction of the steps (float in [0, 1]), from text; a number is checked and kept.

    Args:
        text: what the user wrote.
        name: the option, for messages.

    Raises:
        ConfigError: with the option, the text and what is allowed.
    """
    value = _read(text)
    if value is None or value < 0 or (isinstance(value, float) and not value <= 1):
        raise ConfigError(f"{name} = {text!r}: {_ALLOWED}")
    return value


def format_step(value: float) -> str:
    """The text that `parse_step` reads back as `value`, an int or a float."""
    return str(value)


def step_index(position: float, steps: int) -> int:
    """The step of a run of so many steps that a position means: fractions are rounded half to even."""
    return position if isinstance(position, int) else round(position * steps)


def _read(text: str | float) -> int | float | None:
    if isinstance(text, bool):
        return None
    if isinstance(text, int | float):
        return text
    stripped = str(text).strip()
    try:
        if stripped.isdecimal():
            return int(stripped)
        if stripped.endswith("%"):
            return float(stripped[:-1]) / 100
        return float(stripped)
    except ValueError:
        return None
