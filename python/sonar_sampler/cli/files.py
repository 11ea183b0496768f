"""Names of the files that the command writes."""

from __future__ import annotations

import re
from pathlib import Path


def free_path(folder: Path, *words: str) -> Path:
    """A PNG's path in `folder` made from words; a number is added where a file of that name is already there."""
    stem = "-".join(part for word in words if (part := re.sub(r"[^a-z0-9.]+", "-", word.lower()).strip("-.")))[:100]
    path = folder / f"{stem or 'sonar'}.png"
    number = 2
    while path.exists():
        path = folder / f"{stem or 'sonar'}-{number}.png"
        number += 1
    return path
