"""Pictures that are there from a run before, which need not be made again."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from sonar_sampler import ConfigError
from sonar_sampler.cli import png
from sonar_sampler.cli.picture import opened
from sonar_sampler.cli.recipe import Recipe


def is_of(path: Path, recipe: Recipe) -> bool:
    """Whether this file was made from this very recipe."""
    try:
        return png.read_texts(path) == png.texts(recipe)
    except ConfigError:
        return False


def read(path: Path) -> Image.Image | None:
    """The picture in a PNG; None if there is none, or it is damaged."""
    try:
        with opened(path, "image", ("PNG",)) as image:
            return image.convert("RGB")
    except ConfigError:
        return None
