"""The options as JSON Schema, for forms and clients that are made from one."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

from sonar_sampler.registry import Knob, SonarConfig

_TYPES: dict[str, list[str]] = {
    "choice": ["string"],
    "number": ["number"],
    "step": ["integer", "number"],
    "flag": ["boolean"],
    "seed": ["integer", "null"],
}


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of an object with the options of `SonarConfig`, made from the table.

    It says types, choices, defaults and what each option does; what depends on several options or on the number of
    steps is checked when a `SonarConfig` is made. A slider's range is no limit and is not in it.
    """
    options = fields(SonarConfig)
    properties = {option.name: _property(option.metadata["knob"], option.default, option.type) for option in options}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "SonarConfig",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def takes_sequence(annotation: object) -> bool:
    """Whether an option of this type takes one value per step or image, too."""
    return "Sequence" in str(annotation)


def _property(knob: Knob, default: Any, annotation: object) -> dict[str, Any]:
    one: dict[str, Any] = {"type": _TYPES[knob.kind]}
    if knob.choices:
        one = {"enum": list(knob.choices)}
    value = {"anyOf": [one, {"type": "array", "items": one}]} if takes_sequence(annotation) else one
    # JSON has no infinity: there, to leave the option out says the same.
    given = {} if default == math.inf else {"default": default}
    return {"title": knob.label, "description": knob.help, **given, **value}
