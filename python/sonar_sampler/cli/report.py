"""What the commands say: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from sonar_sampler.cli.recipe import Recipe, parameters

_MOST_CHARACTERS = 600


def printable(text: str) -> str:
    """Text in one line without what a terminal would obey, since it may come from a file."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def shortened(text: str) -> str:
    """A message in one line, printable; of a long one the beginning and the end, which says what is allowed."""
    line, half = printable(text), _MOST_CHARACTERS // 2
    return line if len(line) <= _MOST_CHARACTERS else f"{line[:half]}...{line[-half:]}"


def described(prompt: str, negative_prompt: str, found: dict[str, str]) -> dict[str, Any]:
    """Prompts and parameters as JSON: the infotext's names, and numbers as numbers."""
    typed = {name: _number(text) for name, text in found.items()}
    return {"prompt": prompt, "negative_prompt": negative_prompt, "parameters": typed}


class Report:
    """Where a command tells its results, notes and progress.

    Args:
        as_json: tell each result as one line of JSON, not as its path.
        quiet: no notes, no progress.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._bar: Progress | None = None

    def note(self, text: str) -> None:
        """Tells something beside the results."""
        if not self._quiet:
            click.echo(shortened(text), err=True)

    def made(self, path: Path, recipe: Recipe, **more: Any) -> None:
        """Tells of a file that was made; `more` is added to its JSON."""
        if self._as_json:
            job = recipe.job
            told = described(job.prompt, job.negative_prompt, parameters(recipe))
            line: str | bytes = json.dumps({"path": str(path), **told, **more})
        else:
            # A folder's name may be no text.
            line = str(path) if os.name == "nt" else os.fsencode(path)
        if self._bar is None:
            click.echo(line)
            return
        # Off the screen meanwhile: both may be on the same line of it.
        self._bar.stop()
        click.echo(line)
        self._bar.start()

    @contextmanager
    def progress(self, what: str, total: int, unit: str) -> Iterator[Callable[[dict[str, Any]], object]]:
        """A bar over so many steps, or pictures; yields a callback that goes one on, also for `Job.run`."""
        console = Console(stderr=True)
        if self._quiet or not console.is_terminal:
            yield lambda _: None
            return
        columns = (
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)
        try:
            with self._bar as bar:
                task = bar.add_task(what, total=total)
                yield lambda _: bar.advance(task)
        finally:
            self._bar = None


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        # JSON has no infinity, and a text that was not written by a number stays as it is.
        if str(number) == text and abs(number) < float("inf"):
            return number
    return text
