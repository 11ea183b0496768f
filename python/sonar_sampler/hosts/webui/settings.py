"""The page "Sonar" of the webui's Settings: the form of the script and the defaults of every option."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import script_callbacks, shared

from sonar_sampler.hosts.webui.options import OPTIONS, Option

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


def _add_page() -> None:
    add = _adder()
    add("form", DROPDOWN, "Where the Sonar panel is", gr.Radio, {"choices": [DROPDOWN, ACCORDION]})
    for name, option in OPTIONS.items():
        if option.stored:
            component, arguments = _component(option)
            add(name, option.default, f"Default of {option.knob.label}", component, arguments, option.knob.help)


def _adder() -> Any:
    def add(
        name: str, default: Any, label: str, component: Any, arguments: dict[str, Any], help_text: str = ""
    ) -> None:
        info = shared.OptionInfo(default, label, component, arguments, section=("sonar", "Sonar"))
        if help_text:
            info.info(help_text)
        shared.opts.add_option(_PREFIX + name, info.needs_reload_ui())

    return add


def _component(option: Option) -> tuple[Any, dict[str, Any]]:
    knob = option.knob
    if option.kind == "choice":
        return gr.Radio, {"choices": list(knob.choices)}
    if option.kind in ("number", "whole"):
        return gr.Slider, {"minimum": knob.low, "maximum": knob.high, "step": knob.step}
    if option.kind == "flag":
        return gr.Checkbox, {}
    return gr.Textbox, {"max_lines": 1}
