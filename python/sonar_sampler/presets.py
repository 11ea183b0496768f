"""Named settings for people who do not want to think in numbers, once for all hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Preset:
    """One preset.

    Attributes:
        help: one sentence: what becomes of the picture.
        options: the options of `SonarConfig` that make it; all others of the group "momentum" have their defaults, and
            those of the group "reference" stay as they are.
    """

    help: str
    options: Mapping[str, Any]


LEAD = "Lead"
GUIDED = "Guided by an image"

PRESETS: Mapping[str, Preset] = {
    "Classic": Preset(
        "A near relative of the picture: the look of the original Sonar.", {"momentum": 0.95, "momentum_hist": 0.75}
    ),
    "Cousin": Preset("The same scene, told a little differently.", {"momentum": 0.85, "momentum_hist": 0.75}),
    "Another mood": Preset(
        "Another light and mood, at times another composition.", {"momentum": 0.75, "momentum_hist": 0.75}
    ),
    "Far away": Preset("Softer and far from the plain picture.", {"momentum": 0.5, "momentum_hist": 0.75}),
    "Sharper": Preset(
        "More contrast and detail; for at most 25 steps.",
        {"momentum": 0.95, "momentum_hist": 0.9, "momentum_sign": "neg"},
    ),
    "Wild": Preset(
        "Something else altogether: the first noise goes on pulling.",
        {"momentum": 0.95, "momentum_hist": 0.75, "momentum_hist_init": "rand_init"},
    ),
    LEAD: Preset(
        "The plain picture, nearer to what many steps would make of it; for 5 to 20 steps of Euler a or Euler.",
        {"momentum_mode": "lead", "momentum": 0.5, "momentum_hist": 0.0},
    ),
    GUIDED: Preset(
        "The plain picture with the composition and light of a reference image; the prompt has the details.",
        {"momentum": 1.0, "ref_method": "denoised", "ref_factor": 0.3, "ref_stop": 0.5, "ref_detail": 0.25},
    ),
}
"""Name -> preset, in the order in which they are offered."""
