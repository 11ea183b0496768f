"""The Sonar script of the webui, which runs every file of this folder: all of it is in the package.

SD.Next runs it too. It has no samplers of k-diffusion's kind but schedulers of diffusers, and gets those.
"""

import importlib.util
import re
from pathlib import Path

_spec = importlib.util.spec_from_file_location("sonar_install", Path(__file__).resolve().parents[1] / "install.py")
_install = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_install)
_problem = _install.load()
_shown = "**Sonar is not available:** " + re.sub(r"(https?://\S+\w)", r"<\1>", _problem or "")

if _problem is None and importlib.util.find_spec("modules.sd_samplers_kdiffusion") is None:
    from sonar_sampler.hosts import sdnext

    sdnext.register()

elif _problem is None:
    from sonar_sampler.hosts import webui

    webui.register()

    class Script(webui.SonarScript):
        """The Sonar panel."""

else:
    import gradio as gr
    from fastapi import HTTPException
    from modules import scripts

    class Script(scripts.Script):
        """Says what to do; without the package there is nothing else."""

        def title(self) -> str:  # noqa: D102 - the host's hooks
            return "Sonar"

        def show(self, _is_img2img: bool) -> object:  # noqa: D102
            return scripts.AlwaysVisible

        def ui(self, _is_img2img: bool) -> list:  # noqa: D102
            with gr.Accordion("Sonar", open=True, elem_id=self.elem_id("accordion")):
                gr.Markdown(_shown, elem_id=self.elem_id("problem"))
                return [gr.Checkbox(False, visible=False, label="Sonar")]

        def process(self, p: object, wanted: object, *_args: object) -> None:  # noqa: D102
            # What this hook raises is logged, and the host goes on: with an image that nobody asked for.
            if wanted:
                p.sample = self.run

        def run(self, *_args: object, **_kwargs: object) -> None:  # noqa: D102
            raise HTTPException(503, f"Sonar is not available: {_problem}")

    class Selectable(Script):
        """The same for a request that names the script, as in the Script dropdown."""

        def show(self, _is_img2img: bool) -> bool:  # noqa: D102
            return True

        def ui(self, _is_img2img: bool) -> list:  # noqa: D102
            gr.Markdown(_shown)
            return []
