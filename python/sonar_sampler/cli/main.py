"""The command `sonar` and its subcommands."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NoReturn

import click

from sonar_sampler import ConfigError, SonarError, __version__
from sonar_sampler.cli import png
from sonar_sampler.cli.contact import contact_sheet
from sonar_sampler.cli.failures import FAILED, INTERRUPTED, Group
from sonar_sampler.cli.files import free_path, try_folder
from sonar_sampler.cli.grid import run_grid
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.options import (
    make_job,
    model_options,
    output_options,
    picture_options,
    sampler_options,
    unknown_words,
)
from sonar_sampler.cli.pipeline import Model
from sonar_sampler.cli.pool import pictures
from sonar_sampler.cli.recipe import CONTACT, GRID, SEARCHED, Recipe
from sonar_sampler.cli.report import Report
from sonar_sampler.cli.seeds import run_seeds
from sonar_sampler.cli.show import show as shown
from sonar_sampler.cli.workers import Workers, worker_options
from sonar_sampler.search_list import parse_search_list


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sonar")
def main() -> None:
    """Momentum sampling for diffusion models, with a small model built in.

    Sonar keeps a momentum of a sampler's steps and mixes it into the next ones, to search the neighbourhood of a
    picture. Start with:

    \b
      sonar txt2img "mountains sunset" --seed 7
      sonar grid sunset --momentum 0.75:0.95:3 --momentum-hist 0.5:0.9:3
      sonar steps "mountains sunset" --seed 7 --momentum 0.75

    The built-in model is no neural network and was not trained: it is an exactly known distribution of small drawn
    landscapes, whose denoiser is a formula. It needs no download and no GPU, makes no errors of its own, and so shows
    what a sampler does. It does not show what Stable Diffusion would paint; for that, use Sonar in a web UI.

    \b
    Exit status:
      0    done
      1    could not be done: no file written, or a picture diverged or is lost
      2    a wrong command, option or value, or a file that cannot be used
      130  interrupted with Ctrl-C; what was finished is kept
    """  # noqa: D301 - click's mark for lines that are not wrapped


@main.command(short_help="Make pictures of a prompt.")
@picture_options
@sampler_options()
@model_options
@click.option("-c", "--count", default=1, show_default=True, type=click.IntRange(1, 10_000), help="How many pictures.")
@worker_options
@output_options
def txt2img(count: int, workers: Workers, out: Path, report: Report, **given: Any) -> None:
    """Make pictures of PROMPT, each with its parameters in the PNG.

    Picture k uses seed + k. Ctrl-C keeps the pictures that are done; the same command with the same seed and count
    makes the rest.
    """
    job = _job(report, given)
    try_folder(out)
    try:
        with workers.started(report) as (executor, at_once):
            search = run_seeds(job, count, out, report, executor=executor, at_once=at_once)
    except KeyboardInterrupt:
        if count > 1:
            _interrupted(job, report)
        raise
    _resumed(search.resumed, report)
    if search.failed:
        raise SonarError(f"{len(search.failed)} pictures could not be made; the first: {search.failed[0]}")


@main.command(short_help="Try several momenta: one annotated sheet.")
@picture_options
@click.option("--momentum", default="0.75:0.95", show_default=True, metavar="LIST", help="Rows: a search list.")
@click.option("--momentum-hist", default="0.5:0.9", show_default=True, metavar="LIST", help="Columns: a search list.")
@sampler_options(*SEARCHED)
@model_options
@worker_options
@output_options
def grid(momentum: str, momentum_hist: str, workers: Workers, out: Path, report: Report, **given: Any) -> None:
    """Try several momenta on PROMPT: one annotated sheet, one row a momentum, one column a history.

    \b
    A search list is one of
      0.75             one value
      0.75:0.95        three values, ends included
      0.75:0.95:5      five values
      0.95:0.75:-0.1   values by a step; none goes past the end
    and several of them with commas between.

    Ctrl-C keeps the pictures that are done and writes the sheet with the rest left grey; the same command with the
    same seed makes the rest. With --workers or --dask the pictures are the same, bit for bit; a worker that ends in
    the middle of one is replaced.
    """  # noqa: D301 - click's mark for lines that are not wrapped
    lists = zip(SEARCHED, (momentum, momentum_hist), strict=True)
    searched = {name: parse_search_list(text, name) for name, text in lists}
    _make_grid(Recipe(_job(report, given), GRID, searched), workers, out, report)


@main.command(short_help="Show a run step by step: a contact sheet.")
@picture_options
@sampler_options()
@model_options
@output_options
def steps(out: Path, report: Report, **given: Any) -> None:
    """Show a run of PROMPT step by step: a contact sheet of what the model sees and what the momentum does.

    \b
    Rows:
      denoised  the picture that the model sees at each step
      history   the momentum history: red positive, blue negative
      change    the step minus the model's own direction: red where it made
                the latent larger, blue where smaller
    """  # noqa: D301 - click's mark for lines that are not wrapped
    _make_steps(Recipe(_job(report, given), CONTACT), out, report)


@main.command(short_help="Make a picture or a sheet again from its PNG.")
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "--allow-sampler-file",
    type=click.Path(path_type=Path),
    metavar="FILE.py",
    help="The Python file of the picture's own sampler, which is run if it is the very file that the picture was made "
    "with.",
)
@model_options
@worker_options
@output_options
def again(
    image: Path,
    allow_sampler_file: Path | None,
    model: Model | None,
    workers: Workers,
    out: Path,
    report: Report,
) -> None:
    """Make IMAGE again, a picture or a sheet, from the parameters in its PNG.

    The result is the same bit for bit with the same version of Sonar on the same kind of processor.
    """
    recipe, version = png.load(image, allow_sampler_file, model)
    if version != f"Sonar {__version__}":
        report.note(f"the picture was made by {version}, this is Sonar {__version__}: the result may differ slightly")
    if recipe.sheet == GRID:
        _make_grid(recipe, workers, out, report, "again")
    elif recipe.sheet == CONTACT:
        if workers != Workers():
            raise ConfigError("--workers and --dask: a sheet of one run's steps is made here; leave them out")
        _make_steps(recipe, out, report, "again")
    else:
        try_folder(out)
        with workers.started(report) as (executor, at_once):
            ((_, picture),) = pictures("again", {str(image): recipe.job}, report, executor, at_once)
        if isinstance(picture, Exception):
            raise picture
        path = free_path(out, recipe.job.prompt, str(recipe.job.config.seed), "again")
        png.save(picture, recipe, path)
        report.made(path, recipe)


@main.command(short_help="Show the parameters in a PNG.")
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(image: Path, as_json: bool) -> None:
    """Show the prompts and parameters that are in the PNG IMAGE, also one that a web UI made."""
    click.echo(shown(image, as_json=as_json))


def _job(report: Report, given: dict[str, Any]) -> Job:
    seed = given.pop("seed")
    if seed is None:
        seed = random.randrange(2**32)
    job = make_job(seed, given.pop("reference"), given.pop("reference_mask"), given)
    unknown = [] if job.model else unknown_words([job.prompt, job.negative_prompt])
    if unknown:
        report.note(f"words that the model does not know: {', '.join(unknown)} (see sonar txt2img --help)")
    return job


def _make_grid(recipe: Recipe, workers: Workers, out: Path, report: Report, suffix: str = "") -> None:
    try_folder(out)
    with workers.started(report) as (executor, at_once):
        made = run_grid(recipe, out, report, suffix, executor=executor, at_once=at_once)
    cells = [
        {"path": str(cell.path), **{name: getattr(cell.recipe.job.config, name) for name in SEARCHED}}
        for cell in made.done
    ]
    report.made(made.path, recipe, complete=not made.interrupted and not made.failed, pictures=cells)
    _resumed(made.resumed, report)
    if made.interrupted:
        _interrupted(recipe.job, report)
    if made.failed:
        report.note(f"{len(made.failed)} pictures could not be made; the first: {made.failed[0]}")
        raise SystemExit(FAILED)


def _resumed(count: int, report: Report) -> None:
    if count:
        report.note(f"{count} of the pictures were there already")


def _interrupted(job: Job, report: Report) -> NoReturn:
    report.note(f"interrupted; the same command with --seed {job.config.seed} makes the pictures that are missing")
    raise SystemExit(INTERRUPTED)


def _make_steps(recipe: Recipe, out: Path, report: Report, suffix: str = "") -> None:
    try_folder(out)
    with report.progress(CONTACT, recipe.job.steps, "steps") as step:
        sheet = contact_sheet(recipe.job, step)
    path = free_path(out, CONTACT, recipe.job.prompt, str(recipe.job.config.seed), suffix)
    png.save(sheet, recipe, path)
    report.made(path, recipe)
