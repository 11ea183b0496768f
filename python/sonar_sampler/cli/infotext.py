"""The webui's infotext: the parameters of a picture as text in its PNG.

PROMPT
Negative prompt: NEGATIVE PROMPT
Steps: 20, Sampler: Sonar Euler a, ..., Version: ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

_NEGATIVE = "Negative prompt: "
_NAME = re.compile(r"\w[\w \-/]+")
_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"\s*(?=,|$)')
_MARK = re.compile("[,:]")


def write(prompt: str, negative_prompt: str, parameters: Mapping[str, str]) -> str:
    """The infotext of a picture; a value with a comma, a colon or a line break is quoted, as the webui does."""
    lines = [prompt]
    if negative_prompt:
        lines.append(_NEGATIVE + negative_prompt)
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in parameters.items()))
    return "\n".join(lines)


def read(text: str) -> tuple[str, str, dict[str, str]]:
    """Prompt, negative prompt and parameters of an infotext; no parameters if `text` is not one.

    A prompt with a line that starts with the words `Negative prompt:` cannot be told from a negative prompt.
    """
    head, _, last = ("\n" + text.rstrip()).rpartition("\n")
    parameters = {name: _unquoted(value) for name, value in _pairs(last)}
    if "Steps" not in parameters:
        return text, "", {}
    prompt, _, negative_prompt = head.partition("\n" + _NEGATIVE)
    return prompt.removeprefix("\n"), negative_prompt, parameters


def _pairs(line: str) -> Iterator[tuple[str, str]]:
    """The names and values of a line, in time that grows as the line does: it may come from anybody."""
    start = 0
    while mark := _MARK.search(line, start):
        name = line[start : mark.start()].strip()
        start = mark.end()
        if mark[0] == ",":
            continue
        while line[start : start + 1].isspace():
            start += 1
        quoted = _QUOTED.match(line, start)
        end = quoted.end() if quoted else line.find(",", start)
        end = len(line) if end < 0 else end
        if _NAME.fullmatch(name):
            yield name, line[start:end].strip()
        start = end + 1


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) else value


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value
