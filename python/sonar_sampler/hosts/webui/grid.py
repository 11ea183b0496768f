"""Grid search: one image, or batch of images, for each pair of two lists, and a sheet of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from modules import images, processing, shared
from PIL import Image

from sonar_sampler.errors import ConfigError
from sonar_sampler.hosts.webui import infotext
from sonar_sampler.hosts.webui.options import check
from sonar_sampler.search_list import parse_search_list

_MARGIN = 4


@dataclass(frozen=True)
class Grid:
    """The values to run through: a row for each momentum, a column for each history."""

    momentums: Sequence[float]
    histories: Sequence[float]
    written: Mapping[str, str]

    @staticmethod
    def read(values: Mapping[str, Any]) -> Grid:
        """From the two search lists; an empty one stands for the slider.

        Raises:
            ConfigError: if a list makes no sense.
        """
        lists = []
        for name in ("momentum", "momentum_hist"):
            text = check(f"grid_{name}", values[f"grid_{name}"]).strip()
            try:
                lists.append(parse_search_list(text, name) if text else (values[name],))
            except ConfigError as error:
                raise ConfigError(f"grid_{error}") from None
        return Grid(lists[0], lists[1], infotext.grid_settings(values))


def run(p: Any, grid: Grid) -> Any:
    """Runs all cells of a job and returns the host's `Processed`: the sheet, then every image with its own text.

    An interrupt keeps the cells that are finished.
    """
    processing.fix_seed(p)
    cells = [(momentum, history) for momentum in grid.momentums for history in grid.histories]
    shared.state.job_count = len(cells) * p.n_iter
    shared.total_tqdm.updateTotal(p.steps * shared.state.job_count)
    done: list[tuple[Any, Any]] = []
    for number, (momentum, history) in enumerate(cells):
        if shared.state.interrupted or getattr(shared.state, "stopping_generation", False):
            break
        shared.state.job = f"Sonar grid {number + 1} of {len(cells)}"
        cell = copy(p)
        cell.do_not_save_grid = True
        cell.sonar_axes = {"momentum": momentum, "momentum_hist": history}
        processed = processing.process_images(cell)
        # An image that was interrupted half-way is not this cell's; alone it is better than nothing.
        if processed.images and not (shared.state.interrupted and done):
            done.append((cell, processed))
    return _result(p, grid, done)


def _result(p: Any, grid: Grid, done: list[tuple[Any, Any]]) -> Any:
    if not done:
        return processing.Processed(p, [], p.seed, "")
    cell, first = done[0]
    text = _sheet_text(cell, first, grid)
    sheet = _sheet([processed.images for _, processed in done], grid)
    if getattr(shared.opts, "enable_pnginfo", True):
        sheet.info["parameters"] = text
    if shared.opts.grid_save and not p.do_not_save_grid:
        images.save_image(
            sheet, p.outpath_grids, "sonar_grid", info=text, extension=shared.opts.grid_format,
            prompt=first.all_prompts[0], seed=first.all_seeds[0], grid=True, p=cell,
        )  # fmt: skip
    result = processing.Processed(
        p,
        [sheet, *_joined(done, "images")],
        seed=first.seed,
        info=text,
        subseed=first.subseed,
        all_prompts=_joined(done, "all_prompts"),
        all_negative_prompts=_joined(done, "all_negative_prompts"),
        all_seeds=_joined(done, "all_seeds"),
        all_subseeds=_joined(done, "all_subseeds"),
        index_of_first_image=1,
        infotexts=[text, *_joined(done, "infotexts")],
    )
    result.sampler_name = first.sampler_name
    return result


def _joined(done: list[tuple[Any, Any]], attribute: str) -> list[Any]:
    return [entry for _, processed in done for entry in getattr(processed, attribute)]


def _sheet_text(cell: Any, processed: Any, grid: Grid) -> str:
    """The first image's text with the search lists: pasted, it sets up the whole grid."""
    cell = copy(cell)
    cell.extra_generation_params = {**cell.extra_generation_params, **grid.written}
    text: str = processed.infotext(cell, 0)
    return text


def _sheet(cells: list[list[Image.Image]], grid: Grid) -> Image.Image:
    """The annotated sheet of the finished cells; rows that were not begun are left out."""
    tiles = [images.image_grid(cell, rows=1) if len(cell) > 1 else cell[0] for cell in cells]
    width, height = (max(tile.size[axis] for tile in tiles) for axis in (0, 1))
    columns = len(grid.histories)
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), getattr(shared.opts, "grid_background_color", "white"))
    for number, tile in enumerate(tiles):
        sheet.paste(tile, (number % columns * width, number // columns * height))
    annotated: Image.Image = images.draw_grid_annotations(
        sheet,
        width,
        height,
        [[images.GridAnnotation(f"history: {history:g}")] for history in grid.histories],
        [[images.GridAnnotation(f"current: {momentum:g}")] for momentum in grid.momentums[:rows]],
        margin=_MARGIN,
    )
    return annotated
