"""Elementary functions as torch computes them, for the bits of hosts whose schedules are torch's."""

from __future__ import annotations

from functools import lru_cache, partial

import torch


@lru_cache(maxsize=4096)
def _computed(dtype: torch.dtype, function: str, value: float) -> float:
    # MKL's are not always rounded right, and not alike on every processor.
    result: float = getattr(torch.tensor(value, dtype=dtype), function)().item()
    return result


ELEMENTARY = {dtype: partial(_computed, dtype) for dtype in (torch.float32, torch.float64)}
"""By the dtype of the schedule: what `Stepper` takes as `elementary`; they can be copied and pickled."""
