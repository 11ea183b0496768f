"""The Sonar script of the webui, which runs every file of this folder: all of it is in the package."""

import importlib.util
from pathlib import Path

import gradio as gr
from modules import scripts

_spec = importlib.util.spec_from_file_location("sonar_install", Path(__file__).resolve().parents[1] / "install.py")
_install = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_install)
_problem = _install.load()

if _problem is None:
    from sonar_sampler.hosts import webui

    webui.register()

    class Script(webui.SonarScript):
        """The Sonar panel."""

else:

    class Script(scripts.Script):
        """What to do if the package is not there."""

        def title(self) -> str:  # noqa: D102 - the host's hooks
            return "Sonar"

        def show(self, _is_img2img: bool) -> object:  # noqa: D102
            return scripts.AlwaysVisible

        def ui(self, _is_img2img: bool) -> list:  # noqa: D102
            with gr.Accordion("Sonar", open=True, elem_id=self.elem_id("accordion")):
                gr.Markdown(f"**Sonar is not available:** {_problem}", elem_id=self.elem_id("problem"))
            return []
