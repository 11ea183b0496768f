"""Names of the files that the command writes, and their folder."""

from __future__ import annotations

import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

# File systems allow 255 bytes for a name; a number and words such as "again" are added to a prompt.
_MOST_BYTES = 180
# More than a file system keeps beside the file's name.
_TRIAL = bytes(2**16)


class OutputError(Exception):
    """A file cannot be written; the message says where and why."""


def try_folder(folder: Path) -> None:
    """Makes a folder and writes a file into it, to fail before the work and not after it.

    Raises:
        OutputError: that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=".sonar-", dir=folder) as trial:
            trial.write(_TRIAL)
    except (OSError, ValueError) as error:
        raise cannot_write(folder, error) from None


def cannot_write(path: Path, error: Exception) -> OutputError:
    """The error for a path that cannot be written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return OutputError(f"{str(path)!r} cannot be written: {reason}")


def free_path(folder: Path, *words: str) -> Path:
    """The first of `candidates` that is not there."""
    return next(path for path in candidates(folder, *words) if not path.exists())


def candidates(folder: Path, *words: str) -> Iterator[Path]:
    """A PNG's path in `folder` made from words, then the same with the numbers from 2."""
    stem = "-".join(part for word in words if (part := _slug(word))) or "sonar"
    yield folder / f"{stem}.png"
    number = 2
    while True:
        yield folder / f"{stem}-{number}.png"
        number += 1


def _slug(text: str) -> str:
    """Letters and digits of every script in lower case, with a hyphen for all that stands between them."""
    lower = unicodedata.normalize("NFC", text.lower())
    kept = "".join(letter if _belongs(letter) else " " for letter in lower)
    short = "-".join(kept.split()).encode()[:_MOST_BYTES].decode(errors="ignore")
    return short.strip("-.")


def _belongs(letter: str) -> bool:
    """Marks are parts of letters, as the vowels of Devanagari."""
    return letter == "." or letter.isalnum() or unicodedata.category(letter).startswith("M")
