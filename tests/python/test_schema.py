"""The JSON Schema of the options says what `SonarConfig` takes."""

import json
import math

import pytest

from sonar_sampler import ConfigError, SonarConfig
from sonar_sampler.registry import default, knobs
from sonar_sampler.schema import json_schema

VALUES = {"string": "nonsense", "number": 0.5, "integer": 1, "boolean": True, "null": None, "array": [0.5, 0.5]}
PROPERTIES = json_schema()["properties"]


def ways(name):
    """The schemas of one value and, if it may be one, of a sequence."""
    found = PROPERTIES[name]
    return found.get("anyOf", [found])


def types(name):
    """The JSON types that the schema allows for an option."""
    for way in ways(name):
        kinds = ["string"] if "enum" in way else way["type"]
        yield from [kinds] if isinstance(kinds, str) else kinds


def test_it_holds_every_option_with_its_default_and_is_json():
    assert list(PROPERTIES) == list(knobs())
    assert json_schema()["additionalProperties"] is False
    for name, found in json.loads(json.dumps(PROPERTIES, allow_nan=False)).items():
        assert found.get("default", math.inf) == default(name)
        assert found["description"] == knobs()[name].help


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_value_that_it_allows_is_taken(name):
    choices = next((way["enum"] for way in ways(name) if "enum" in way), None)
    for kind in types(name):
        values = {"string": choices, "array": [[choices[0]] * 2 if choices else [1, 1]]}.get(kind, [VALUES[kind]])
        for value in values:
            if value == "lead":
                continue  # its own rules: only some solvers
            SonarConfig(**{name: value})


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_type_that_it_does_not_allow_is_refused(name):
    allowed = set(types(name))
    allowed |= {"integer"} if "number" in allowed else set()
    for kind in VALUES.keys() - allowed:
        with pytest.raises(ConfigError, match=name):
            SonarConfig(**{name: VALUES[kind]})
