"""What the panel shows for the values that its controls have: which of them do something, and what there is to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from sonar_sampler.errors import ConfigError, SonarError
from sonar_sampler.gradients import ITERATIONS
from sonar_sampler.hosts.webui.grid import Grid
from sonar_sampler.hosts.webui.job import NAMES, acting
from sonar_sampler.hosts.webui.options import (
    AS_SELECTED,
    CUSTOM,
    MODES,
    REF_IMAGE,
    REF_OFF,
    preset_of,
)
from sonar_sampler.hosts.webui.reference import digest, drawn
from sonar_sampler.hosts.webui.refusal import labelled
from sonar_sampler.hosts.webui.sampler import DEFAULT, missing, replacement, takes
from sonar_sampler.presets import LEAD, PRESETS


@dataclass(frozen=True)
class Host:
    """What the page's own controls say; None where the panel does not know them."""

    sampler: str | None = None
    hires: bool | None = None
    hires_sampler: str | None = None


@dataclass(frozen=True)
class Look:
    """What the panel shows.

    Attributes:
        visible: group of controls -> whether it does something.
        texts: place -> what is written there, as HTML; nothing if there is nothing to say.
        preset: the preset that the values make.
    """

    visible: Mapping[str, bool]
    texts: Mapping[str, str]
    preset: str


def look(values: Mapping[str, Any], host: Host, expected: str = "") -> Look:
    """What to show for these values.

    Args:
        values: every option of the panel by name.
        host: the controls around the panel.
        expected: the hash of the reference that a pasted text was made with.
    """
    values = acting(drawn(values), None)
    grid = bool(values["grid"])
    lists = {name: grid and bool(str(values[f"grid_{name}"]).strip()) for name in ("momentum", "momentum_hist")}
    moving = lists["momentum"] or values["momentum"] != 1
    referring = values["ref_source"] != REF_OFF
    visible = {
        "momentum": not lists["momentum"],
        "momentum_hist": moving and not lists["momentum_hist"],
        "moving": moving,
        "image": values["ref_source"] == REF_IMAGE,
        "referring": referring,
        "denoised": referring and values["ref_method"] == "denoised",
        "hires": host.hires is not False,
        "upscaling": bool(values["upscale"]),
        "lists": grid,
        **{f"mode_{mode}": mode == values["momentum_mode"] for mode in MODES},
    }
    preset = preset_of(values)
    cells = _cells(values) if grid else ""
    texts = {
        "note": _note(values, host),
        "preset": PRESETS[preset].help if preset != CUSTOM else "Your own values.",
        "reference": _reference(values, expected),
        "upscaling": _upscaling(values),
        "grid": f"Grid search: {cells}" if cells else "",
        "cells": cells,
    }
    return Look(visible, {"summary": _summary(values, host), **texts}, preset)


def _summary(values: Mapping[str, Any], host: Host) -> str:
    """One line that says that Sonar is on, and how."""
    if not values.get("enable", True):
        return ""
    runs, instead_of = _sampler(values, host)
    values = acting(values, runs)
    said = [f"{runs} instead of {instead_of}" if instead_of else runs] if runs else []
    if values["grid"]:
        try:
            said.append(f"grid of {len(Grid.read(values))}")
        except SonarError:
            said.append("grid")
    elif values["momentum"] == 1:
        said.append("no momentum")
    else:
        said.append(f"{preset_of(values)}, {_short(values['momentum'])} / {_short(values['momentum_hist'])}")
    if values["ref_source"] != REF_OFF:
        said.append("reference")
    if any(values[name] for name in ITERATIONS):
        said.append("gradients")
    if values["upscale"] and not _upscaling(values):
        said.append("upscaled")
    return escape(" · ".join(said))


def _short(number: float | None) -> str:
    return "?" if number is None else f"{number:g}"  # an empty field


def _sampler(values: Mapping[str, Any], host: Host) -> tuple[str | None, str | None]:
    """The sampler that will run, and the one that Sonar does not have in its place; None where nobody knows."""
    if values["sampler"] != AS_SELECTED:
        return f"Sonar {values['sampler']}", None
    if host.sampler is None:
        return None, None
    if (runs := replacement(host.sampler, values["momentum_mode"])) is not None:
        return runs, None
    if host.hires and host.hires_sampler in NAMES:
        return host.hires_sampler, None
    return DEFAULT, host.sampler


def _note(values: Mapping[str, Any], host: Host) -> str:
    runs, instead_of = _sampler(values, host)
    mode = values["momentum_mode"]
    if instead_of:
        return escape(f"{missing(instead_of, mode)}: {runs} will run instead.")
    if runs and not takes(NAMES[runs], mode):
        return escape(f"{runs} does not lead, its steps are of second order already: choose Euler a or Euler.")
    if acting(values, runs) != values:
        return escape(f"{runs} brings a momentum of its own; to set it here, choose the preset {LEAD}.")
    return ""


def _reference(values: Mapping[str, Any], expected: str) -> str:
    """Whether the reference is that of a pasted text."""
    if values["ref_source"] != REF_IMAGE or not expected:
        return ""
    if values["ref_image"] is None:
        return f"The pasted text was made with the image of hash {escape(expected)}: give it here."
    given = digest(values["ref_image"])
    if given == expected:
        return f"This is the image of the pasted text (hash {given})."
    return f"⚠ Another image: the pasted text was made with that of hash {escape(expected)}, this is {given}."


def _upscaling(values: Mapping[str, Any]) -> str:
    if not values["upscale"]:
        return ""
    if values["upscaler"] == "None":
        return "Does nothing: the upscaler is None."
    sized = values["upscale_width"] or values["upscale_height"]
    return "" if sized or values["upscale_ratio"] != 1 else "Does nothing: the ratio is 1."


def _cells(values: Mapping[str, Any]) -> str:
    try:
        return f"{Grid.read(values)} and a sheet"
    except ConfigError as error:
        return f"⚠ {escape(labelled(str(error)))}"
