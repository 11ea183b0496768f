"""The controls of the script.

Element ids are `script_txt2img_sonar_NAME` and `script_img2img_sonar_NAME`. NAME is an option of `options.OPTIONS`:
enable (accordion only), sampler, momentum, momentum_hist, momentum_sign, momentum_hist_init, momentum_start,
momentum_stop, ref_source, ref_image, ref_method, ref_factor, ref_start, ref_stop, hires, upscale, upscaler,
upscale_ratio, upscale_width, upscale_height, and in the Script dropdown grid, grid_momentum, grid_momentum_hist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from sonar_sampler.hosts.webui import settings, upscale
from sonar_sampler.hosts.webui.options import OPTIONS, REF_IMAGE, REF_INIT, REF_OFF, arguments

_DECIDING = ("momentum", "ref_source", "upscale", "grid")


def build(dropdown: bool, is_img2img: bool, elem_id: Callable[[str], str]) -> dict[str, Any]:
    """Lays the controls out and connects what hides them.

    Args:
        dropdown: the form with grid search; otherwise the one with Enable.
        is_img2img: the tab.
        elem_id: makes an element id of an option's name.

    Returns:
        The controls by option, in the order of the script's arguments.
    """
    controls: dict[str, Any] = {}

    def add(name: str, **more: Any) -> None:
        controls[name] = _control(name, elem_id(name), **more)

    shown = {name: settings.stored(name) for name in OPTIONS}
    visible = _visibility(shown["momentum"], REF_OFF, False, False)
    groups: dict[str, Any] = {}

    def group(name: str, block: Any = gr.Row) -> Any:
        groups[name] = block(visible=visible[name], elem_id=elem_id(f"group_{name}"))
        return groups[name]

    with gr.Column(elem_id=elem_id("panel")):
        if not dropdown:
            add("enable")
        add("sampler")
        if dropdown:
            add("grid")
        with group("values"):
            add("momentum")
            with group("history", gr.Column):
                add("momentum_hist")
        if dropdown:
            with group("lists"):
                add("grid_momentum")
                add("grid_momentum_hist")
        with group("details"):
            add("momentum_sign")
            add("momentum_hist_init")
        with group("range"):
            add("momentum_start")
            add("momentum_stop")
        add("ref_source", choices=[REF_OFF, REF_IMAGE, REF_INIT] if is_img2img else [REF_OFF, REF_IMAGE])
        with group("image"):
            add("ref_image")
        with group("reference", gr.Column):
            with gr.Row():
                add("ref_method")
                add("ref_factor")
            with gr.Row():
                add("ref_start")
                add("ref_stop")
        with gr.Row():
            add("hires", visible=not is_img2img)
            add("upscale")
        with group("upscaling", gr.Column):
            with gr.Row():
                add("upscaler", choices=upscale.names())
                add("upscale_ratio")
            with gr.Row():
                add("upscale_width")
                add("upscale_height")
    _connect(controls, groups)
    return {name: controls[name] for name in arguments(dropdown)}


def _control(name: str, elem_id: str, **more: Any) -> Any:
    option = OPTIONS[name]
    knob = option.knob
    value = settings.stored(name)
    common = {"label": knob.label, "elem_id": elem_id, **more}
    if option.kind == "image":
        control = gr.Image(**common, type="pil", image_mode="RGBA", height=240)
    elif option.kind == "flag":
        control = gr.Checkbox(value=value, info=knob.help, **common)
    elif option.kind == "choice":
        control = gr.Radio(value=value, info=knob.help, **{"choices": list(knob.choices), **common})
    elif option.kind == "upscaler":
        control = gr.Dropdown(value=value, info=knob.help, **common)
    elif option.kind in ("number", "whole"):
        control = gr.Slider(value=value, info=knob.help, minimum=knob.low, maximum=knob.high, step=knob.step, **common)
    else:
        control = gr.Textbox(value=str(value), info=knob.help, max_lines=1, **common)
    # Defaults come from the Settings page; the host's ui-config.json would keep the first ones for ever.
    control.do_not_save_to_config = True
    return control


def _visibility(momentum: float, ref_source: str, upscaled: bool, grid: bool) -> dict[str, bool]:
    """Which groups of controls do something."""
    moving = grid or momentum != 1
    return {
        "values": not grid,
        "history": moving,
        "lists": grid,
        "details": moving,
        "range": moving,
        "image": ref_source == REF_IMAGE,
        "reference": ref_source != REF_OFF,
        "upscaling": upscaled,
    }


def _connect(controls: dict[str, Any], groups: dict[str, Any]) -> None:
    deciding = [controls[name] for name in _DECIDING if name in controls]

    def show(*values: Any) -> list[Any]:
        grid = bool(values[3]) if len(values) > 3 else False
        visible = _visibility(values[0], values[1], values[2], grid)
        return [gr.update(visible=visible[name]) for name in groups]

    for control in deciding:
        control.change(show, inputs=deciding, outputs=list(groups.values()), show_progress=False)
