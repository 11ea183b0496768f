"""Every option of the webui once: panel, settings, API, infotext and axes use this table.

The options of the core's groups "momentum" and "reference" are in it by themselves, and so are those of `Gradients`: a
new row in `registry` is a new control, setting, axis, key of the infotext and of a request.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sonar_sampler.errors import ConfigError, UnknownOptionError
from sonar_sampler.gradients import Gradients
from sonar_sampler.listed import LISTED
from sonar_sampler.presets import PRESETS
from sonar_sampler.registry import Knob, SonarConfig, default, knobs, suggest
from sonar_sampler.steps import parse_step

AS_SELECTED = "As selected above"
METHODS = {listed.label: name for name, listed in LISTED.items()}
"""Label of a sampler in the webui -> its name in `LISTED`."""

REF_OFF, REF_IMAGE, REF_INIT = "Off", "Image", "img2img image"
CUSTOM = "Custom"

# What the sliders allow is smaller; these are the limits for the API.
LARGEST_RATIO, LARGEST_SIDE, LARGEST_NUMBER, LONGEST_TEXT = 8.0, 8192, 1e6, 500

GROUPS: Mapping[str, str] = {
    "momentum": "Momentum",
    "reference": "Reference",
    "passes": "Hires. fix and upscaling",
    "grid": "Grid search",
    "gradients": "Gradients",
}
"""The groups behind "Advanced": name -> title. The controls of the group "panel" are above them."""


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        knob: label, help, kind, group, range and choices. Kinds beside those of the core: text, image, upscaler.
        default: the value that means "nothing special"; the Settings page may start the panel with another.
        stored: whether the Settings page has an entry for it, and "Save as default" keeps it.
        axis: whether the X/Y/Z plot has an axis for it.
    """

    knob: Knob
    default: Any
    stored: bool = True
    axis: bool = True


def _of_table(group: str, table: Any = SonarConfig) -> dict[str, Option]:
    return {
        name: Option(knob, _shown(knob, default(name, table)))
        for name, knob in knobs(table).items()
        if knob.group == group
    }


def _shown(knob: Knob, value: Any) -> Any:
    """A value of the core's as a control shows it."""
    return f"{value:.0%}" if knob.kind == "step" else value


_SIDE = "0: from the other side, or from the ratio if both are 0. With both given the image fills them and is cropped."
_LIST = "Values such as 0.75, 0.75:0.95 (three), 0.75:0.95:5 (five) or 0.95:0.75:-0.1 (a step). Empty: the slider."

OPTIONS: Mapping[str, Option] = {
    "enable": Option(
        Knob("Sonar", "Runs this job with Sonar.", "flag", "panel"), default=False, stored=False, axis=False
    ),
    "sampler": Option(
        Knob(
            "Base sampler",
            "As selected above: the sampling method of the page, if Sonar has it. The others win over it.",
            "choice",
            "momentum",
            choices=(AS_SELECTED, *METHODS),
        ),
        default=AS_SELECTED,
    ),
    **_of_table("momentum"),
    "ref_source": Option(
        Knob(
            "Reference",
            "An image that pulls the result towards itself at each step, or the image of img2img.",
            "choice",
            "reference",
            choices=(REF_OFF, REF_IMAGE, REF_INIT),
        ),
        default=REF_OFF,
        stored=False,
        axis=False,
    ),
    "ref_image": Option(
        Knob(
            "Reference image",
            "Cropped and resized to the size of the pass. Where it can be drawn on, the drawing is its mask.",
            "image",
            "reference",
        ),
        default=None,
        stored=False,
        axis=False,
    ),
    **_of_table("reference"),
    "ref_mask": Option(
        Knob(
            "Reference mask",
            "White where the reference counts, black where it does not; cropped and resized like it. None: where the "
            "reference was drawn on, or everywhere.",
            "image",
            "reference",
            needs=("ref_method", "denoised"),
        ),
        default=None,
        stored=False,
        axis=False,
    ),
    "hires": Option(
        Knob(
            "Hires pass",
            "Momentum and reference in the second pass of Hires. fix too; off, that pass runs plain.",
            "flag",
            "passes",
        ),
        default=True,
    ),
    "upscale": Option(
        Knob("Upscaling", "Enlarges the finished images, shown and saved.", "flag", "passes"),
        default=False,
        stored=False,
        axis=False,
    ),
    "upscaler": Option(Knob("Upscaler", "What enlarges; None does nothing.", "upscaler", "passes"), default="Lanczos"),
    "upscale_ratio": Option(
        Knob(
            "Upscale ratio",
            "How much larger the image gets when width and height are 0.",
            "number",
            "passes",
            low=1.0,
            high=4.0,
            step=0.1,
        ),
        default=1.0,
    ),
    "upscale_width": Option(
        Knob("Upscale width", _SIDE, "whole", "passes", low=0, high=2048, step=8), default=0, axis=False
    ),
    "upscale_height": Option(
        Knob("Upscale height", _SIDE, "whole", "passes", low=0, high=2048, step=8), default=0, axis=False
    ),
    "grid": Option(
        Knob("Grid search", "One image for each pair of the two lists, and a sheet of them all.", "flag", "grid"),
        default=False,
        stored=False,
        axis=False,
    ),
    "grid_momentum": Option(
        Knob("Momentum current search list", _LIST, "text", "grid"), default="0.75:0.95:5", axis=False
    ),
    "grid_momentum_hist": Option(
        Knob("Momentum history search list", _LIST, "text", "grid"), default="0.2:0.8:5", axis=False
    ),
    **_of_table("gradients", Gradients),
    "preset": Option(
        Knob(
            "Preset",
            "Sets the sliders and every other option of momentum. Custom: your own values.",
            "choice",
            "panel",
            choices=(*PRESETS, CUSTOM),
        ),
        default=CUSTOM,
        stored=False,
    ),
}

