"""A value that changes over the steps of a run whose number is not known yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sonar_sampler.errors import ConfigError


@dataclass(frozen=True)
class Curve:
    """Values spread evenly over a run, joined by straight lines: the first at its first step, the last at its last."""

    values: tuple[float, ...]

    def at_steps(self, steps: int) -> tuple[float, ...]:
        """One value for each of so many steps."""
        places = np.linspace(0, 1, max(steps, 1))[:steps]
        return tuple(float(value) for value in np.interp(places, np.linspace(0, 1, len(self.values)), self.values))


def parse_curve(text: str, name: str) -> Curve | None:
    """A curve from text such as "0.75, 0.95, 1"; None if there is none in it.

    Args:
        text: numbers in [0, 1], with commas between them.
        name: the option, for messages.

    Raises:
        ConfigError: with the option, the text and what is allowed.
    """
    if not text.strip():
        return None
    try:
        values = tuple(float(value) for value in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(0 <= value <= 1 for value in values):
        raise ConfigError(
            f"{name} = {text!r}: must be numbers in [0, 1] with commas between them, such as 0.75, 0.95, 1"
        )
    return Curve(values)
