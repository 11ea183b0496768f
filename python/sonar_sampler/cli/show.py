"""What is in a PNG, for people and programs."""

from __future__ import annotations

import json
from pathlib import Path

from sonar_sampler import ConfigError
from sonar_sampler.cli import png
from sonar_sampler.cli.report import described, printable


def show(path: Path, *, as_json: bool) -> str:
    """The prompts and parameters in a PNG, to be read by a person or as JSON.

    Raises:
        ConfigError: the file is no PNG, or has no parameters.
    """
    found = png.read_texts(path)
    try:
        prompt, negative_prompt, parameters = png.read_infotext(found)
    except ConfigError as error:
        raise ConfigError(f"image = {str(path)!r}: {error}") from None
    if as_json:
        return json.dumps({"path": str(path), **described(prompt, negative_prompt, parameters)})
    rows = {"Prompt": prompt, "Negative prompt": negative_prompt, **parameters}
    width = max(map(len, rows)) + 2
    return "\n".join(_row(name, text, width) for name, text in rows.items() if text)


def _row(name: str, text: str, width: int) -> str:
    first, *others = map(printable, text.split("\n"))
    return "\n".join([f"{printable(name):{width}}{first}", *(" " * width + line for line in others)])
