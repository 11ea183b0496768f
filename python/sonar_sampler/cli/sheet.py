"""Annotated sheets of pictures."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from sonar_sampler import ConfigError
from sonar_sampler.cli.picture import MOST_PIXELS

_MARGIN = 14
_PAPER = "white"
_INK = "#222222"
_EMPTY = "#e6e6e6"
# A longer title than the table is wide makes the sheet wider, up to this.
_TITLE_WIDTH = 1200


@dataclass(frozen=True)
class Layout:
    """The texts of a sheet, and where they and the pictures go.

    Attributes:
        rows, columns: a label for each; none is drawn for empty ones.
        title: stands above; cut where it does not fit.
        size: pixels a side of a picture.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    title: str
    size: int = 256

    @property
    def heading(self) -> str:
        """The title in one line."""
        return "".join(letter if letter.isprintable() else " " for letter in self.title)

    @property
    def text_size(self) -> int:
        """The height of a text."""
        return max(14, self.size // 14)

    @property
    def line(self) -> int:
        """The height of a line of text."""
        return self.text_size * 3 // 2

    @property
    def left(self) -> int:
        """Where the pictures begin."""
        return max((_width(text, self.text_size) for text in self.rows), default=0) + 2 * _MARGIN

    @property
    def head(self) -> int:
        """How far down the pictures begin."""
        return (self.line + _MARGIN if self.title else _MARGIN // 2) + (self.line if any(self.columns) else 0)

    @property
    def pitch(self) -> int:
        """From a picture to the next."""
        return self.size + _MARGIN // 2

    @property
    def width(self) -> int:
        """Pixels of the sheet."""
        table = self.left + len(self.columns) * self.pitch + _MARGIN // 2
        return max(table, min(_width(self.heading, self.text_size) + 2 * _MARGIN, _TITLE_WIDTH))

    @property
    def height(self) -> int:
        """Pixels of the sheet."""
        return self.head + len(self.rows) * self.pitch + _MARGIN // 2

    def check(self) -> None:
        """Refuses a sheet of more pixels than are read again.

        Raises:
            ConfigError: with the number of pictures and pixels.
        """
        if self.width * self.height > MOST_PIXELS:
            raise ConfigError(
                f"a sheet of {len(self.rows)} x {len(self.columns)} pictures has {self.width * self.height:,} pixels; "
                f"at most {MOST_PIXELS:,} are allowed"
            )


def sheet(cells: Sequence[Sequence[Image.Image | str | None]], layout: Layout) -> Image.Image:
    """A table of pictures with a title and a label at each row and column.

    `cells[row][column]` is a picture, scaled to the layout's size, or grey where there is none (yet): None, or a word
    that says why.
    """
    font, size, pitch = _font(layout.text_size), layout.size, layout.pitch
    page = Image.new("RGB", (layout.width, layout.height), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text(
        (_MARGIN, _MARGIN), _cut(layout.heading, layout.width - 2 * _MARGIN, layout.text_size), fill=_INK, font=font
    )
    for column, text in enumerate(layout.columns):
        place = (layout.left + column * pitch + size // 2, layout.head - layout.line // 2)
        draw.text(place, text, fill=_INK, font=font, anchor="mm")
    for row, text in enumerate(layout.rows):
        top = layout.head + row * pitch
        draw.text((layout.left - _MARGIN, top + size // 2), text, fill=_INK, font=font, anchor="rm")
        for column, picture in enumerate(cells[row]):
            left = layout.left + column * pitch
            if isinstance(picture, Image.Image):
                page.paste(picture.resize((size, size), Image.Resampling.LANCZOS), (left, top))
                continue
            draw.rectangle((left, top, left + size - 1, top + size - 1), fill=_EMPTY)
            draw.text((left + size // 2, top + size // 2), picture or "", fill=_INK, font=font, anchor="mm")
    return page


def _cut(text: str, width: int, text_size: int) -> str:
    """A text that is no wider than so many pixels."""
    if _width(text, text_size) <= width:
        return text
    fits = bisect.bisect_right(range(len(text)), width, key=lambda end: _width(text[:end] + "…", text_size))
    return text[: max(fits - 1, 0)] + "…"


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _width(text: str, size: int) -> int:
    return round(_font(size).getlength(text))
