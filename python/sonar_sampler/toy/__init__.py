"""An embedded model for the command line: no weights, no GPU, no download. See `ToyModel`."""

from __future__ import annotations

from .model import ToyModel
from .prompt import Prompt
from .schedule import SCHEDULES, sigmas

__all__ = ["SCHEDULES", "Prompt", "ToyModel", "sigmas"]