CORE = tuple(name for name in OPTIONS if name in knobs() and name != "sampler")
"""The options that go into `SonarConfig` as they are."""


MODES = OPTIONS["momentum_mode"].knob.choices
"""The modes of momentum."""


def of_group(group: str, needs: tuple[str, ...] | None = None) -> list[str]:
    """The names of a group's options: all, or those that need just this of another option (nothing: an empty tuple)."""
    return [
        name for name, option in OPTIONS.items() if option.knob.group == group and needs in (None, option.knob.needs)
    ]


def arguments(dropdown: bool) -> list[str]:
    """The names of the script's positional arguments, in order."""
    return [name for name in OPTIONS if name != "enable" or not dropdown]


def preset_values(preset: str) -> dict[str, Any]:
    """The options that a preset sets; none for `CUSTOM`."""
    if preset == CUSTOM:
        return {}
    settings = {name: OPTIONS[name].default for name in of_group("momentum") if name != "sampler"}
    return {**settings, **{name: _shown(OPTIONS[name].knob, value) for name, value in PRESETS[preset].options.items()}}


def needs_reference(preset: str) -> bool:
    """Whether a preset does something with a reference alone."""
    return preset != CUSTOM and "ref_method" in PRESETS[preset].options


def preset_of(values: Mapping[str, Any]) -> str:
    """The preset that these values make, by name; `CUSTOM` if none does."""
    for preset in PRESETS:
        if all(_same(name, values[name], value) for name, value in preset_values(preset).items()):
            return preset
    return CUSTOM


def _same(name: str, one: Any, other: Any) -> bool:
    try:
        return bool(check(name, one) == check(name, other))
    except ConfigError:
        return False


def check(name: str, value: Any) -> Any:
    """A value of an option, checked: step positions as numbers, all others as they are.

    Ranges that the core checks are left to it, and so is decoding an image.

    Raises:
        ConfigError: with the option, the value and what is allowed.
    """
    if name not in OPTIONS:
        raise UnknownOptionError(f"{_brief(name)}: no such option; {suggest(str(name)[:60], list(OPTIONS))}")
    knob = OPTIONS[name].knob
    if knob.kind == "step":
        if not (_is_number(value) or (isinstance(value, str) and len(value) < _LONGEST_SHOWN)):
            raise _refused(name, value, "must be a step such as 12, or a fraction of the steps such as 0.75 or 75%")
        return parse_step(value, name)
    if knob.kind == "choice" and value not in knob.choices:
        raise _refused(name, value, f"must be one of {', '.join(knob.choices)}")
    if knob.kind in ("number", "whole") and not _is_number(value):
        raise _refused(name, value, f"must be a number of at most {LARGEST_NUMBER:,.0f}")
    if knob.kind == "flag" and not isinstance(value, bool):
        raise _refused(name, value, "must be true or false")
    if knob.kind in ("text", "upscaler") and not (isinstance(value, str) and len(value) <= LONGEST_TEXT):
        raise _refused(name, value, f"must be text of at most {LONGEST_TEXT} characters")
    if name == "upscale_ratio" and not 1 <= value <= LARGEST_RATIO:
        raise _refused(name, value, f"must be in [1, {LARGEST_RATIO:g}]")
    if knob.kind == "whole" and not (0 <= value <= LARGEST_SIDE and value == int(value)):
        raise _refused(name, value, f"must be a whole number in [0, {LARGEST_SIDE}]")
    return value


def _is_number(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    # Before isfinite, which cannot turn every int into a float.
    return abs(value) <= LARGEST_NUMBER and math.isfinite(value)


_LONGEST_SHOWN = 60


def _brief(value: Any) -> str:
    """The value for a message, cut where nobody reads on."""
    if isinstance(value, int) and abs(value) > 10**_LONGEST_SHOWN:
        return "a number of more than 60 digits"
    text = repr(value[:_LONGEST_SHOWN] if isinstance(value, str | list) else value)
    whole = len(text) <= _LONGEST_SHOWN and not (isinstance(value, str | list) and len(value) > _LONGEST_SHOWN)
    return text if whole else f"{text[:_LONGEST_SHOWN]}..."


def _refused(name: str, value: Any, why: str) -> ConfigError:
    return ConfigError(f"{name} = {_brief(value)}: {why}")
