"""Every option of the webui once: panel, settings, API, infotext and axes use this table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sonar_sampler.errors import ConfigError, UnknownOptionError
from sonar_sampler.registry import Knob, default, knobs, suggest
from sonar_sampler.steps import parse_step

AS_SELECTED = "As selected above"
METHODS = {"Euler a": "euler_a", "Euler": "euler", "Naive": "naive"}
"""Label of a sampler in the webui -> its name in the core."""

REF_OFF, REF_IMAGE, REF_INIT = "Off", "Image", "img2img image"

# What the sliders allow is smaller; these are the limits for the API.
LARGEST_RATIO, LARGEST_SIDE = 8.0, 8192


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        knob: label, help, range and choices.
        default: the value that means "nothing special"; the Settings page may start the panel with another.
        kind: choice, number, whole, step, flag, text, image or upscaler.
        stored: whether the Settings page has an entry for it.
        axis: whether the X/Y/Z plot has an axis for it.
    """

    knob: Knob
    default: Any
    kind: str
    stored: bool = True
    axis: bool = True


def _core(name: str, kind: str) -> Option:
    value = default(name)
    return Option(knobs()[name], f"{value:.0%}" if kind == "step" else value, kind)


_RATIO = Knob("Upscale ratio", "How much larger the image gets when width and height are 0.", 1.0, 4.0, 0.1)
_SIDE = "0: from the other side, or from the ratio if both are 0. With both given the image fills them and is cropped."
_WIDTH = Knob("Upscale width", _SIDE, 0, 2048, 8)
_HEIGHT = Knob("Upscale height", _SIDE, 0, 2048, 8)
_LIST = "Values such as 0.75, 0.75:0.95 (three), 0.75:0.95:5 (five) or 0.95:0.75:-0.1 (a step). Empty: the slider."

OPTIONS: Mapping[str, Option] = {
    "enable": Option(Knob("Enable", "Runs this job with Sonar."), False, "flag", stored=False, axis=False),
    "sampler": Option(
        Knob(
            "Base sampler",
            "As selected above: the sampling method of the page, of which Euler a, Euler and the Sonar samplers "
            "are possible. The others win over it.",
            choices=(AS_SELECTED, *METHODS),
        ),
        AS_SELECTED,
        "choice",
    ),
    "momentum": _core("momentum", "number"),
    "momentum_hist": _core("momentum_hist", "number"),
    "momentum_sign": _core("momentum_sign", "choice"),
    "momentum_hist_init": _core("momentum_hist_init", "choice"),
    "momentum_start": Option(
        Knob(
            "Momentum start",
            "First step with momentum: a step number such as 3 (the first is 0), or a fraction such as 25% or 0.25.",
        ),
        "0%",
        "step",
    ),
    "momentum_stop": Option(
        Knob(
            "Momentum stop",
            "Last step with momentum, inclusive: a step number, or a fraction of the steps of the pass.",
        ),
        "100%",
        "step",
    ),
    "ref_source": Option(
        Knob(
            "Reference",
            "An image that pulls the result towards itself at each step, or the image of img2img.",
            choices=(REF_OFF, REF_IMAGE, REF_INIT),
        ),
        REF_OFF,
        "choice",
        stored=False,
        axis=False,
    ),
    "ref_image": Option(
        Knob("Reference image", "Cropped and resized to the size of the pass."), None, "image", stored=False, axis=False
    ),
    "ref_method": _core("ref_method", "choice"),
    "ref_factor": _core("ref_factor", "number"),
    "ref_start": _core("ref_start", "step"),
    "ref_stop": _core("ref_stop", "step"),
    "hires": Option(
        Knob(
            "Hires pass",
            "Momentum and reference in the second pass of Hires. fix too; off, that pass runs plain.",
        ),
        True,
        "flag",
    ),
    "upscale": Option(
        Knob("Upscaling", "Enlarges the finished images, shown and saved."), False, "flag", stored=False, axis=False
    ),
    "upscaler": Option(Knob("Upscaler", "What enlarges; None does nothing."), "Lanczos", "upscaler"),
    "upscale_ratio": Option(_RATIO, 1.0, "number"),
    "upscale_width": Option(_WIDTH, 0, "whole", axis=False),
    "upscale_height": Option(_HEIGHT, 0, "whole", axis=False),
    "grid": Option(
        Knob("Grid search", "One image for each pair of the two lists, and a sheet of them all."),
        False,
        "flag",
        stored=False,
        axis=False,
    ),
    "grid_momentum": Option(Knob("Momentum current search list", _LIST), "0.75:0.95:5", "text", axis=False),
    "grid_momentum_hist": Option(Knob("Momentum history search list", _LIST), "0.2:0.8:5", "text", axis=False),
}

GRID = ("grid", "grid_momentum", "grid_momentum_hist")


def arguments(dropdown: bool) -> list[str]:
    """The names of the script's positional arguments, in order; new ones go to the end of `OPTIONS`."""
    if dropdown:
        return [name for name in OPTIONS if name != "enable"]
    return [name for name in OPTIONS if name not in GRID]


def check(name: str, value: Any) -> Any:
    """A value of an option, checked: step positions as numbers, all others as they are.

    Ranges that the core checks are left to it, and so is decoding an image.

    Raises:
        ConfigError: with the option, the value and what is allowed.
    """
    if name not in OPTIONS:
        raise UnknownOptionError(f"{name} = {value!r}: no such option; {suggest(name, list(OPTIONS))}")
    option = OPTIONS[name]
    if option.kind == "step":
        return parse_step(value, name)
    if option.kind == "choice" and value not in option.knob.choices:
        raise _refused(name, value, f"must be one of {', '.join(option.knob.choices)}")
    if option.kind in ("number", "whole") and not _is_number(value):
        raise _refused(name, value, "must be a number")
    if option.kind == "flag" and not isinstance(value, bool):
        raise _refused(name, value, "must be true or false")
    if option.kind in ("text", "upscaler") and not isinstance(value, str):
        raise _refused(name, value, "must be text")
    if name == "upscale_ratio" and not 1 <= value <= LARGEST_RATIO:
        raise _refused(name, value, f"must be in [1, {LARGEST_RATIO:g}]")
    if option.kind == "whole" and not (0 <= value <= LARGEST_SIDE and value == int(value)):
        raise _refused(name, value, f"must be a whole number in [0, {LARGEST_SIDE}]")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refused(name: str, value: Any, why: str) -> ConfigError:
    return ConfigError(f"{name} = {value!r}: {why}")
