"""Keeps `_core.pyi` true: its types are written there, its documentation and the samplers' names come from the module.

`python tools/stubs.py` writes them into the file; with `--check` it only says whether they are there.
"""

import ast
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sonar_sampler import _core

STUBS = Path(__file__).resolve().parents[1] / "python" / "sonar_sampler" / "_core.pyi"
NAMES = "_SamplerName = Literal["


def documented(source: str) -> str:
    """The stubs with the documentation that the compiled module has."""
    lines = source.splitlines()
    for owner, node in reversed(list(_with_docstrings(ast.parse(source)))):
        text = getattr(owner, node.name).__doc__
        if text is None:
            raise SystemExit(f"{node.name}: has no documentation in the compiled module")
        place = node.body[0]
        lines[place.lineno - 1 : place.end_lineno] = _docstring(text, " " * place.col_offset)
    names = ", ".join(f'"{name}"' for name in _core.samplers())
    return "\n".join(f"{NAMES}{names}]" if line.startswith(NAMES) else line for line in lines) + "\n"


def _with_docstrings(tree: ast.Module) -> Iterator[tuple[Any, Any]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and hasattr(_core, node.name):
            if ast.get_docstring(node) is not None:
                yield _core, node
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and ast.get_docstring(inner) is not None:
                    yield getattr(_core, node.name), inner


def _docstring(text: str, indent: str) -> list[str]:
    first, *rest = textwrap.dedent(text).strip().splitlines()
    if not rest:
        return [f'{indent}"""{first}"""']
    return [f'{indent}"""{first}', *(f"{indent}{line}".rstrip() for line in rest), f'{indent}"""']


if __name__ == "__main__":
    found = STUBS.read_text(encoding="utf-8")
    right = documented(found)
    if "--check" not in sys.argv:
        STUBS.write_text(right, encoding="utf-8")
    elif found != right:
        raise SystemExit("_core.pyi is not what the compiled module says; run `make stubs`")
