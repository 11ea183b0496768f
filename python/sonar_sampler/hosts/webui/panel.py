"""The controls of the script.

Element ids are `script_txt2img_sonar_NAME` and `script_img2img_sonar_NAME`. NAME is an option of `options.OPTIONS`; for
the rest see `_Panel`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import gradio as gr
from modules import ui_components

from sonar_sampler.errors import SonarError
from sonar_sampler.hosts.webui import infotext, looking, settings, upscale
from sonar_sampler.hosts.webui.drawable import Drawable, picture
from sonar_sampler.hosts.webui.look import Host, look
from sonar_sampler.hosts.webui.options import (
    GROUPS,
    MODES,
    OPTIONS,
    REF_IMAGE,
    REF_OFF,
    arguments,
    needs_reference,
    of_group,
    preset_values,
)
from sonar_sampler.hosts.webui.refusal import labelled

SCRIPT = "script"
"""The name of the Script dropdown among the page's controls: choosing in it is a reason to look again."""

_SLIDERS = ("momentum", "momentum_hist")
# More choices than this are a dropdown.
_MOST_BUTTONS = 3


class Panel:
    """The panel of one tab and form.

    Attributes:
        controls: option -> its control, in the order of the script's arguments.
        pasted: what a pasted text changes: pairs of a component and a function of the text's settings.
    """

    def __init__(self, dropdown: bool, is_img2img: bool, elem_id: Callable[[str], str], host: dict[str, Any]) -> None:
        """Lays the controls out and connects them.

        Args:
            dropdown: the form in the Script dropdown; otherwise the accordion with Enable in its header.
            is_img2img: the tab.
            elem_id: makes an element id of a name.
            host: the page's own controls: field of `look.Host`, or `SCRIPT`, -> component, as far as they are known.
        """
        self._id, self._is_img2img, self._host = elem_id, is_img2img, host
        self._made: dict[str, Any] = {}
        self._groups: dict[str, Any] = {}
        self._texts: dict[str, Any] = {}
        self._values = {name: settings.starting(name) for name in OPTIONS}
        self._values["enable"] = dropdown
        self._look = look(self._values, Host(hires=False if "hires" in host else None))
        if dropdown:
            with gr.Column(elem_id=elem_id("panel")):
                self._text("summary")
                self._lay_out()
        else:
            with self._accordion(), gr.Column(elem_id=elem_id("panel")):
                self._lay_out()
        self.controls = {name: self._made[name] for name in arguments(dropdown)}
        # Not shown; it changes when a text is pasted.
        self._expected = gr.Textbox(visible=False, elem_id=elem_id("ref_expected"))
        self._connect()
        self.pasted = [
            (control, self._reader(name))
            for name, control in self.controls.items()
            if OPTIONS[name].knob.kind != "image"
        ]
        self.pasted.append((self._expected, infotext.reference_hash))

    # Layout

    def _accordion(self) -> AbstractContextManager[Any]:
        label, elem_id = OPTIONS["enable"].knob.label, self._id("enable")
        if not hasattr(ui_components, "InputAccordion"):
            with gr.Row():
                self._add("enable")
                self._text("summary")
            block: AbstractContextManager[Any] = gr.Accordion(label, open=False, elem_id=self._id("accordion"))
            return block
        accordion = ui_components.InputAccordion(False, label=label, elem_id=elem_id)
        accordion.do_not_save_to_config = True
        self._made["enable"] = accordion
        with accordion.extra():
            self._text("summary")
        return accordion  # type: ignore[no-any-return]

    def _lay_out(self) -> None:
        self._text("note")
        with gr.Row(elem_id=self._id("main")):
            with gr.Column(scale=2, min_width=160):
                self._add("preset", value=self._look.preset)
                self._text("preset")
            with gr.Column(scale=5, min_width=240):
                self._text("grid")
                for name in _SLIDERS:
                    with self._group(name):
                        self._add(name)
        with gr.Accordion("Advanced", open=False, elem_id=self._id("advanced")):
            with gr.Tabs(elem_id=self._id("tabs")):
                for group, title in GROUPS.items():
                    shown = "Upscaling" if group == "passes" and self._is_img2img else title
                    with gr.Tab(shown, id=group, elem_id=self._id(f"tab_{group}")):
                        getattr(self, f"_lay_out_{group}")()
            with gr.Row(elem_id=self._id("saving")):
                self._text("saved")
                self._save = gr.Button("Save as default", size="sm", elem_id=self._id("save"))
                _teach(
                    self._save, "These values become the defaults: of this panel, of requests and of Sonar's samplers."
                )

    def _lay_out_momentum(self) -> None:
        self._add("sampler")
        with self._group("moving"):
            self._pairs(name for name in of_group("momentum", ()) if name not in ("sampler", *_SLIDERS))
            for mode in MODES:
                with self._group(f"mode_{mode}"):
                    self._pairs(of_group("momentum", ("momentum_mode", mode)))

    def _lay_out_reference(self) -> None:
        choices = OPTIONS["ref_source"].knob.choices
        self._add("ref_source", choices=list(choices if self._is_img2img else choices[:-1]))
        with self._group("image"):
            self._add("ref_image")
            self._text("reference")
        with self._group("referring"):
            self._pairs(name for name in of_group("reference", ()) if name not in ("ref_source", "ref_image"))
            with self._group("denoised"):
                denoised = of_group("reference", ("ref_method", "denoised"))
                self._pairs(name for name in denoised if OPTIONS[name].knob.kind != "image")
                self._add("ref_mask")

    def _lay_out_passes(self) -> None:
        with self._group("hires"):
            self._add("hires", visible=not self._is_img2img)
        self._add("upscale")
        with self._group("upscaling"):
            self._text("upscaling")
            self._pairs(name for name in of_group("passes") if name not in ("hires", "upscale"))

    def _lay_out_grid(self) -> None:
        self._add("grid")
        with self._group("lists"):
            self._pairs(name for name in of_group("grid") if name != "grid")
            self._text("cells")

    def _lay_out_gradients(self) -> None:
        self._pairs(of_group("gradients"))

    def _pairs(self, names: Iterable[str]) -> None:
        remaining = list(names)
        while remaining:
            with gr.Row():
                for name in remaining[:2]:
                    self._add(name)
            remaining = remaining[2:]

    def _group(self, name: str) -> Any:
        self._groups[name] = gr.Column(visible=self._look.visible[name], elem_id=self._id(f"group_{name}"))
        return self._groups[name]

    def _text(self, place: str) -> None:
        text = self._look.texts.get(place, "")
        self._texts[place] = gr.HTML(text, visible=bool(text), elem_id=self._id(f"text_{place}"))

    def _add(self, name: str, **more: Any) -> None:
        self._made[name] = _control(name, self._id(name), **{"value": self._values[name], **more})

    # Life

    def _reader(self, name: str) -> Callable[[Any], Any]:
        read = infotext.reader(name)
        if name == "ref_source" and not self._is_img2img:
            # There is no such image here, and a choice that is not offered would show as none.
            return lambda params: REF_OFF if (value := read(params)) not in (None, REF_OFF, REF_IMAGE) else value
        return read

    def _connect(self) -> None:
        names, fields = list(self.controls), [name for name in self._host if name != SCRIPT]
        inputs = [*self.controls.values(), *(self._host[name] for name in fields), self._expected]
        places = [place for place in self._texts if place != "saved"]
        outputs = [*self._groups.values(), *(self._texts[place] for place in places), self._made["preset"]]

        def refresh(*given: Any) -> list[Any]:
            values = {**self._values, **dict(zip(names, given, strict=False))}
            around = Host(**dict(zip(fields, given[len(names) :], strict=False)))
            seen = look(values, around, given[-1] or "")
            texts = [seen.texts[place] for place in places]
            return [
                *(gr.update(visible=seen.visible[group]) for group in self._groups),
                *(gr.update(value=text, visible=bool(text)) for text in texts),
                gr.update(value=seen.preset),
            ]

        button = gr.Button(visible=False, elem_id=self._id("look"))
        looked = button.click(refresh, inputs, outputs, show_progress=False, queue=False)
        looked.then(None, _js=looking.script_after(button.elem_id))
        looks = looking.script(button.elem_id, self._id("ref_image"))
        for component in [*inputs, *([self._host[SCRIPT]] if SCRIPT in self._host else [])]:
            if component is not self._made["preset"] and not isinstance(component, Drawable):
                component.change(None, _js=looks)

        options = ["ref_source", *{name for preset in OPTIONS["preset"].knob.choices for name in preset_values(preset)}]

        def choose(preset: str, source: str) -> list[Any]:
            values = preset_values(preset)
            if needs_reference(preset) and source == REF_OFF:
                values["ref_source"] = REF_IMAGE
            return [gr.update(value=values[name]) if name in values else gr.update() for name in options]

        preset = self._made["preset"]
        given, changed = [preset, self._made["ref_source"]], [self._made[name] for name in options]
        preset.input(choose, given, changed, show_progress=False, queue=False)

        def save(*given: Any) -> Any:
            try:
                said = settings.save(dict(zip(names, given, strict=True)))
            except SonarError as error:
                said = f"Not saved: {labelled(str(error))}"
            return gr.update(value=said, visible=True)

        self._save.click(save, list(self.controls.values()), [self._texts["saved"]], show_progress=False)


