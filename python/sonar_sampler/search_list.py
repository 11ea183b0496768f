"""Search lists: the short text in which a user writes the values that a grid search runs through.

| text | values |
|---|---|
| `0.75` | 0.75 |
| `0.75:0.95` | three values, ends included: 0.75, 0.85, 0.95 |
| `0.75:0.95:5` | five values (a whole third part from 2 up is a count) |
| `0.95:0.75:-0.1` | from 0.95 by steps of -0.1, never past 0.75 |
| `0.75:0.95:3, 1` | both parts, one after the other |
"""

from __future__ import annotations

import math
from typing import Any

from sonar_sampler.errors import ConfigError
from sonar_sampler.registry import SonarConfig, knobs

MOST = 1000
"""Longer lists are refused: nobody means a sheet of that size."""

_SYNTAX = "must be values such as 0.75, 0.75:0.95 (three), 0.75:0.95:5 (five) or 0.95:0.75:-0.1 (a step)"
_THIRD = "the third part must be a count (a whole number from 2 up) or a step between -1 and 1 that is not 0"
# Steps and counts are decimal in the user's mind: 0.75 + 3 * 0.05 is 0.9 to him.
_DIGITS = 10


def parse_search_list(text: str, name: str) -> tuple[float, ...]:
    """The values that a search list stands for, in its order.

    Args:
        text: the list, in the syntax of this module's table.
        name: the option that is searched, for messages; the values of an option of `SonarConfig` are checked.

    Raises:
        ConfigError: with the option, the text and what is allowed.
    """
    values: list[float] = []
    for part in text.split(","):
        values += _range(part, text, name)
        if len(values) > MOST:
            raise _too_many(text, name)
    if name in knobs():
        for value in values:
            option: dict[str, Any] = {name: value}
            SonarConfig(**option)
    return tuple(values)


def _range(part: str, text: str, name: str) -> list[float]:
    start, *rest = part.split(":")
    first = _number(start, text, name)
    if not rest:
        return [first]
    if len(rest) > 2:
        raise _refused(text, name, _SYNTAX)
    last = _number(rest[0], text, name)
    third = rest[1].strip() if len(rest) == 2 else "3"
    if third.isdecimal() and third.strip("0"):
        # Longer ones are no count, and slow or refused as an int.
        if len(third) > len(str(MOST)):
            raise _too_many(text, name)
        return _counted(first, last, int(third), text, name)
    step = _number(third, text, name)
    if not -1 < step < 1 or step == 0:
        raise _refused(text, name, _THIRD)
    if (last - first) * step < 0:
        raise _refused(text, name, f"a step of {third} never gets from {start.strip()} to {rest[0].strip()}")
    # The allowance keeps a stop that the decimal steps reach exactly.
    steps = (last - first) / step + 1e-9
    if steps >= MOST:
        raise _too_many(text, name)
    return [round(first + k * step, _DIGITS) for k in range(math.floor(steps) + 1)]


def _counted(first: float, last: float, count: int, text: str, name: str) -> list[float]:
    if count < 2:
        raise _refused(text, name, _THIRD)
    if count > MOST:
        raise _too_many(text, name)
    return [round(first + (last - first) * k / (count - 1), _DIGITS) for k in range(count)]


def _number(text: str, whole: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _refused(whole, name, _SYNTAX) from None
    if not math.isfinite(value):
        raise _refused(whole, name, _SYNTAX)
    return value


def _too_many(text: str, name: str) -> ConfigError:
    return _refused(text, name, f"has too many values; at most {MOST} are allowed")


def _refused(text: str, name: str, why: str) -> ConfigError:
    return ConfigError(f"{name} = {text!r}: {why}")
