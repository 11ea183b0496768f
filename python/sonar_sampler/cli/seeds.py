"""The search over seeds."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sonar_sampler.cli import kept, png
from sonar_sampler.cli.files import candidates, free_path
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.pool import AT_ONCE, pictures
from sonar_sampler.cli.recipe import Recipe
from sonar_sampler.cli.report import Report


@dataclass(frozen=True)
class Search:
    """What came of a search over seeds.

    Attributes:
        resumed: how many of the pictures were there before.
        failed: what went wrong with each picture that could not be made.
    """

    resumed: int
    failed: tuple[str, ...]


def run_seeds(
    job: Job, count: int, out: Path, report: Report, *, executor: Executor | None = None, at_once: int = AT_ONCE
) -> Search:
    """Makes pictures of a job's seed and those that follow it; each is a file when it is done.

    Pictures of a search that are there already, from a run that was interrupted, are not made again; no file is
    touched.

    Args:
        job: the first picture.
        count: how many pictures; more than one are a search.
        out: the folder for them.
        report: told of the progress and of each picture.
        executor, at_once: where the pictures are made, as in `pool.pictures`. Files are written here alone.

    Raises:
        WorkerError: the executor fails. The pictures that it made are kept.
        OutputError: a file cannot be written.
    """
    first = int(job.config.seed)  # type: ignore[arg-type]
    recipes = {f"seed {seed}": Recipe(job.with_options(seed=seed)) for seed in range(first, first + count)}
    resumed, missing = 0, {}
    for name, recipe in recipes.items():
        path = _own(recipe, out) if count > 1 else None
        if path is None:
            missing[name] = recipe
        else:
            report.made(path, recipe)
            resumed += 1
    jobs = {name: recipe.job for name, recipe in missing.items()}
    failed = {}
    with closing(pictures("txt2img", jobs, report, executor, at_once)) as made:
        for name, outcome in made:
            if isinstance(outcome, Exception):
                failed[name] = f"{name}: {outcome}"
                continue
            path = free_path(out, *_words(missing[name]))
            png.save(outcome, missing[name], path)
            report.made(path, missing[name])
    return Search(resumed, tuple(failed[name] for name in recipes if name in failed))


def _own(recipe: Recipe, out: Path) -> Path | None:
    """The whole file of this recipe; None if there is none."""
    for path in candidates(out, *_words(recipe)):
        if not path.exists():
            return None
        if kept.is_of(path, recipe) and kept.read(path) is not None:
            return path
    raise AssertionError("candidates do not end")


def _words(recipe: Recipe) -> tuple[str, str]:
    return recipe.job.prompt, str(recipe.job.config.seed)
