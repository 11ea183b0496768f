"""The grid search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from sonar_sampler.cli import png
from sonar_sampler.cli.files import free_path
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.progress import progress
from sonar_sampler.cli.sheet import sheet


def run_grid(job: Job, momenta: Sequence[float], histories: Sequence[float], out: Path) -> tuple[Path, bool]:
    """Makes every picture of a grid and the sheet; Ctrl-C keeps what is done.

    Returns:
        The sheet's path, and whether it is complete. The pictures are in a folder of the sheet's name.
    """
    path = free_path(out, "grid", job.prompt, str(job.config.seed))
    cells: list[list[Image.Image | None]] = [[None] * len(histories) for _ in momenta]
    complete = True
    try:
        with progress("grid", len(momenta) * len(histories), job.steps) as step:
            for row, momentum in enumerate(momenta):
                for column, history in enumerate(histories):
                    cell = job.with_options(momentum=momentum, momentum_hist=history)
                    picture = cell.run(step)
                    png.save(picture, cell, path.with_suffix("") / f"momentum-{momentum}-history-{history}.png")
                    cells[row][column] = picture
    except KeyboardInterrupt:
        complete = False
    rows = [f"momentum {momentum}" for momentum in momenta]
    columns = [f"history {history}" for history in histories]
    title = f"{job.prompt}   seed {job.config.seed}   {job.config.momentum_sign}, {job.steps} steps"
    png.save(sheet(cells, rows, columns, title), job, path)
    return path, complete
