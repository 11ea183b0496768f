"""Extensions' scripts: their base class, how they are loaded, and who calls their hooks."""

# ruff: noqa: PERF203, PERF401 - one bad script must not spoil the rest
import inspect
import re
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import gradio as gr

from modules import errors, paths, script_callbacks, script_loading, shared

AlwaysVisible = object()
current_basedir = paths.script_path
ScriptClassData = namedtuple("ScriptClassData", ["script_class", "path", "basedir", "module"])
scripts_data = []
extension_dirs: list[str] = []
scripts_txt2img = scripts_img2img = scripts_current = None


class MaskBlendArgs:
    def __init__(self, current_latent, nmask, init_latent, mask, blended_latent, denoiser=None, sigma=None):
        self.current_latent, self.nmask, self.init_latent, self.mask = current_latent, nmask, init_latent, mask
        self.blended_latent, self.denoiser, self.sigma = blended_latent, denoiser, sigma
        self.is_final_blend = denoiser is None


class PostSampleArgs(SimpleNamespace):
    def __init__(self, samples):
        super().__init__(samples=samples)


class PostprocessImageArgs(SimpleNamespace):
    def __init__(self, image):
        super().__init__(image=image)


class PostprocessBatchListArgs(SimpleNamespace):
    def __init__(self, images):
        super().__init__(images=images)


class PostProcessMaskOverlayArgs(SimpleNamespace):
    def __init__(self, index, mask_for_overlay, overlay_image):
        super().__init__(index=index, mask_for_overlay=mask_for_overlay, overlay_image=overlay_image)


# Each hook is called as hook(p, [object,] *args of the script, **keywords).
_HOOKS = {
    "setup": 0,
    "before_process": 0,
    "process": 0,
    "before_process_batch": 0,
    "process_batch": 0,
    "process_before_every_sampling": 0,
    "before_hr": 0,
    "post_sample": 1,
    "on_mask_blend": 1,
    "postprocess_batch_list": 1,
    "postprocess_image": 1,
    "postprocess_maskoverlay": 1,
    "postprocess_image_after_composite": 1,
    "postprocess": 1,
    "postprocess_batch": 0,
}


class Script:
    name = section = filename = args_from = args_to = tabname = group = infotext_fields = paste_field_names = (
        api_info
    ) = controls = None
    alwayson = is_txt2img = is_img2img = False
    create_group = True

    def title(self):
        raise NotImplementedError

    def ui(self, is_img2img):
        pass

    def show(self, is_img2img):
        return True

    def run(self, p, *args):
        pass

    def after_component(self, component, **kwargs):
        pass

    def elem_id(self, item_id):
        tab = ("img2img_" if self.is_img2img else "txt2img_") if self.show(True) == self.show(False) else ""
        title = re.sub(r"[^a-z_0-9]", "", re.sub(r"\s", "_", self.title().lower()))
        return f"script_{tab}{title}_{item_id}"


for _name in _HOOKS:
    setattr(Script, _name, lambda self, p, *args, **kwargs: None)


def basedir():
    return current_basedir


def load_scripts():
    """The host's own scripts, then those of each extension; none of them enters `sys.modules`."""
    global scripts_txt2img, scripts_img2img, current_basedir
    scripts_data.clear()
    script_callbacks.clear_callbacks()
    before = sys.path
    for base in [paths.script_path, *extension_dirs]:
        for path in sorted(Path(base, "scripts").glob("*.py")):
            try:
                current_basedir = base
                sys.path = [base, *before] if base != paths.script_path else before
                module = script_loading.load_module(str(path))
                for value in module.__dict__.values():
                    if inspect.isclass(value) and issubclass(value, Script):
                        scripts_data.append(ScriptClassData(value, str(path), base, module))
            except Exception:
                errors.report(f"Error loading script: {path.name}", exc_info=True)
            finally:
                sys.path, current_basedir = before, paths.script_path
    scripts_txt2img, scripts_img2img = ScriptRunner(), ScriptRunner()


