"""The small webui (tests/webui_host) in this process, with the project as its extension: no page, no server."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from webui.jobs import FORMS, JOB, LABELS

import k_sampling

ROOT = Path(__file__).resolve().parents[2]
HOST_ROOT = ROOT / "tests" / "webui_host"


def check_package():
    """With a package of other sources there is nothing but a note, and every test here would fail for it."""
    spec = importlib.util.spec_from_file_location("sonar_install", ROOT / "install.py")
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    if (problem := install.problem()) is not None:
        pytest.fail(f"{problem} Here: `make build`.", pytrace=False)


class Host:
    """The host, with one extension or none, and what a user of its page does.

    Attributes:
        shared: the host's module of that name.
        settings: the settings as installed.
    """

    def __init__(self, extension=ROOT):
        if str(HOST_ROOT) not in sys.path:
            sys.path.insert(0, str(HOST_ROOT))
        k_sampling.without_training()
        self.shared = self.module("shared")
        self.module("scripts").extension_dirs[:] = [extension] if extension else []
        self.module("tiny_model").load()
        self.load()
        self.settings = dict(self.shared.opts.data)

    @staticmethod
    def module(name):
        return importlib.import_module(f"modules.{name}")

    def load(self):
        """Start, and "Reload UI"."""
        scripts, callbacks = self.module("scripts"), self.module("script_callbacks")
        callbacks.script_unloaded_callback()
        self.module("sd_samplers").set_samplers()
        scripts.load_scripts()
        self.shared.sd_upscalers = [SimpleNamespace(name=name) for name in ("None", "Lanczos", "Nearest")]
        callbacks.before_ui_callback()
        callbacks.ui_settings_callback()
        for runner in (scripts.scripts_txt2img, scripts.scripts_img2img):
            runner.initialize_scripts()

    def use(self, form):
        """The other form of the script, as after a change of the setting and "Reload UI"."""
        if self.is_dropdown != (form == FORMS[0]):
            self.shared.opts.data["sonar_form"] = form
            self.load()

    def reset(self):
        """Nothing of the last test is left."""
        form = self.shared.opts.data["sonar_form"]
        self.shared.opts.data.clear()
        self.shared.opts.data.update(self.settings, sonar_form=form)
        self.shared.cmd_opts.kind = None
        self.shared.state.begin()
        self.module("tiny_model").loaded.clear()
        self.module("tiny_model").load()
        for listed in (self.reported, self.saved, self.annotated):
            listed.clear()

    @property
    def reported(self):
        return self.shared.reported

    @property
    def saved(self):
        """The images that would be files, with their texts."""
        return self.module("images").saved

    @property
    def annotated(self):
        """The labels of the sheets."""
        return self.module("images").annotated

    def runner(self, kind="txt2img"):
        return getattr(self.module("scripts"), f"scripts_{kind}")

    def script(self, kind="txt2img"):
        return next(script for script in self.runner(kind).scripts if script.name == "sonar")

    @property
    def is_dropdown(self):
        return not self.script().alwayson

    def controls(self, kind="txt2img"):
        """The panel's controls by their labels."""
        return {control.label: control for control in self.script(kind).controls}

    def axes(self):
        """Sonar's axes of the X/Y/Z plot by their labels, as the host's script of that name gets them."""

        class AxisOption:
            def __init__(self, label, type, apply, confirm=None, choices=None):  # noqa: A002
                self.label, self.type, self.apply, self.confirm, self.choices = label, type, apply, confirm, choices

        module = SimpleNamespace(AxisOption=AxisOption, axis_options=[AxisOption("Seed", int, None)])
        plot = SimpleNamespace(script_class=type("Script", (), {"__module__": "xyz_grid.py"}), module=module)
        self.module("scripts").scripts_data.append(plot)
        for _ in range(2):  # "Reload UI" does it again
            self.module("script_callbacks").before_ui_callback()
        self.module("scripts").scripts_data.remove(plot)
        labels = [axis.label for axis in module.axis_options]
        assert len(labels) == len(set(labels))
        return {axis.label: axis for axis in module.axis_options[1:]}

    def make(self, kind="txt2img", sonar=None, args=None, **fields):
        """A job as the page makes it; `sonar` are options of the panel, `args` all that a request gives the script."""
        processing = self.module("processing")
        job_class = getattr(processing, f"StableDiffusionProcessing{kind.capitalize().replace('2i', '2I')}")
        saving = {"do_not_save_samples": True, "do_not_save_grid": True}
        p = job_class(**{**JOB, **saving, **fields})
        runner, script, values = self.runner(kind), self.script(kind), [0]
        for one in runner.scripts:
            values += [control.value for control in one.controls]
        if sonar is not None:
            chosen = {LABELS[name]: value for name, value in {"enable": True, **sonar}.items()}
            args = [chosen.get(label, control.value) for label, control in self.controls(kind).items()]
        if args is not None:
            if self.is_dropdown:
                # A request's arguments replace the script's part of the list, whatever their number.
                values[0] = runner.selectable_scripts.index(script) + 1
                values[script.args_from : script.args_to] = args
            else:
                values[script.args_from : script.args_from + len(args)] = args
        p.scripts, p.script_args = runner, values
        return p

    def start(self, p):
        """Runs a job: the script that is selected, or else the job as it is."""
        self.shared.state.begin()
        processed = p.scripts.run(p, *p.script_args)
        return self.module("processing").process_images(p) if processed is None else processed

    def run(self, kind="txt2img", sonar=None, args=None, **fields):
        """Runs a job: what it processed, and the latent that each pass ended with."""
        p = self.make(kind, sonar, args, **fields)
        sampler, latents = self.module("sd_samplers_common").Sampler, []
        launch = sampler.launch_sampling

        def launch_and_keep(*given):
            latents.append(launch(*given).clone())
            return latents[-1]

        sampler.launch_sampling = launch_and_keep
        try:
            processed = self.start(p)
        finally:
            sampler.launch_sampling = launch
        return SimpleNamespace(processed=processed, latents=latents, latent=latents[-1] if latents else None, p=p)

    def refused(self, kind="txt2img", sonar=None, args=None, **fields):
        """The text with which a request is refused that has a bad value."""
        p = self.make(kind, sonar, args, **fields)
        p.is_api = True
        with pytest.raises(importlib.import_module("fastapi").HTTPException) as refusal:
            self.start(p)
        assert refusal.value.status_code == 422
        return refusal.value.detail

    def pasted(self, text, kind="txt2img"):
        """What each control becomes by a pasted text, by its label; a control that is left alone is not in it."""
        utils = self.module("infotext_utils")
        params = utils.parse_generation_parameters(text)
        self.module("script_callbacks").infotext_pasted_callback(text, params)
        values = {"Script": params.get("Script", "None"), "Sampling method": params["Sampler"], "Seed": params["Seed"]}
        for control, function in self.script(kind).infotext_fields:
            if control.label and (value := utils.pasted(control, function(params))) is not None:
                values[control.label] = value
        assert not self.reported, self.reported
        return values
