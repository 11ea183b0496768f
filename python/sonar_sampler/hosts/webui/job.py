"""The options of one job: frozen, checked when they are made, and kept on the job, never in a global."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from sonar_sampler.errors import ConfigError
from sonar_sampler.hosts.webui import reference, settings
from sonar_sampler.hosts.webui.options import (
    AS_SELECTED,
    CORE,
    METHODS,
    OPTIONS,
    REF_IMAGE,
    REF_OFF,
    check,
    preset_values,
)
from sonar_sampler.hosts.webui.upscale import Upscale
from sonar_sampler.registry import SonarConfig


@dataclass(frozen=True, eq=False)
class Job:
    """What a job wants of Sonar. Make one with `read`.

    Attributes:
        values: every option by name, as it was given.
        config: those of the core.
        sampler: the sampler that wins over the page's, by its name in the webui; None for the page's.
        ref_source: where the reference comes from.
        ref_image: the reference, if it is an image of its own.
        hires: whether the hires pass has momentum and reference too.
        upscale: what is done with finished images, if anything.
    """

    values: Mapping[str, Any]
    config: SonarConfig
    sampler: str | None
    ref_source: str
    ref_image: Image.Image | None
    hires: bool
    upscale: Upscale | None

    def plain(self) -> Job:
        """The same without momentum and reference."""
        return replace(self, config=replace(self.config, momentum=1.0), ref_source=REF_OFF, ref_image=None)


def read(given: Mapping[str, Any]) -> Job:
    """The job that some options by name make; the others are those of a preset, if one is given, and of the Settings.

    Raises:
        ConfigError: with the option, its value and what is allowed.
    """
    if "preset" in given:
        given = {**preset_values(check("preset", given["preset"])), **given}
    checked = {name: check(name, value) for name, value in given.items()}
    values = {name: checked[name] if name in checked else settings.checked(name) for name in OPTIONS}
    values["ref_image"] = reference.decode(values["ref_image"])
    if values["ref_image"] is not None and "ref_source" not in given:
        values["ref_source"] = REF_IMAGE
    if values["ref_source"] == REF_IMAGE and values["ref_image"] is None:
        raise ConfigError(f"ref_image = None: Reference is {REF_IMAGE}, so give an image, or set it to {REF_OFF}")
    return Job(
        values=values,
        config=_config(values, checked),
        sampler=None if values["sampler"] == AS_SELECTED else sampler_name(values["sampler"]),
        ref_source=values["ref_source"],
        ref_image=values["ref_image"] if values["ref_source"] == REF_IMAGE else None,
        hires=values["hires"],
        upscale=_upscale(values) if values["upscale"] else None,
    )


def of(p: Any) -> Job:
    """The options of the host's job p: what the script stored, else the axes and the Settings page."""
    job: Job | None = getattr(p, "sonar", None)
    return read(getattr(p, "sonar_axes", None) or {}) if job is None else job


def _config(values: Mapping[str, Any], given: Mapping[str, Any]) -> SonarConfig:
    try:
        return SonarConfig(**{name: values[name] for name in CORE})
    except ConfigError as error:
        name = str(error).partition(" = ")[0]
        raise settings.blamed(error) if name in OPTIONS and name not in given else error from None


def sampler_name(label: str) -> str:
    """The webui's name of a Sonar sampler, from its label in the panel."""
    assert label in METHODS
    return f"Sonar {label}"


def _upscale(values: Mapping[str, Any]) -> Upscale:
    width, height = int(values["upscale_width"]), int(values["upscale_height"])
    return Upscale(values["upscaler"], values["upscale_ratio"], width, height)
