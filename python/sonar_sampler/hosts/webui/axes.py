"""Axes of the X/Y/Z plot, one for each option that is a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modules import script_callbacks, scripts

from sonar_sampler.hosts.webui import job as jobs
from sonar_sampler.hosts.webui import upscale
from sonar_sampler.hosts.webui.options import OPTIONS, Option, preset_values
from sonar_sampler.hosts.webui.script import join

_PREFIX = "[Sonar] "
_TYPES = {"number": float, "whole": int}


def register() -> None:
    """Adds the axes before the page is built, when all scripts are loaded."""
    script_callbacks.on_before_ui(_add)


def _add() -> None:
    for script in scripts.scripts_data:
        module = script.module
        if script.script_class.__module__ in ("xyz_grid.py", "scripts.xyz_grid") and hasattr(module, "AxisOption"):
            present = {axis.label for axis in module.axis_options}
            made = [_axis(module, name, option) for name, option in OPTIONS.items() if option.axis]
            module.axis_options.extend(axis for axis in made if axis.label not in present)
            return


def _axis(module: Any, name: str, option: Option) -> Any:
    return module.AxisOption(
        _PREFIX + option.knob.label,
        _TYPES.get(option.knob.kind, str),
        _applier(name),
        confirm=_confirmer(name),
        choices=_choices(option),
    )


def _applier(name: str) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, value: Any, _values: Any) -> None:
        # A new dict: copies of a job share the old one.
        chosen = preset_values(value) if name == "preset" else {name: _typed(name, value)}
        p.sonar_axes = {**(getattr(p, "sonar_axes", None) or {}), **chosen}
        if name.startswith("upscale"):
            p.sonar_axes["upscale"] = True
        join(p)

    return apply


def _confirmer(name: str) -> Callable[[Any, Any], None]:
    def confirm(_p: Any, values: Any) -> None:
        for value in values:
            jobs.read({name: _typed(name, value)})

    return confirm


def _choices(option: Option) -> Callable[[], list[str]] | None:
    if option.knob.kind == "flag":
        return lambda: ["True", "False"]
    if option.knob.kind == "upscaler":
        return upscale.names
    return (lambda: list(option.knob.choices)) if option.knob.choices else None


def _typed(name: str, value: Any) -> Any:
    return value in (True, "True", "true") if OPTIONS[name].knob.kind == "flag" else value
