"""Annotated sheets of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

_MARGIN = 14
_PAPER = "white"
_INK = "#222222"
_EMPTY = "#e6e6e6"


def sheet(
    cells: Sequence[Sequence[Image.Image | None]],
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    size: int = 256,
) -> Image.Image:
    """A table of pictures, each scaled to `size` pixels a side, with a title and a label at each row and column.

    `cells[row][column]` is None where there is no picture (yet): that cell is left grey.
    """
    text_size = max(14, size // 14)
    font = _font(text_size)
    left = max((_width(text, font) for text in rows), default=0) + 2 * _MARGIN
    line = text_size * 3 // 2
    head = (line + _MARGIN if title else _MARGIN // 2) + (line if any(columns) else 0)
    pitch = size + _MARGIN // 2
    width = left + max(len(columns) * pitch + _MARGIN // 2, _width(title, font) + _MARGIN - left)
    page = Image.new("RGB", (width, head + len(rows) * pitch + _MARGIN // 2), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=font)
    for column, text in enumerate(columns):
        draw.text((left + column * pitch + size // 2, head - line // 2), text, fill=_INK, font=font, anchor="mm")
    for row, text in enumerate(rows):
        top = head + row * pitch
        draw.text((left - _MARGIN, top + size // 2), text, fill=_INK, font=font, anchor="rm")
        for column, picture in enumerate(cells[row]):
            place = (left + column * pitch, top)
            if picture is None:
                draw.rectangle((*place, place[0] + size - 1, place[1] + size - 1), fill=_EMPTY)
            else:
                page.paste(picture.resize((size, size), Image.Resampling.LANCZOS), place)
    return page


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _width(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> int:
    return round(font.getlength(text))
