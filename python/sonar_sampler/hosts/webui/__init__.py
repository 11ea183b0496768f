"""The webui extension: AUTOMATIC1111 and the forks that kept its interfaces.

Imported by `scripts/sonar.py` inside the host. The host runs its own sampling code; this package gives it
its sampling functions, a panel and their options.

| module | what it holds |
|---|---|
| `options` | every option once: label, default, kind, check |
| `settings` | the Settings page: defaults and the form of the script |
| `panel` | the controls |
| `drawable` | a picture that can be drawn on |
| `look` | what the panel shows for the values of its controls |
| `looking` | what makes the page look again |
| `script` | the script's hooks |
| `job` | the options of one job, frozen |
| `sampler` | the samplers in the host's lists |
| `sampling` | the sampling functions |
| `conditioned` | the host's model with the prompt's condition as an argument |
| `losses` | what became of the losses of gradients |
| `reference` | reference images |
| `upscale` | enlarging finished images |
| `grid` | grid search |
| `sheet` | the annotated sheet of a grid |
| `infotext` | settings into the text of an image and back |
| `axes` | axes of the X/Y/Z plot |
| `refusal` | errors, as the page or the API shows them |
"""

from __future__ import annotations

from typing import Any

from modules import script_callbacks

from sonar_sampler.hosts.webui import axes, infotext, sampler, settings
from sonar_sampler.hosts.webui.script import SonarScript

__all__ = ["SonarScript", "register"]


def register() -> None:
    """Tells the host of samplers, settings and axes. "Reload UI" calls it again."""
    sampler.register()
    settings.register()
    axes.register()
    script_callbacks.on_infotext_pasted(_pasted)


def _pasted(text: str, params: dict[str, Any]) -> None:
    infotext.pasted(text, params, settings.is_dropdown())
