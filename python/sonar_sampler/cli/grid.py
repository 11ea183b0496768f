"""The grid search."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sonar_sampler import ConfigError, NumericError
from sonar_sampler.cli import png
from sonar_sampler.cli.files import candidates
from sonar_sampler.cli.picture import opened
from sonar_sampler.cli.recipe import GRID, SEARCHED, Recipe
from sonar_sampler.cli.report import Report
from sonar_sampler.cli.sheet import Layout, sheet
from sonar_sampler.registry import unused

_SIZE = 256
_DIVERGED = "diverged"


@dataclass(frozen=True)
class Cell:
    """A picture of a grid."""

    recipe: Recipe
    path: Path
    row: int
    column: int


@dataclass(frozen=True)
class Grid:
    """What came of a grid search.

    Attributes:
        path: of the sheet.
        done: the pictures that are there.
        resumed: how many of them were there before.
        diverged: what went wrong with each picture that could not be made.
        interrupted: whether Ctrl-C ended it.
    """

    path: Path
    done: tuple[Cell, ...]
    resumed: int
    diverged: tuple[str, ...]
    interrupted: bool


def run_grid(recipe: Recipe, out: Path, report: Report, suffix: str = "") -> Grid:
    """Makes every picture of a grid and the sheet; Ctrl-C keeps what is done.

    The pictures are in a folder of the sheet's name. Those that are there already, from a run that was interrupted, are
    not made again; a file with other parameters is never touched.

    Args:
        recipe: what is searched.
        out: the folder for the sheet.
        report: told of the progress.
        suffix: a word for the end of the sheet's name.

    Raises:
        ConfigError: the sheet would be too large.
        OutputError: a file cannot be written.
    """
    job = recipe.job
    momenta, histories = (recipe.searched[name] for name in SEARCHED)
    mode = job.config.momentum_mode
    how = mode if "momentum_sign" in unused({"momentum_mode": mode}) else job.config.momentum_sign
    layout = Layout(
        [f"momentum {value}" for value in momenta],
        [f"history {value}" for value in histories],
        f"{job.prompt}   seed {job.config.seed}   {how}, {job.steps} steps",
        _SIZE,
    )
    layout.check()
    path, cells = _place(recipe, out, suffix)
    pictures: list[list[Image.Image | str | None]] = [[None] * len(histories) for _ in momenta]
    done: list[Cell] = []
    diverged: list[str] = []
    missing = [cell for cell in cells if not cell.path.exists()]
    interrupted = False
    try:
        with report.progress(GRID, len(missing), job.steps) as step:
            for cell in cells:
                picture = None if cell in missing else _read(cell.path)
                if picture is None:
                    try:
                        picture = cell.recipe.job.run(step)
                    except NumericError as error:
                        diverged.append(str(error))
                        pictures[cell.row][cell.column] = _DIVERGED
                        continue
                    png.save(picture, cell.recipe, cell.path)
                pictures[cell.row][cell.column] = picture.resize((_SIZE, _SIZE), Image.Resampling.LANCZOS)
                done.append(cell)
    except KeyboardInterrupt:
        interrupted = True
    png.save(sheet(pictures, layout), recipe, path)
    return Grid(path, tuple(done), len(cells) - len(missing), tuple(diverged), interrupted)


def _place(recipe: Recipe, out: Path, suffix: str) -> tuple[Path, list[Cell]]:
    """The first name of which every file is this grid's own, or not there."""
    for path in candidates(out, GRID, recipe.job.prompt, str(recipe.job.config.seed), suffix):
        cells = _cells(recipe, path.with_suffix(""))
        if _is_free(path, recipe) and all(_is_free(cell.path, cell.recipe) for cell in cells):
            return path, cells
    raise AssertionError("candidates do not end")


def _cells(recipe: Recipe, folder: Path) -> list[Cell]:
    momenta, histories = (recipe.searched[name] for name in SEARCHED)
    return [
        Cell(
            Recipe(recipe.job.with_options(momentum=momentum, momentum_hist=history)),
            folder / f"momentum-{momentum}-history-{history}.png",
            row,
            column,
        )
        for row, momentum in enumerate(momenta)
        for column, history in enumerate(histories)
    ]


def _is_free(path: Path, recipe: Recipe) -> bool:
    """Whether nothing is lost where the file of this recipe is written to this path."""
    if not path.exists():
        return True
    try:
        return png.read_texts(path) == png.texts(recipe)
    except ConfigError:
        return False


def _read(path: Path) -> Image.Image | None:
    """The picture of a finished cell; None if it is damaged."""
    try:
        with opened(path, GRID, ("PNG",)) as image:
            return image.convert("RGB")
    except ConfigError:
        return None
