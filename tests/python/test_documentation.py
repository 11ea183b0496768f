"""What `help` teaches is there, is true, and is what the stubs say."""

import ast
import doctest
import inspect
from pathlib import Path

import numpy as np
import pytest

import sonar_sampler
from sonar_sampler import _core

STUB = ast.parse((Path(sonar_sampler.__file__).parent / "_core.pyi").read_text())
DEFINITIONS = [node for node in STUB.body if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_"]


def documented():
    for node in DEFINITIONS:
        yield node.name, node, getattr(_core, node.name)
        if isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("__"):
                    yield f"{node.name}.{member.name}", member, getattr(getattr(_core, node.name), member.name)


@pytest.mark.parametrize(
    ("name", "node", "thing"), list(documented()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_stub_says_what_help_says(name, node, thing):
    assert ast.get_docstring(node) == inspect.getdoc(thing), f"{name}: copy the docstring of the Rust code to _core.pyi"


def test_the_stub_holds_everything():
    names = {node.name for node in DEFINITIONS} | {"__version__", "__source__"}
    assert names == set(_core.__all__)


@pytest.mark.parametrize("name", [name for name in sonar_sampler.__all__ if name[0] != "_"])
def test_every_public_name_is_documented(name):
    assert len(inspect.getdoc(getattr(sonar_sampler, name))) > 25


@pytest.mark.parametrize(
    "name",
    ["sample", "Stepper", "ancestral_step", "momentum_step", "normalize_reference", "guidance_step", "initial_noise"],
)
def test_help_tells_arguments_and_errors_and_its_example_runs(name):
    thing = getattr(sonar_sampler, name)
    text = inspect.getdoc(thing)
    assert "Args:" in text
    assert "Raises:" in text
    for parameter in inspect.signature(thing).parameters:
        assert parameter in text
    with np.printoptions(legacy="1.25" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else False):
        runner = doctest.DocTestRunner()
        runner.run(doctest.DocTestParser().get_doctest(text, {}, name, None, 0))
    assert runner.failures == 0
    if name in ("sample", "Stepper", "ancestral_step", "momentum_step"):
        assert runner.tries > 0
