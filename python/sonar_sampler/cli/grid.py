"""The grid search."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sonar_sampler import NumericError
from sonar_sampler.cli import kept, png
from sonar_sampler.cli.files import candidates
from sonar_sampler.cli.pool import AT_ONCE, pictures
from sonar_sampler.cli.recipe import GRID, SEARCHED, Recipe
from sonar_sampler.cli.report import Report
from sonar_sampler.cli.sheet import Layout, sheet
from sonar_sampler.registry import unused

_SIZE = 256
_DIVERGED, _LOST = "diverged", "lost"


@dataclass(frozen=True)
class Cell:
    """A picture of a grid."""

    recipe: Recipe
    path: Path

    @property
    def name(self) -> str:
        """Its momentum and history."""
        return self.path.stem


@dataclass(frozen=True)
class Grid:
    """What came of a grid search.

    Attributes:
        path: of the sheet.
        done: the pictures that are there.
        resumed: how many of them were there before.
        failed: what went wrong with each picture that could not be made.
        interrupted: whether Ctrl-C ended it.
    """

    path: Path
    done: tuple[Cell, ...]
    resumed: int
    failed: tuple[str, ...]
    interrupted: bool


def run_grid(
    recipe: Recipe,
    out: Path,
    report: Report,
    suffix: str = "",
    *,
    executor: Executor | None = None,
    at_once: int = AT_ONCE,
) -> Grid:
    """Makes every picture of a grid and the sheet; Ctrl-C keeps what is done.

    The pictures are in a folder of the sheet's name. Those that are there already, from a run that was interrupted, are
    not made again; a file with other parameters is never touched.

    Args:
        recipe: what is searched.
        out: the folder for the sheet.
        report: told of the progress.
        suffix: a word for the end of the sheet's name.
        executor, at_once: where the pictures are made, as in `pool.pictures`. Files are written here alone.

    Raises:
        ConfigError: the sheet would be too large.
        WorkerError: the executor fails. The pictures that it made are kept.
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
    shown: dict[str, Image.Image | str] = {}
    failed: dict[str, str] = {}
    resumed, interrupted = 0, False
    try:
        missing = {}
        for cell in cells:
            picture = kept.read(cell.path)
            if picture is None:
                missing[cell.name] = cell
            else:
                shown[cell.name] = _small(picture)
                resumed += 1
        jobs = {name: cell.recipe.job for name, cell in missing.items()}
        with closing(pictures(GRID, jobs, report, executor, at_once)) as made:
            for name, outcome in made:
                if isinstance(outcome, Exception):
                    failed[name] = f"{name}: {outcome}"
                    shown[name] = _DIVERGED if isinstance(outcome, NumericError) else _LOST
                else:
                    png.save(outcome, missing[name].recipe, missing[name].path)
                    shown[name] = _small(outcome)
    except KeyboardInterrupt:
        interrupted = True
    found = iter([shown.get(cell.name) for cell in cells])
    png.save(sheet([[next(found) for _ in histories] for _ in momenta], layout), recipe, path)
    done = tuple(cell for cell in cells if isinstance(shown.get(cell.name), Image.Image))
    told = tuple(failed[cell.name] for cell in cells if cell.name in failed)
    return Grid(path, done, resumed, told, interrupted)


def _small(picture: Image.Image) -> Image.Image:
    return picture.resize((_SIZE, _SIZE), Image.Resampling.LANCZOS)


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
        )
        for momentum in momenta
        for history in histories
    ]


def _is_free(path: Path, recipe: Recipe) -> bool:
    """Whether nothing is lost where the file of this recipe is written to this path."""
    return not path.exists() or kept.is_of(path, recipe)
