"""Momentum for a range of steps, by the webui: all of it goes when `SonarConfig` has `momentum_start` and `_stop`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sonar_sampler.registry import Knob
from sonar_sampler.steps import step_index

KNOBS: Mapping[str, tuple[Knob, str]] = {
    "momentum_start": (
        Knob(
            "Momentum start",
            "First step with momentum: a step number such as 3 (the first is 0), or a fraction such as 25% or 0.25.",
            "step",
            "momentum",
        ),
        "0%",
    ),
    "momentum_stop": (
        Knob(
            "Momentum stop",
            "Last step with momentum, inclusive: a step number, or a fraction of the steps of the pass.",
            "step",
            "momentum",
        ),
        "100%",
    ),
}
"""Name -> how it is shown and its default."""


def momentum(values: Mapping[str, Any], steps: int) -> float | tuple[float, ...]:
    """The momentum of a pass of so many steps: one number, or one per step if some have none."""
    value: float = values["momentum"]
    first, last = (step_index(values[name], steps) for name in KNOBS)
    if first <= 0 and last >= steps - 1:
        return value
    return tuple(value if first <= step <= last else 1.0 for step in range(steps))