class ScriptRunner:
    def __init__(self):
        self.scripts, self.selectable_scripts, self.alwayson_scripts, self.titles = [], [], [], []
        self.infotext_fields, self.paste_field_names, self.inputs, self.title_map = [], [], [None], {}

    def initialize_scripts(self, is_img2img):
        for listed in (self.scripts, self.selectable_scripts, self.alwayson_scripts):
            listed.clear()
        for data in scripts_data:
            script = data.script_class()
            script.filename = data.path
            script.is_txt2img, script.is_img2img = not is_img2img, is_img2img
            script.tabname = "img2img" if is_img2img else "txt2img"
            visibility = script.show(is_img2img)
            if visibility:
                script.alwayson = visibility is AlwaysVisible
                self.scripts.append(script)
                (self.alwayson_scripts if script.alwayson else self.selectable_scripts).append(script)

    def create_script_ui(self, script):
        script.args_from = script.args_to = len(self.inputs)
        try:
            controls = script.controls = script.ui(script.is_img2img)
        except Exception:
            errors.report(f"Error calling: {script.filename}/ui", exc_info=True)
            return
        if controls is None:
            return
        script.name = script.title().lower()
        script.api_info = {
            "name": script.name,
            "is_alwayson": script.alwayson,
            "is_img2img": script.is_img2img,
            "args": [self.describe(control) for control in controls],
        }
        self.infotext_fields += script.infotext_fields or []
        self.paste_field_names += script.paste_field_names or []
        self.inputs += controls
        script.args_to = len(self.inputs)

    @staticmethod
    def describe(control):
        info = {"label": control.label or ""}
        info.update(
            {
                key: v
                for key in ("value", "minimum", "maximum", "step")
                if (v := getattr(control, key, None)) is not None
            }
        )
        if getattr(control, "choices", None) is not None:
            info["choices"] = [x[0] if isinstance(x, tuple) else x for x in control.choices]
        return info

    def setup_group(self, script):
        if not script.create_group:
            self.create_script_ui(script)
            return
        with gr.Group(visible=script.alwayson) as group:
            self.create_script_ui(script)
        script.group = group

    def prepare_ui(self):
        self.inputs = [None]

    def setup_ui(self):
        self.title_map = {script.title().lower(): script for script in self.scripts}
        self.titles = [script.title() for script in self.selectable_scripts]
        for script in self.alwayson_scripts:
            self.setup_group(script)
        dropdown = gr.Dropdown(
            label="Script", elem_id="script_list", choices=["None", *self.titles], value="None", type="index"
        )
        self.inputs[0] = dropdown
        for script in self.selectable_scripts:
            self.setup_group(script)
        groups = [script.group for script in self.selectable_scripts]
        dropdown.change(
            lambda index: [gr.update(visible=index == k) for k in range(1, len(groups) + 1)], [dropdown], groups
        )
        self.infotext_fields.append((dropdown, lambda d: gr.update(value=d.get("Script", "None"))))
        for script in self.selectable_scripts:
            self.infotext_fields.append((script.group, self.shown_if(script.title())))
        return self.inputs

    @staticmethod
    def shown_if(title):
        return lambda d: gr.update(visible=d.get("Script") == title)

    def script(self, title):
        return self.title_map.get(title.lower())

    def after_component(self, component, **kwargs):
        for script in self.scripts:
            script.after_component(component, **kwargs)

    def run(self, p, *args):
        """Runs the script that is selected in the dropdown."""
        if not args[0]:
            return None
        script = self.selectable_scripts[args[0] - 1]
        processed = script.run(p, *args[script.args_from : script.args_to])
        shared.total_tqdm.clear()
        return processed

    def call(self, hook, p, *objects, **kwargs):
        for script in self.alwayson_scripts:
            try:
                args = p.script_args[script.args_from : script.args_to]
                getattr(script, hook)(p, *objects, *args, **kwargs)
            except Exception:
                errors.report(f"Error running {hook}: {script.filename}", exc_info=True)  # and the job goes on


def _caller(hook):
    if hook == "postprocess_batch":
        return lambda self, p, images, **kwargs: self.call(hook, p, images=images, **kwargs)
    if _HOOKS[hook]:
        return lambda self, p, thing, **kwargs: self.call(hook, p, thing, **kwargs)
    return lambda self, p, **kwargs: self.call(hook, p, **kwargs)


for _name in _HOOKS:
    setattr(ScriptRunner, _name, _caller(_name))
