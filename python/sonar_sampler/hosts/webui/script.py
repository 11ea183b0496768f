"""The Sonar script: reads its arguments, stores the options on the job and lets the host do everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from modules import processing, scripts

from sonar_sampler.errors import ConfigError, SonarError
from sonar_sampler.hosts.webui import grid as grids
from sonar_sampler.hosts.webui import infotext, settings, sheet
from sonar_sampler.hosts.webui import job as jobs
from sonar_sampler.hosts.webui.job import NAMES
from sonar_sampler.hosts.webui.options import REF_INIT, arguments
from sonar_sampler.hosts.webui.panel import SCRIPT, Panel
from sonar_sampler.hosts.webui.refusal import refusal, refusing
from sonar_sampler.hosts.webui.sampler import DEFAULT, check_hires, missing, replacement
from sonar_sampler.listed import LISTED

_TITLE = "Sonar"
# Element id of a control of the page -> the field of `look.Host` that it is.
_HIRES = {"txt2img_hr-checkbox": "hires", "hr_sampler": "hires_sampler"}
_LATE = hasattr(scripts.Script, "postprocess_image_after_composite")


class SonarScript(scripts.Script):  # type: ignore[misc]
    """The script in both forms.

    In the Script dropdown it joins the always-visible scripts for the length of a job, so that the host calls the
    same hooks in both forms.
    """

    def __init__(self) -> None:
        self.dropdown = settings.is_dropdown()
        self._host: dict[str, Any] = {}

    def title(self) -> str:
        """The name in lists and, in lower case, in requests."""
        return _TITLE

    def show(self, _is_img2img: bool) -> Any:
        """Where the host puts it."""
        return True if self.dropdown else scripts.AlwaysVisible

    def after_component(self, component: Any, **kwargs: Any) -> None:
        """Told of each control of the page: keeps those that the panel looks at, if they come before it."""
        known = {f"{self.tabname}_sampling": "sampler", "script_list": SCRIPT}
        field = (known if self.is_img2img else {**known, **_HIRES}).get(kwargs.get("elem_id") or "")
        if field is not None:
            self._host[field] = component

    def ui(self, is_img2img: bool) -> list[Any]:
        """Builds the panel; the host calls this several times."""
        panel = Panel(self.dropdown, is_img2img, self.elem_id, self._host)
        self.infotext_fields = panel.pasted
        self.paste_field_names: list[str] = []
        return list(panel.controls.values())

    def run(self, p: Any, *args: Any) -> Any:
        """Runs a job for which the script was chosen in the dropdown."""
        with refusing(p):
            p.sonar_given = self._values(p, args)
        join(p)
        return processing.process_images(p)

    def process(self, p: Any, *args: Any) -> None:
        """Stores the options on the job, before the host makes its sampler."""
        grids.end(p)
        p.sonar = p.sonar_pass = p.sonar_replaced = None
        infotext.clear(p)
        try:
            # An axis of the X/Y/Z plot is enough to want Sonar; the panel in the dropdown is hidden then.
            axes = getattr(p, "sonar_axes", None) or {}
            given, shown = getattr(p, "sonar_given", ({}, {})) if self.dropdown else self._values(p, args)
            job = jobs.read({**given, **axes}, shown, p.sampler_name)
            if not (self.dropdown or axes or job.values["enable"]):
                return
            if job.ref_source == REF_INIT and not hasattr(p, "init_images"):
                raise ConfigError(f"ref_source = {REF_INIT!r}: txt2img has no such image")
            check_hires(p, job)
            grids.begin(p, job)
        except SonarError as error:
            # The host logs what this hook raises and goes on; what sampling raises reaches the user.
            p.sample = _raiser(refusal(p, error))
            return
        p.sonar = job
        _choose_sampler(p, job)
        infotext.write(p, job)
        if hasattr(p, "sonar_given"):
            p.extra_generation_params["Script"] = _TITLE

    def process_batch(self, p: Any, *_args: Any, batch_number: int, **_kwargs: Any) -> None:
        """Begins a batch, which may be a cell of a grid."""
        grids.begin_batch(p, batch_number)

    def postprocess(self, p: Any, processed: Any, *_args: Any) -> None:
        """Puts the sheet of a grid before its images."""
        if (search := grids.end(p)) is not None:
            sheet.add(p, processed, search)

    def postprocess_image(self, p: Any, pp: Any, *_args: Any) -> None:
        """Enlarges a finished image, on hosts that have no later hook."""
        if not _LATE:
            _upscale(p, pp)

    def postprocess_image_after_composite(self, p: Any, pp: Any, *_args: Any) -> None:
        """Enlarges a finished image."""
        _upscale(p, pp)

    def _values(self, p: Any, args: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The options by name: what a request names, and what the page shows or a request lists in its order."""
        names = arguments(self.dropdown)
        if args and isinstance(args[0], Mapping):
            values = dict(args[0])
            return (values if self.dropdown else {"enable": True, **values}), {}
        # A request's script_args replace the script's part of one long list, whatever their number.
        runner = p.scripts
        spare = len(p.script_args) - max(script.args_to for script in runner.scripts)
        if self.dropdown and spare > 0:
            raise ConfigError(f"script_args has {len(names) + spare} values: at most {len(names)} are allowed")
        given = args[: len(names) + min(spare, 0)] if self.dropdown else args
        return {}, dict(zip(names, given, strict=False))


def join(p: Any) -> None:
    """Puts the script among those that are always on, for one job: on a copy of the host's list of scripts."""
    missing = [
        script
        for script in p.scripts.scripts
        if isinstance(script, SonarScript) and script not in p.scripts.alwayson_scripts
    ]
    if not missing:
        return
    runner = copy(p.scripts)
    runner.alwayson_scripts = [*runner.alwayson_scripts, *missing]
    if hasattr(runner, "callback_map"):
        runner.callback_map = {}
    p.scripts = runner


def _choose_sampler(p: Any, job: jobs.Job) -> None:
    """Sets the sampler of the job; a sampler that the user chose for the hires pass is left alone."""
    mode = job.config.momentum_mode
    sampler = job.sampler or replacement(p.sampler_name, mode)
    if sampler is None:
        if getattr(p, "enable_hr", False) and getattr(p, "hr_sampler_name", None) in NAMES:
            return
        p.comment(f"{missing(p.sampler_name, mode)}: {DEFAULT} was used instead.")
        p.sonar_replaced = p.sampler_name
        sampler = DEFAULT
    listed = LISTED[NAMES[sampler]]
    if listed.missing(mode):
        # An axis or a request put its preset aside; a text with its name, pasted, would bring that back.
        sampler = jobs.sampler_name(listed.facts.label)
    p.sampler_name = sampler


def _upscale(p: Any, pp: Any) -> None:
    job: jobs.Job | None = getattr(p, "sonar", None)
    if job is not None and job.upscale is not None:
        pp.image = job.upscale.apply(pp.image)


def _raiser(error: Exception) -> Any:
    def sample(*_args: Any, **_kwargs: Any) -> Any:
        raise error

    return sample
