"""The annotated sheet of a grid search."""

from __future__ import annotations

import textwrap
from typing import Any

from modules import images, shared
from PIL import Image, ImageDraw

from sonar_sampler.hosts.webui import infotext
from sonar_sampler.hosts.webui.grid import Grid, Search

_MARGIN = 4


def add(p: Any, processed: Any, search: Search) -> None:
    """Puts the sheet before the images of a finished or interrupted job, and takes out what is no cell's image.

    Args:
        p: the host's job, as it was before the grid.
        processed: what the host made of it.
        search: the grid that ran.
    """
    kept = _kept(p, processed, search)
    if not kept:
        return
    first = processed.index_of_first_image
    texts, pictures = processed.infotexts[first:], processed.images[first:]
    # A host may answer a mask with each image, and an extension more images after them all.
    each = len(pictures) // len(texts)
    tiles: dict[int, list[Image.Image]] = {}
    for k in kept:
        tiles.setdefault(search.cell(k // p.batch_size), []).append(pictures[k * each])
    text = _text(p, processed, search, kept[0])
    sheet = _draw(tiles, search)
    if getattr(shared.opts, "enable_pnginfo", True):
        sheet.info["parameters"] = text
    if shared.opts.grid_save and not search.no_grid:
        images.save_image(
            sheet, p.outpath_grids, "sonar_grid", info=text, extension=shared.opts.grid_format,
            prompt=processed.all_prompts[0], seed=processed.all_seeds[0], grid=True, p=p,
        )  # fmt: skip
    processed.images = [
        sheet,
        *(picture for k in kept for picture in pictures[k * each : (k + 1) * each]),
        *pictures[len(texts) * each :],
    ]
    processed.infotexts = [text, *(texts[k] for k in kept)]
    processed.info = text
    processed.index_of_first_image = 1
    for name in ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds"):
        setattr(processed, name, [getattr(processed, name)[k] for k in kept])
    for cell, why in search.failed.items():
        values = search.grid.cell(cell)
        p.comment(f"Sonar grid: no image at {values['momentum']:g} / {values['momentum_hist']:g}: {why}")
    processed.comments = "".join(f"{comment}\n" for comment in p.comments)


def _kept(p: Any, processed: Any, search: Search) -> list[int]:
    """The images, counted through all batches, that are what their cell says."""
    count = len(processed.infotexts) - processed.index_of_first_image
    if len(processed.images) == processed.index_of_first_image:
        return []
    batches = -(-count // p.batch_size)
    # An image that was interrupted half-way is not its cell's; alone it is better than nothing.
    if shared.state.interrupted and batches > 1 + len(search.lost):
        batches -= 1
    return [k for k in range(min(count, batches * p.batch_size)) if k // p.batch_size not in search.lost]


def _text(p: Any, processed: Any, search: Search, image: int) -> str:
    """An image's text with the search lists: pasted, it sets up the whole grid."""
    job = search.job
    infotext.write(p, job, infotext.grid_settings(job.values))
    text: str = processed.infotext(p, image)
    return text


def _draw(tiles: dict[int, list[Image.Image]], search: Search) -> Image.Image:
    """The cells that were begun, each row whole."""
    grid: Grid = search.grid
    drawn = {cell: images.image_grid(row, rows=1) if len(row) > 1 else row[0] for cell, row in tiles.items()}
    width, height = (max(tile.size[axis] for tile in drawn.values()) for axis in (0, 1))
    columns = len(grid.histories)
    rows = max(drawn) // columns + 1
    sheet = Image.new("RGB", (columns * width, rows * height), getattr(shared.opts, "grid_background_color", "white"))
    for cell, why in search.failed.items():
        if cell // columns < rows:
            drawn[cell] = _failed(width, height, why)
    for cell, tile in drawn.items():
        sheet.paste(tile, (cell % columns * width, cell // columns * height))
    annotated: Image.Image = images.draw_grid_annotations(
        sheet,
        width,
        height,
        [[images.GridAnnotation(f"history: {history:g}")] for history in grid.histories],
        [[images.GridAnnotation(f"current: {momentum:g}")] for momentum in grid.momentums[:rows]],
        margin=_MARGIN,
    )
    return annotated


def _failed(width: int, height: int, why: str) -> Image.Image:
    """A tile that nobody takes for an image."""
    tile = Image.new("RGB", (width, height), "#444444")
    draw = ImageDraw.Draw(tile)
    draw.line((0, 0, width, height), fill="#aa4444", width=max(2, width // 100))
    draw.line((0, height, width, 0), fill="#aa4444", width=max(2, width // 100))
    size = max(8, width // 24)
    text = "\n".join(["No image", *textwrap.wrap(why, 36)])
    font = images.get_font(size)
    draw.multiline_text(
        (width / 2, height / 2), text, "white", font, anchor="mm", align="center", stroke_width=2, stroke_fill="black"
    )
    return tile
