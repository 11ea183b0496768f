"""The webui's infotext: the parameters of a picture as text in its PNG.

PROMPT
Negative prompt: NEGATIVE PROMPT
Steps: 20, Sampler: Sonar Euler a, ..., Version: ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_NEGATIVE = "Negative prompt: "
_PAIR = re.compile(r'\s*([\w][\w \-/]+):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')


def write(prompt: str, negative_prompt: str, parameters: Mapping[str, str]) -> str:
    """The infotext of a picture; a value with a comma, a colon or a line break is quoted, as the webui does."""
    lines = [prompt]
    if negative_prompt:
        lines.append(_NEGATIVE + negative_prompt)
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in parameters.items()))
    return "\n".join(lines)


def read(text: str) -> tuple[str, str, dict[str, str]]:
    """Prompt, negative prompt and parameters of an infotext; no parameters if `text` is not one."""
    *lines, last = text.strip().split("\n")
    parameters = {name: _unquoted(value.strip()) for name, value in _PAIR.findall(last)}
    if "Steps" not in parameters:
        return text, "", {}
    prompt, _, negative_prompt = "\n".join(["", *lines]).partition("\n" + _NEGATIVE)
    return prompt.removeprefix("\n"), negative_prompt, parameters


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search(r'[,:\n"]', value) else value


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value
