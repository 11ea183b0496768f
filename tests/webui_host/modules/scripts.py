"""Extensions' scripts: their base class, how they are loaded, and who calls their hooks."""

# ruff: noqa: PERF203 - one bad script must not spoil the rest
import importlib.util
import inspect
import re
import sys
from collections import namedtuple
from pathlib import Path

import gradio as gr

from modules import script_callbacks, shared

AlwaysVisible = object()
ScriptClassData = namedtuple("ScriptClassData", ["script_class", "path", "basedir", "module"])
scripts_data = []
extension_dirs: list[Path] = []
scripts_txt2img = scripts_img2img = None


class Script:
    name = filename = args_from = args_to = tabname = infotext_fields = controls = None
    alwayson = is_txt2img = is_img2img = False

    def show(self, is_img2img):
        return True

    def after_component(self, component, **kwargs):
        pass

    def elem_id(self, item_id):
        title = re.sub(r"[^a-z_0-9]", "", re.sub(r"\s", "_", self.title().lower()))
        return f"script_{self.tabname}_{title}_{item_id}"


# Each is called as hook(p, [object,] *arguments of the script, **keywords).
_hooks = (
    "before_process process before_process_batch process_batch process_before_every_sampling before_hr on_mask_blend "
    "postprocess_image postprocess_image_after_composite postprocess"
)


def load_scripts():
    """The scripts of each extension; none of them enters `sys.modules`."""
    global scripts_txt2img, scripts_img2img
    scripts_data.clear()
    script_callbacks.callbacks.clear()
    for base in extension_dirs:
        for path in sorted(Path(base, "scripts").glob("*.py")):
            before = sys.path
            sys.path = [str(base), *before]
            try:
                spec = importlib.util.spec_from_file_location(path.name, path)
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                found = [it for it in vars(module).values() if inspect.isclass(it) and issubclass(it, Script)]
                scripts_data.extend(ScriptClassData(it, str(path), str(base), module) for it in found)
            except Exception:
                shared.report(f"Error loading script: {path.name}")
            finally:
                sys.path = before
    scripts_txt2img, scripts_img2img = ScriptRunner("txt2img"), ScriptRunner("img2img")


class ScriptRunner:
    def __init__(self, tabname=None):
        self.tabname, self.scripts, self.selectable_scripts, self.alwayson_scripts = tabname, [], [], []
        self.inputs = [None]

    def initialize_scripts(self):
        """Makes the scripts of a tab, and their controls."""
        for data in scripts_data:
            script = data.script_class()
            script.filename, script.tabname = data.path, self.tabname
            script.is_img2img = self.tabname == "img2img"
            script.is_txt2img = not script.is_img2img
            visibility = script.show(script.is_img2img)
            script.alwayson = visibility is AlwaysVisible
            self.scripts.append(script)
            (self.alwayson_scripts if script.alwayson else self.selectable_scripts).append(script)
            sampling = gr.Dropdown("Euler a", elem_id=f"{self.tabname}_sampling")
            script.after_component(sampling, elem_id=sampling.elem_id)
            script.args_from = len(self.inputs)
            script.name, script.controls = script.title().lower(), script.ui(script.is_img2img)
            self.inputs += script.controls
            script.args_to = len(self.inputs)

    def run(self, p, *args):
        """Runs the script that is selected in the dropdown."""
        if not args[0]:
            return None
        script = self.selectable_scripts[args[0] - 1]
        return script.run(p, *args[script.args_from : script.args_to])

    def call(self, hook, p, *objects, **kwargs):
        for script in self.alwayson_scripts:
            try:
                args = p.script_args[script.args_from : script.args_to]
                getattr(script, hook)(p, *objects, *args, **kwargs)
            except Exception:
                shared.report(f"Error running {hook}: {script.filename}")  # and the job goes on


for _name in _hooks.split():
    setattr(Script, _name, lambda self, p, *args, **kwargs: None)
    setattr(ScriptRunner, _name, lambda self, p, *given, _name=_name, **more: self.call(_name, p, *given, **more))
