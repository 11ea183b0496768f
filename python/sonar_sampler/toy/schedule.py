"""Noise levels for the toy model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIGMA_MAX = 30.0
SIGMA_MIN = 0.02
SCHEDULES = ("karras", "exponential", "linear")
_RHO = 7.0


def sigmas(steps: int, schedule: str = "karras") -> NDArray[np.float32]:
    """Noise levels of a run: `steps` values from `SIGMA_MAX` down to `SIGMA_MIN`, then 0; shape (steps + 1,).

    `karras`: evenly spaced in sigma^(1/7) (Karras et al. 2022, arXiv:2206.00364, equation 5); `exponential`:
    evenly spaced in log sigma; `linear`: evenly spaced in sigma. The range suits pictures of this size: at 30
    the noise hides nearly all of a picture, 0.02 is hardly to be seen.

    Raises ValueError for less than one step and for an unknown schedule.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    ramp = np.linspace(0.0, 1.0, steps)
    if schedule == "karras":
        top, bottom = SIGMA_MAX ** (1 / _RHO), SIGMA_MIN ** (1 / _RHO)
        levels = (top + ramp * (bottom - top)) ** _RHO
    elif schedule == "exponential":
        levels = np.exp(np.log(SIGMA_MAX) + ramp * np.log(SIGMA_MIN / SIGMA_MAX))
    elif schedule == "linear":
        levels = SIGMA_MAX + ramp * (SIGMA_MIN - SIGMA_MAX)
    else:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    return np.append(levels, 0.0).astype(np.float32)
