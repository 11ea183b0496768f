"""Keeps `docs/options.md` and `docs/options.schema.json` true: both are made from the table of the options.

`python tools/options.py` writes them; with `--check` it only says whether they are right.
"""

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from sonar_sampler.gradients import Gradients
from sonar_sampler.registry import GROUPS, Knob, SonarConfig
from sonar_sampler.schema import json_schema, takes_sequence

DOCS = Path(__file__).resolve().parents[1] / "docs"
HEAD = """# Every option

Made from the table in `python/sonar_sampler/registry.py` by `make options`. The names are those of `SonarConfig`, of
the torch functions' keywords and, with `-` for `_`, of the command line; the labels are those of the web UI, of
infotexts and of the axes of the X/Y/Z plot. The same as JSON Schema: [options.schema.json](options.schema.json), or
`sonar_sampler.schema.json_schema()`.
"""

GRADIENTS = """## Gradients: what is optimised by the model's own gradients

Of `sonar_sampler.gradients.Gradients` (the torch functions' argument `gradients`) and the web UI: [more](gradients.md).
"""


def table() -> str:
    """The page."""
    lines = [HEAD]
    for group, about in GROUPS.items():
        lines += [f"## {group.capitalize()}: {about}", "", *rows(SonarConfig, group), ""]
    return "\n".join([*lines, GRADIENTS, *rows(Gradients, "gradients"), ""])


def rows(options: Any, group: str) -> list[str]:
    """The table of a group."""
    lines = ["| option | label | default | values | what it does |", "|---|---|---|---|---|"]
    for option in fields(options):
        knob = option.metadata.get("knob")
        if knob is not None and knob.group == group:
            values = ", ".join(f"`{choice}`" for choice in knob.choices) or knob.kind
            if takes_sequence(option.type):
                values += "; or one per image" if knob.kind == "seed" else "; or one per step"
            lines.append(
                f"| `{option.name}` | {knob.label} | `{option.default}` | {values} | {knob.help}{needs(knob)} |"
            )
    return lines


def needs(knob: Knob) -> str:
    """With what alone an option means something."""
    if not knob.needs:
        return ""
    return f" Only with `{knob.needs[0]}` {knob.needs[1] if len(knob.needs) > 1 else 'above 0'}."


if __name__ == "__main__":
    right = {"options.md": table(), "options.schema.json": json.dumps(json_schema(), indent=2) + "\n"}
    for name, text in right.items():
        file = DOCS / name
        if "--check" not in sys.argv:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            raise SystemExit(f"docs/{name} is not what the table of the options says; run `make options`")
