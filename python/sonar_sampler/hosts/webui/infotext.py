"""The text in the images: every setting that mattered, and how a page reads it back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sonar_sampler.errors import ConfigError
from sonar_sampler.gradients import ITERATIONS
from sonar_sampler.hosts.webui import losses, reference
from sonar_sampler.hosts.webui.job import Job
from sonar_sampler.hosts.webui.options import (
    AS_SELECTED,
    CORE,
    METHODS,
    OPTIONS,
    REF_IMAGE,
    REF_INIT,
    REF_OFF,
    check,
    of_group,
    preset_of,
)
from sonar_sampler.registry import is_used
from sonar_sampler.steps import format_step

_PREFIX = "Sonar "
_OFF = "off"
_LISTS = ("grid_momentum", "grid_momentum_hist")
_HASH = f"{_PREFIX}reference hash"
_MASK_HASH = f"{_PREFIX}reference mask hash"
_REPLACED = f"{_PREFIX}instead of"

# What the original extension wrote; its sampler stood beside the page's, which was not used.
_ORIGINAL_SAMPLER = f"{_PREFIX}sampler"
_ORIGINAL = {"momentum": f"{_PREFIX}momentum", "momentum_hist": f"{_PREFIX}momentum_hist"}


def key(name: str) -> str:
    """The word for an option in the text."""
    label = OPTIONS[name].knob.label
    return _PREFIX + label[0].lower() + label[1:]


def write(p: Any, job: Job, grid: Mapping[str, str] | None = None) -> None:
    """Puts the settings of a job into its infotext, in place of older ones.

    The job gets a new dict: copies of it, as the X/Y/Z plot makes them, would find each other's settings.
    """
    clear(p)
    p.extra_generation_params = {**p.extra_generation_params, **_settings(p, job), **(grid or {})}


def clear(p: Any) -> None:
    """Takes the settings of an earlier job out of the infotext."""
    others = {name: text for name, text in p.extra_generation_params.items() if not name.startswith(_PREFIX)}
    p.extra_generation_params = others


def grid_settings(values: Mapping[str, Any]) -> dict[str, str]:
    """The search lists, for the infotext of a sheet."""
    return {key(name): values[name] for name in _LISTS if values[name]}


def _settings(p: Any, job: Job) -> dict[str, Any]:
    values = job.values
    momentum, mode = values["momentum"], values["momentum_mode"]
    written: dict[str, Any] = {key("momentum"): momentum}
    if momentum != 1:
        written |= {key(name): _text(name, values[name]) for name in _momentum(mode) if _is_telling(name, values[name])}
    elif mode != OPTIONS["momentum_mode"].default:
        # Read back without its mode, Sonar Lead would bring a momentum of its own.
        written[key("momentum_mode")] = mode
    if job.ref_source != REF_OFF and values["ref_factor"] != 0:
        written[key("ref_source")] = job.ref_source
        if job.ref_image is not None:
            written[_HASH] = reference.digest(job.ref_image)
        if job.ref_mask is not None:
            written[_MASK_HASH] = reference.digest(job.ref_mask)
        written |= {key(name): _text(name, values[name]) for name in _reference(values)}
    if getattr(p, "enable_hr", False) and not job.hires:
        written[key("hires")] = _OFF
    if job.upscale is not None:
        written[key("upscaler")] = job.upscale.upscaler
        sized = job.upscale.width or job.upscale.height
        deciding = ("upscale_width", "upscale_height") if sized else ("upscale_ratio",)
        written |= {key(name): values[name] for name in deciding}
    if job.gradients is not None:
        written |= {key(name): values[name] for name in _gradients(values)}
        written |= {f"{_PREFIX}{name}": found for name, found in losses.texts(p).items()}
    replaced = getattr(p, "sonar_replaced", None)
    if replaced:
        written[_REPLACED] = replaced
    return written


def _momentum(mode: str) -> list[str]:
    """The options of momentum that mean something in a mode."""
    names = (name for name in of_group("momentum") if name not in ("sampler", "momentum"))
    return [name for name in names if is_used(OPTIONS[name].knob, {"momentum_mode": mode})]


def _reference(values: Mapping[str, Any]) -> list[str]:
    """The core's options of the reference that mean something."""
    return [name for name in of_group("reference") if name in CORE and is_used(OPTIONS[name].knob, values)]


def _gradients(values: Mapping[str, Any]) -> list[str]:
    """The options of the gradients that mean something."""
    return [
        name
        for name in of_group("gradients")
        if is_used(OPTIONS[name].knob, values) and (values[name] or name not in ITERATIONS)
    ]


def _text(name: str, value: Any) -> Any:
    # Steps as text: step 1 is not the fraction 1.0.
    return format_step(value) if OPTIONS[name].knob.kind == "step" else value


def _is_telling(name: str, value: Any) -> bool:
    """Whether a reader needs it: the whole range of steps goes without saying."""
    return OPTIONS[name].knob.kind != "step" or format_step(value) != format_step(check(name, OPTIONS[name].default))


def is_sonar(params: Mapping[str, Any]) -> bool:
    """Whether the image of a text, as the host has parsed it, was made by a Sonar sampler, ours or the original's."""
    if _ORIGINAL_SAMPLER in params:
        return True
    if not any(str(name).startswith(_PREFIX) for name in params):
        return False
    if str(params.get("Sampler", "")).startswith(_PREFIX):
        return True
    # Sonar in the hires pass alone; with an Euler in the first pass the panel would turn that into Sonar too.
    return str(params.get("Hires sampler", "")).startswith(_PREFIX) and params.get("Sampler") not in METHODS


def reader(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """The function that reads an option out of a parsed text.

    It answers None (leave the control alone) for texts without Sonar, except that Enable goes off; what a Sonar
    text does not mention is off or at its default.
    """

    def read(params: Mapping[str, Any]) -> Any:
        if not is_sonar(params):
            return False if name == "enable" else None
        return _value(name, params)

    return read


def reference_hash(params: Mapping[str, Any]) -> str:
    """The hash of the reference that the image of a parsed text was made with; empty if there was none."""
    return str(params.get(_HASH, "")) if is_sonar(params) else ""


def _value(name: str, params: Mapping[str, Any]) -> Any:
    default = OPTIONS[name].default
    if name == "enable":
        return True
    if name == "sampler":
        original = params.get(_ORIGINAL_SAMPLER)
        return original if original in METHODS else AS_SELECTED
    if name == "ref_source":
        source = params.get(key(name), REF_OFF)
        return source if source in (REF_IMAGE, REF_INIT) else REF_OFF
    if name == "hires":
        return params.get(key(name)) != _OFF
    if name == "upscale":
        return key("upscaler") in params
    if name == "grid":
        return any(key(of) in params for of in _LISTS)
    if name == "preset":
        return preset_of({of: _value(of, params) for of in CORE})
    text = params.get(key(name), params.get(_ORIGINAL.get(name, ""), default))
    return _typed(name, text, default)


def _typed(name: str, text: Any, default: Any) -> Any:
    """The value in the type of its control; the default if somebody edited the text beyond recognition."""
    try:
        value = type(default)(float(text)) if OPTIONS[name].knob.kind in ("number", "whole") else text
        check(name, value)
    except (ConfigError, TypeError, ValueError):
        return default
    return value


def pasted(_text: str, params: dict[str, Any], dropdown: bool) -> None:
    """Makes a pasted text select the script, or not, whichever form wrote it."""
    ours = params.get("Script") in (None, "Sonar")
    if ours and dropdown and is_sonar(params):
        params["Script"] = "Sonar"
    elif ours and params.get("Script"):
        del params["Script"]
