"""The options of one job: frozen, checked when they are made, and kept on the job, never in a global."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from sonar_sampler.errors import ConfigError
from sonar_sampler.gradients import Gradients
from sonar_sampler.hosts.webui import reference, settings
from sonar_sampler.hosts.webui.options import (
    AS_SELECTED,
    CORE,
    METHODS,
    OPTIONS,
    REF_IMAGE,
    REF_OFF,
    check,
    of_group,
    preset_values,
)
from sonar_sampler.hosts.webui.upscale import Upscale
from sonar_sampler.listed import LISTED
from sonar_sampler.registry import SonarConfig, is_used


@dataclass(frozen=True, eq=False)
class Job:
    """What a job wants of Sonar. Make one with `read`.

    Attributes:
        values: every option by name, as it was given.
        config: those of the core.
        sampler: the sampler that wins over the page's, by its name in the webui; None for the page's.
        ref_source: where the reference comes from.
        ref_image: the reference, if it is an image of its own.
        ref_mask: where the reference counts, if not everywhere.
        gradients: what is optimised by the model's gradients; None: nothing.
        hires: whether the hires pass has momentum and reference too.
        upscale: what is done with finished images, if anything.
    """

    values: Mapping[str, Any]
    config: SonarConfig
    sampler: str | None
    ref_source: str
    ref_image: Image.Image | None
    ref_mask: Image.Image | None
    gradients: Gradients | None
    hires: bool
    upscale: Upscale | None

    def plain(self) -> Job:
        """The same without momentum, reference and gradients."""
        config = replace(self.config, momentum=1.0, momentum_mode="classic")  # which every solver takes
        return replace(self, config=config, ref_source=REF_OFF, ref_image=None, gradients=None)

    def of_sampler(self, name: str | None) -> Job:
        """The same with the options that a sampler adds, by its name in the webui."""
        return replace(self, config=replace(self.config, **_of_sampler(name, self.config.momentum_mode)))


def read(given: Mapping[str, Any], shown: Mapping[str, Any] | None = None, page_sampler: str | None = None) -> Job:
    """The job that some options by name make.

    Those that nobody names are those of a preset, if one is given, of the sampler, if it has any, and of the Settings.

    Args:
        given: what a request or an axis names, by name.
        shown: what a panel shows; `given` comes before it, and so do the options of a sampler such as Sonar Lead,
            unless the panel's Momentum mode is that of the sampler.
        page_sampler: the sampler of the page, by its name in the webui.

    Raises:
        ConfigError: with the option, its value and what is allowed.
    """
    if "preset" in given:
        given = {**preset_values(check("preset", given["preset"])), **given}
    checked = {name: check(name, value) for name, value in reference.drawn({**(shown or {}), **given}).items()}
    values = {name: checked[name] if name in checked else settings.checked(name) for name in OPTIONS}
    name = page_sampler if values["sampler"] == AS_SELECTED else sampler_name(values["sampler"])
    # As they are: a bad value is refused also where it means nothing yet.
    of_gradients = {name: values[name] for name in of_group("gradients")}
    values = acting(values, name, given)
    for image in ("ref_image", "ref_mask"):
        values[image] = reference.decode(values[image], image)
    if values["ref_image"] is not None and "ref_source" not in given:
        values["ref_source"] = REF_IMAGE
    if values["ref_source"] == REF_IMAGE and values["ref_image"] is None:
        raise ConfigError(f"ref_image = None: Reference is {REF_IMAGE}, so give an image, or set it to {REF_OFF}")
    config = _config(values, checked)
    return Job(
        values=values,
        config=config,
        sampler=None if values["sampler"] == AS_SELECTED else sampler_name(values["sampler"]),
        ref_source=values["ref_source"],
        ref_image=values["ref_image"] if values["ref_source"] == REF_IMAGE else None,
        ref_mask=values["ref_mask"],
        gradients=_gradients(of_gradients, checked, None if values["ref_source"] == REF_OFF else config),
        hires=values["hires"],
        upscale=_upscale(values) if values["upscale"] else None,
    )


def acting(values: Mapping[str, Any], sampler: str | None, given: Container[str] = ()) -> dict[str, Any]:
    """The options that act: those that a sampler adds, and nothing that means nothing beside the others.

    Args:
        values: every option by name.
        sampler: the sampler that runs, by its name in the webui.
        given: the options that stay as they are; with `momentum_mode`, the sampler adds nothing.
    """
    mode = values["momentum_mode"]
    added = {} if "momentum_mode" in given else _of_sampler(sampler, mode)
    chosen = {**values, **added}
    idle = {name: option.default for name, option in OPTIONS.items() if not is_used(option.knob, chosen)}
    changed = {**idle, **added}
    return {**values, **{name: value for name, value in changed.items() if name not in given}}


def of(p: Any) -> Job:
    """The options of the host's job p: what the script stored, else the axes and the Settings page."""
    job: Job | None = getattr(p, "sonar", None)
    if job is None:
        return read(getattr(p, "sonar_axes", None) or {}, page_sampler=getattr(p, "sampler_name", None))
    return job


def _config(values: Mapping[str, Any], given: Mapping[str, Any]) -> SonarConfig:
    try:
        return SonarConfig(**{name: values[name] for name in CORE})
    except ConfigError as error:
        raise _blamed(error, given) from None


def _gradients(options: Mapping[str, Any], given: Mapping[str, Any], referring: SonarConfig | None) -> Gradients | None:
    whole = {name: int(value) for name, value in options.items() if OPTIONS[name].knob.kind == "whole"}
    try:
        gradients = Gradients(**{**options, **whole})
        if referring is not None:
            gradients.check(referring)
    except ConfigError as error:
        raise _blamed(error, given) from None
    return gradients if gradients.is_on else None


def _blamed(error: ConfigError, given: Mapping[str, Any]) -> ConfigError:
    """The error, which says so if a stored default made it."""
    name = str(error).partition(" = ")[0]
    return settings.blamed(error) if name in OPTIONS and name not in given else error


def _of_sampler(name: str | None, mode: str) -> Mapping[str, Any]:
    return LISTED[NAMES[name]].missing(mode) if name is not None and name in NAMES else {}


def sampler_name(label: str) -> str:
    """The webui's name of a Sonar sampler, from its label in the panel."""
    assert label in METHODS
    return f"Sonar {label}"


NAMES: Mapping[str, str] = {sampler_name(label): name for label, name in METHODS.items()}
"""Name in the host's lists -> its name in `LISTED`."""


def _upscale(values: Mapping[str, Any]) -> Upscale:
    width, height = int(values["upscale_width"]), int(values["upscale_height"])
    return Upscale(values["upscaler"], values["upscale_ratio"], width, height)