def _control(name: str, elem_id: str, value: Any, **more: Any) -> Any:
    knob = OPTIONS[name].knob
    common = {"label": knob.label, "elem_id": elem_id, **more}
    if knob.kind == "image":
        if name == "ref_image":
            control = picture(**common, height=240)
        else:
            control = gr.Image(**common, type="pil", image_mode="RGBA", height=240)
    elif knob.kind == "flag":
        control = gr.Checkbox(value=value, **common)
    elif knob.kind == "choice":
        choices = more.get("choices", list(knob.choices))
        chooser = gr.Radio if len(knob.choices) <= _MOST_BUTTONS else gr.Dropdown
        control = chooser(value=value, **{**common, "choices": choices})
    elif knob.kind == "upscaler":
        control = gr.Dropdown(value=value, choices=upscale.names(), **common)
    elif knob.low is not None:
        control = gr.Slider(value=value, minimum=knob.low, maximum=knob.high, step=knob.step, **common)
    elif knob.kind in ("number", "whole"):
        control = gr.Number(value=value, **common)
    else:
        control = gr.Textbox(value=str(value), max_lines=1, **common)
    # Defaults come from the Settings page; the host's ui-config.json would keep the first ones for ever.
    control.do_not_save_to_config = True
    _teach(control, knob.help)
    return control


def _teach(control: Any, text: str) -> None:
    """Help as a tooltip where the host has them, else below the label."""
    if hasattr(control, "webui_tooltip"):
        control.webui_tooltip = text
    elif hasattr(control, "info"):
        control.info = text
