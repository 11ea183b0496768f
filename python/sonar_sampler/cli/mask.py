"""The mask of a reference: from a file, and embedded in the PNG of a picture that was made with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sonar_sampler import ConfigError
from sonar_sampler.cli import embedded
from sonar_sampler.cli.picture import opened
from sonar_sampler.cli.reference import FORMATS

CELLS = (64, 64)
"""Of the embedded model's latent."""

MOST_CHARACTERS = 40_000
"""Of an embedded mask: uncompressed it has 5,500 in base64."""


def open_mask(path: Path) -> Image.Image:
    """A mask from a file, as it is used and stored: grey, a cell of the latent a pixel, from the middle square.

    White is where the reference counts; what is transparent does not.

    Raises:
        ConfigError: there is no such file, or it is no picture, too large, or black everywhere.
    """
    with opened(path, "reference-mask", FORMATS) as image:
        ImageOps.exif_transpose(image, in_place=True)
        cells = ImageOps.fit(image.convert("RGBA"), CELLS, Image.Resampling.BOX)
        black = Image.new("RGBA", CELLS, "black")
        black.alpha_composite(cells)
        mask = black.convert("L")
    try:
        _check(mask)
    except ConfigError as error:
        raise ConfigError(f"reference-mask = {str(path)!r}: {error}") from None
    return mask


def weights(mask: Image.Image) -> NDArray[np.float32]:
    """A mask as numbers in [0, 1], shaped (1, 1, height, width)."""
    numbers: NDArray[Any] = np.asarray(mask, dtype=np.float32)[None, None] / np.float32(255)
    return numbers


def extract(text: str) -> Image.Image:
    """The mask that `embedded.embed` wrote.

    Raises:
        ConfigError: the text is no PNG of the size and mode that `open_mask` makes, or is black everywhere.
    """
    mask = embedded.extract(text, "reference mask", CELLS, "L", MOST_CHARACTERS)
    _check(mask)
    return mask


def _check(mask: Image.Image) -> None:
    if mask.getextrema() == (0, 0):
        raise ConfigError("is black everywhere; it must be white where the reference counts")
