"""Grid search: a job whose batches run through all pairs of two lists, and a sheet of their images.

The host runs it as it runs any number of batches; each batch finds the options of its cell on the job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from modules import devices, shared

from sonar_sampler.errors import ConfigError, NumericError
from sonar_sampler.hosts.webui import infotext
from sonar_sampler.hosts.webui import job as jobs
from sonar_sampler.hosts.webui.options import check
from sonar_sampler.search_list import parse_search_list

MOST_CELLS = 1000
_LISTS = (
    "all_prompts",
    "all_negative_prompts",
    "all_seeds",
    "all_subseeds",
    "all_hr_prompts",
    "all_hr_negative_prompts",
)


@dataclass(frozen=True)
class Grid:
    """The values to run through: a row for each momentum, a column for each history."""

    momentums: Sequence[float]
    histories: Sequence[float]

    @staticmethod
    def read(values: Mapping[str, Any]) -> Grid:
        """From the two search lists; an empty one stands for the slider.

        Raises:
            ConfigError: if a list makes no sense, or there are too many cells.
        """
        lists = []
        for name in ("momentum", "momentum_hist"):
            text = check(f"grid_{name}", values[f"grid_{name}"]).strip()
            try:
                lists.append(parse_search_list(text, name) if text else (values[name],))
            except ConfigError as error:
                raise ConfigError(f"grid_{error}") from None
        grid = Grid(*lists)
        if len(grid) > MOST_CELLS:
            raise ConfigError(f"grid_momentum and grid_momentum_hist make {grid}: at most {MOST_CELLS} are allowed")
        return grid

    def __len__(self) -> int:
        return len(self.momentums) * len(self.histories)

    def __str__(self) -> str:
        return f"{len(self.momentums)} x {len(self.histories)} = {len(self)} images"

    def cell(self, number: int) -> dict[str, float]:
        """The options of a cell, counted row by row."""
        row, column = divmod(number, len(self.histories))
        return {"momentum": self.momentums[row], "momentum_hist": self.histories[column]}


@dataclass
class Search:
    """A grid that runs: what is on the job `p` as `p.sonar_search` while it does.

    Attributes:
        batches, no_samples, no_grid: what the job said before, put back at the end.
        failed: cell -> why it has no images.
        lost: the batches without an image.
    """

    grid: Grid
    job: jobs.Job
    batches: int
    no_samples: bool
    no_grid: bool
    failed: dict[int, str] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)

    def cell(self, batch: int) -> int:
        """The cell that a batch belongs to."""
        return batch // self.batches


def begin(p: Any, job: jobs.Job) -> None:
    """Makes the job run all cells, if it asks for a grid; to be called when the host has made its list of seeds.

    Raises:
        ConfigError: if the grid makes no sense or its sheet would be too large.
    """
    if not job.values["grid"] or getattr(p, "txt2img_upscale", False):
        return
    grid = Grid.read(job.values)
    _check_sheet(p, job, grid)
    search = Search(grid, job, p.n_iter, p.do_not_save_samples, p.do_not_save_grid)
    images = p.n_iter * p.batch_size
    for name in _LISTS:
        # Each cell has the seeds and prompts of the first.
        if getattr(p, name, None):
            setattr(p, name, getattr(p, name)[:images] * len(grid))
    p.n_iter *= len(grid)
    p.do_not_save_grid = True
    p.sample = _guarded(p, p.sample, search)
    p.sonar_search = search


def begin_batch(p: Any, batch: int) -> None:
    """Puts the options of the batch's cell on the job."""
    search: Search | None = getattr(p, "sonar_search", None)
    if search is not None:
        p.do_not_save_samples = search.no_samples
        p.sonar = jobs.read({**search.job.values, **search.grid.cell(search.cell(batch))})
        infotext.write(p, p.sonar)


def end(p: Any) -> Search | None:
    """Makes the job what it was before the grid, and answers the search, if there is one."""
    search: Search | None = getattr(p, "sonar_search", None)
    if search is not None:
        p.sonar_search = None
        p.n_iter, p.do_not_save_samples, p.do_not_save_grid = search.batches, search.no_samples, search.no_grid
        del p.sample
    return search


def _check_sheet(p: Any, job: jobs.Job, grid: Grid) -> None:
    width, height = p.width, p.height
    if getattr(p, "enable_hr", False):
        sides = (p.hr_resize_x / width, p.hr_resize_y / height)
        scale = max(sides) if any(sides) else p.hr_scale
        width, height = round(width * scale), round(height * scale)
    if job.upscale is not None:
        width, height = job.upscale.target(width, height)
    pixels = len(grid) * p.n_iter * p.batch_size * width * height / 1e6
    most = getattr(shared.opts, "img_max_size_mp", 200)
    if pixels > most:
        raise ConfigError(
            f"grid_momentum and grid_momentum_hist make {grid}, a sheet of {pixels:,.0f} megapixels: at most {most:g} "
            "are allowed (Maximum image size, in the Settings)"
        )


def _guarded(p: Any, sample: Any, search: Search) -> Any:
    """The host's sampling of a batch, which answers an empty latent where a cell has no image to show."""

    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            samples = sample(*args, **kwargs)
            if not getattr(samples, "already_decoded", False):
                devices.test_for_nans(samples, "unet")
        except Exception as error:
            cell = search.cell(p.iteration)
            if not _is_numeric(error) or len(search.failed.keys() | {cell}) == len(search.grid):
                raise
            search.failed[cell] = str(getattr(error, "detail", error))
            search.lost.add(p.iteration)
            # The host goes on with it; neither the file nor the sheet shall show it.
            p.do_not_save_samples = True
            return torch.zeros((len(p.seeds), *p.rng.shape), device=shared.device)
        return samples

    return guarded


def _is_numeric(error: Exception) -> bool:
    return isinstance(error, devices.NansException | NumericError) or isinstance(error.__cause__, NumericError)
