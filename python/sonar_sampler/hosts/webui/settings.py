"""The page "Sonar" of the webui's Settings: the form of the script and the defaults of every option."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
from modules import script_callbacks, shared

from sonar_sampler.errors import ConfigError
from sonar_sampler.hosts.webui.options import CORE, OPTIONS, Option, check
from sonar_sampler.registry import SonarConfig

DROPDOWN, ACCORDION = "Script dropdown", "Accordion with Enable"
_PREFIX = "sonar_"


def register() -> None:
    """Adds the page. The host forgets callbacks at "Reload UI" and runs the scripts again."""
    script_callbacks.on_ui_settings(_add_page)


def is_dropdown() -> bool:
    """Whether the script is an entry of the Script dropdown; otherwise an accordion that is always there."""
    form: str = getattr(shared.opts, f"{_PREFIX}form", DROPDOWN)
    return form != ACCORDION


def stored(name: str) -> Any:
    """What an option is when nobody says otherwise."""
    option = OPTIONS[name]
    return getattr(shared.opts, _PREFIX + name, option.default) if option.stored else option.default


def starting(name: str) -> Any:
    """The value with which a control starts: a stored one that is no value of the option must not spoil the page."""
    value = stored(name)
    try:
        check(name, value)
    except ConfigError:
        return OPTIONS[name].default
    return value


def checked(name: str) -> Any:
    """The same, checked.

    Raises:
        ConfigError: it was stored by an older version, or written into the file by hand.
    """
    try:
        return check(name, stored(name))
    except ConfigError as error:
        raise blamed(error) from None


def blamed(error: ConfigError) -> ConfigError:
    """An error that a stored default makes, which says so."""
    return ConfigError(f"{error} (this is the default in Settings → Sonar)")


def save(values: Mapping[str, Any]) -> str:
    """Makes these values the defaults, as the Settings page does; what there is to say about it.

    Raises:
        ConfigError: if one of them is not allowed; then nothing is stored.
    """
    kept = {name: value for name, value in values.items() if OPTIONS[name].stored}
    for name, value in kept.items():
        _check(name, value)
    try:
        changed = [name for name, value in kept.items() if shared.opts.set(_PREFIX + name, value)]
        shared.opts.save(shared.config_filename)
    except (AssertionError, RuntimeError, OSError) as error:
        return f"Not saved: {error}."
    return f"Saved: {len(changed)} defaults changed." if changed else "These are the defaults already."


def _check(name: str, value: Any) -> None:
    value = check(name, value)
    # A step is checked alone: whether it fits another depends on that other, which may be about to change too.
    if name in CORE and OPTIONS[name].knob.kind != "step":
        SonarConfig(**{name: value})


def _add_page() -> None:
    add = _adder()
    add("form", DROPDOWN, "Where the Sonar panel is", gr.Radio, {"choices": [DROPDOWN, ACCORDION]})
    for name, option in OPTIONS.items():
        if option.stored:
            component, arguments = _component(option)
            help_text = option.knob.help
            add(name, option.default, f"Default of {option.knob.label}", component, arguments, help_text, _guard(name))


def _guard(name: str) -> Any:
    """What the host calls after it stored a value; it takes the value back if this raises."""

    def guard() -> None:
        try:
            _check(name, getattr(shared.opts, _PREFIX + name))
        except ConfigError as error:
            # Whoever is at the Settings page sees it there; a request's answer has no place for it, the console has.
            gr.Warning(f"Sonar: not stored: {error}")
            raise

    return guard


def _adder() -> Any:
    def add(
        name: str,
        default: Any,
        label: str,
        component: Any,
        arguments: dict[str, Any],
        help_text: str = "",
        onchange: Any = None,
    ) -> None:
        info = shared.OptionInfo(default, label, component, arguments, onchange, section=("sonar", "Sonar"))
        if help_text:
            info.info(help_text)
        shared.opts.add_option(_PREFIX + name, info.needs_reload_ui())

    return add


def _component(option: Option) -> tuple[Any, dict[str, Any]]:
    knob = option.knob
    if knob.kind == "choice":
        return gr.Radio, {"choices": list(knob.choices)}
    if knob.kind == "flag":
        return gr.Checkbox, {}
    if knob.low is not None:
        return gr.Slider, {"minimum": knob.low, "maximum": knob.high, "step": knob.step}
    if knob.kind in ("number", "whole"):
        return gr.Number, {}
    return gr.Textbox, {"max_lines": 1}
