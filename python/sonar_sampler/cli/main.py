"""The command `sonar` and its subcommands."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import click

from sonar_sampler import SonarError, __version__
from sonar_sampler.cli import png
from sonar_sampler.cli.contact import contact_sheet
from sonar_sampler.cli.files import free_path
from sonar_sampler.cli.grid import run_grid
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.options import make_job, picture_options, sampler_options, unknown_words
from sonar_sampler.cli.progress import console, progress
from sonar_sampler.search_list import parse_search_list

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells count it."""


class _Group(click.Group):
    """Shows an error of Sonar's own as a message, not as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SonarError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sonar")
def main() -> None:
    r"""Momentum sampling for diffusion models, with a small model built in.

    Sonar keeps a momentum of a sampler's steps and mixes it into the next ones, to search the neighbourhood of a
    picture. Start with:

    \b
      sonar txt2img "mountains sunset" --seed 7
      sonar grid "mountains sunset" --seed 7 --momentum 0.75:0.95:3 --momentum-hist 0.5:0.9:3
      sonar steps "mountains sunset" --seed 7 --momentum 0.75

    The built-in model is no neural network and was not trained: it is an exactly known distribution of small drawn
    landscapes, whose denoiser is a formula. It needs no download and no GPU, makes no errors of its own, and so shows
    what a sampler does. It does not show what Stable Diffusion would paint; for that, use Sonar in a web UI.
    """


@main.command()
@picture_options
@sampler_options()
@click.option("-c", "--count", default=1, show_default=True, type=click.IntRange(1, 10_000), help="How many pictures.")
def txt2img(count: int, out: Path, **given: Any) -> None:
    """Make pictures of PROMPT, each with its parameters in the PNG.

    Picture k uses seed + k. Ctrl-C keeps the pictures that are done.
    """
    job = _job(given)
    first = int(job.config.seed)  # type: ignore[arg-type]
    try:
        with progress("txt2img", count, job.steps) as step:
            for seed in range(first, first + count):
                one = job.with_options(seed=seed)
                path = free_path(out, job.prompt, str(seed))
                png.save(one.run(step), one, path)
                click.echo(path)
    except KeyboardInterrupt:
        console.print("interrupted; the pictures above are complete")
        raise SystemExit(INTERRUPTED) from None


@main.command()
@picture_options
@click.option("--momentum", default="0.75:0.95", show_default=True, metavar="LIST", help="Rows: a search list.")
@click.option("--momentum-hist", default="0.5:0.9", show_default=True, metavar="LIST", help="Columns: a search list.")
@sampler_options("momentum", "momentum_hist")
def grid(momentum: str, momentum_hist: str, out: Path, **given: Any) -> None:
    r"""Try several momenta on PROMPT: one annotated sheet, one row a momentum, one column a history.

    \b
    A search list is one of
      0.75             one value
      0.75:0.95        three values, ends included
      0.75:0.95:5      five values
      0.95:0.75:-0.1   values by a step; none goes past the end
    and several of them with commas between.

    Ctrl-C keeps the pictures that are done and writes the sheet with the rest left grey.
    """
    rows = parse_search_list(momentum, "momentum")
    columns = parse_search_list(momentum_hist, "momentum_hist")
    sheet, complete = run_grid(_job(given), rows, columns, out)
    click.echo(sheet)
    if not complete:
        console.print("interrupted; the sheet holds the pictures that are done")
        raise SystemExit(INTERRUPTED)


@main.command()
@picture_options
@sampler_options()
def steps(out: Path, **given: Any) -> None:
    r"""Show a run of PROMPT step by step: a contact sheet of what the model sees and what the momentum does.

    \b
    Rows: the denoised picture at each step; the momentum history (red positive, blue negative);
    and what the momentum changed in the step (red where it made the latent larger, blue where smaller).
    """
    job = _job(given)
    with progress("steps", 1, job.steps) as step:
        sheet = contact_sheet(job, step)
    path = free_path(out, "steps", job.prompt, str(job.config.seed))
    png.save(sheet, job, path)
    click.echo(path)


@main.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    default="out",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the picture.",
)
def again(image: Path, out: Path) -> None:
    """Make the picture of IMAGE again from the parameters in its PNG.

    The result is the same bit for bit with the same version of Sonar on the same kind of processor.
    """
    job, version = png.load(image)
    if version != f"Sonar {__version__}":
        console.print(f"the picture was made by {version}, this is Sonar {__version__}: the result may differ slightly")
    with progress("again", 1, job.steps) as step:
        picture = job.run(step)
    path = free_path(out, job.prompt, str(job.config.seed), "again")
    png.save(picture, job, path)
    click.echo(path)


def _job(given: dict[str, Any]) -> Job:
    seed = given.pop("seed")
    if seed is None:
        seed = random.randrange(2**32)
    reference = given.pop("reference")
    job = make_job(seed, reference, given)
    unknown = unknown_words([job.prompt, job.negative_prompt])
    if unknown:
        console.print(f"words that the model does not know: {', '.join(unknown)} (see sonar txt2img --help)")
    return job
