"""Infotexts: from text to values, and from values to the page or a request."""

import json
import re
import sys
from pathlib import Path

import gradio as gr

from modules import errors, paths, script_callbacks, shared

sys.modules["modules.generation_parameters_copypaste"] = sys.modules[__name__]  # its old name

re_param = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
re_imagesize = re.compile(r"^(\d+)x(\d+)$")
paste_fields = {}


class PasteField(tuple):
    def __new__(cls, component, target, *, api=None):
        return super().__new__(cls, (component, target))

    def __init__(self, component, target, *, api=None):
        self.api, self.component = api, component
        self.label = target if isinstance(target, str) else None
        self.function = target if callable(target) else None


def quote(text):
    return json.dumps(text, ensure_ascii=False) if re.search("[,\n:]", str(text)) else text


def unquote(text):
    try:
        return json.loads(text) if text[:1] == text[-1:] == '"' else text
    except ValueError:
        return text


def parse_generation_parameters(x, skip_fields=None):
    *lines, last = x.strip().split("\n")
    if len(re_param.findall(last)) < 3:
        lines, last = [*lines, last], ""
    text = "\n".join(line.strip() for line in lines)
    prompt, _, negative = text.partition("Negative prompt:")
    res = {}
    for key, value in re_param.findall(last):
        value = unquote(value)
        if m := re_imagesize.match(str(value)):
            res[f"{key}-1"], res[f"{key}-2"] = m.groups()
        else:
            res[key] = value
    res["Prompt"], res["Negative prompt"] = prompt.strip(), negative.strip()
    for key, missing in (("Hires sampler", "Use same sampler"), ("Schedule type", "Automatic"), ("RNG", "GPU")):
        res.setdefault(key, missing)
    for key in shared.opts.infotext_skip_pasting if skip_fields is None else skip_fields:
        res.pop(key, None)
    return res


def get_override_settings(params, *, skip_fields=None):
    res = []
    for name, info in shared.opts.data_labels.items():
        text = params.get(info.infotext) if info.infotext and info.infotext not in (skip_fields or {}) else None
        if text is not None and (value := shared.opts.cast_value(name, text)) != getattr(shared.opts, name):
            res.append((info.infotext, name, value))
    return res


def create_override_settings_dict(text_pairs):
    params = dict(map(str.strip, pair.split(":", maxsplit=1)) for pair in text_pairs or [])
    labels = {info.infotext: name for name, info in shared.opts.data_labels.items() if info.infotext}
    return {labels[k]: shared.opts.cast_value(labels[k], v) for k, v in params.items() if k in labels}


def add_paste_fields(tabname, init_img, fields, override_settings_component=None):
    fields = [field if isinstance(field, PasteField) else PasteField(*field) for field in fields]
    paste_fields[tabname] = {
        "init_img": init_img,
        "fields": fields,
        "override_settings_component": override_settings_component,
    }


def pasted(component, value):
    """What a control becomes. A field without a value leaves it as it was."""
    if value is None:
        return gr.update()
    if isinstance(value, dict) and value.get("__type__") == "generic_update":
        return value
    kind = type(component.value)
    try:
        if kind is bool and value == "False":
            return gr.update(value=False)
        return gr.update(value=float(value) if kind is int else kind(value))
    except Exception:
        return gr.update()


def connect_paste(button, fields, input_comp, override_settings_component, tabname):
    def paste(text):
        if not text:
            text = (Path(paths.data_path) / "params.txt").read_text(encoding="utf-8")
        params = parse_generation_parameters(text)
        script_callbacks.infotext_pasted_callback(text, params)
        res = []
        for component, target in fields:
            try:
                value = target(params) if callable(target) else params.get(target)
            except Exception:
                errors.report(f"Error executing {target}", exc_info=True)
                value = None
            res.append(pasted(component, value))
        settings = [f"{k}: {v}" for k, _, v in get_override_settings(params, skip_fields={k: 1 for _, k in fields})]
        return [*res, gr.update(value=settings, choices=settings, visible=bool(settings))]

    outputs = [component for component, _ in fields] + [override_settings_component]
    button.click(paste, [input_comp], outputs, show_progress=False)
