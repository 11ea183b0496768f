"""The reference picture: from a file, and embedded in the PNG of a picture that was pulled towards it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from sonar_sampler import ConfigError
from sonar_sampler.cli import embedded
from sonar_sampler.cli.picture import opened
from sonar_sampler.toy import ToyModel

SIZE = (256, 256)
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_CHARACTERS = 400_000
"""Of an embedded reference: an uncompressed picture of `SIZE` has 262,144 in base64."""

# In units of the latent, of which a picture has about 1: about one level of 256.
_LEAST_SPREAD = 0.01
# Guidance scales every channel of a reference to the same spread, and a grey picture has nothing to scale in its
# colour channels. Like a toned print it gets colours that follow its brightness.
_TONES = ("#10182e", "#7f7a78", "#fff4e0")


def open_reference(path: Path) -> Image.Image:
    """A reference picture from a file.

    Raises:
        ConfigError: there is no such file, or it is no picture, too large, or of one colour.
    """
    with opened(path, "reference", FORMATS) as image:
        try:
            return prepare_reference(image)
        except ConfigError as error:
            raise ConfigError(f"reference = {str(path)!r}: {error}") from None


def prepare_reference(image: Image.Image) -> Image.Image:
    """A reference as it is used and stored in the picture's PNG: upright, RGB, cropped to a square, of a fixed size.

    Raises:
        ConfigError: the picture has one colour only.
    """
    prepared = _square(image)
    if _spread(prepared)[1] < _LEAST_SPREAD:
        prepared = ImageOps.colorize(prepared.convert("L"), _TONES[0], _TONES[2], mid=_TONES[1])
    check_reference(prepared)
    return prepared


def check_reference(image: Image.Image) -> None:
    """Refuses a prepared reference that has nothing to pull towards.

    Raises:
        ConfigError: the picture has one colour only, or is grey.
    """
    if min(_spread(image)) < _LEAST_SPREAD:
        raise ConfigError("is a picture of one colour; a reference needs light and dark parts")


def extract(text: str) -> Image.Image:
    """The reference that `embedded.embed` wrote.

    Raises:
        ConfigError: the text is no PNG of the size and mode that `prepare_reference` makes.
    """
    picture = embedded.extract(text, "reference", SIZE, "RGB", MOST_CHARACTERS)
    check_reference(picture)
    return picture


def _square(image: Image.Image) -> Image.Image:
    """Shrinks first: the rest then costs no memory. A square from the middle stays it when the picture is turned."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    clear = "A" in image.getbands() or "transparency" in image.info
    if image.mode.startswith("I"):
        # 16-bit grey, which Pillow would clip at 255.
        image = Image.fromarray((np.asarray(image) / 257).clip(0, 255).astype(np.uint8))
    small = ImageOps.fit(image.convert("RGBA" if clear else "RGB"), SIZE, Image.Resampling.LANCZOS)
    small.getexif()[ExifTags.Base.Orientation] = orientation
    ImageOps.exif_transpose(small, in_place=True)
    if not clear:
        return small
    flat = Image.new("RGBA", SIZE, "white")
    flat.alpha_composite(small)
    return flat.convert("RGB")


def _spread(image: Image.Image) -> tuple[float, float]:
    """The smallest standard deviation of the latent's brightness channels, and of its colour channels."""
    spread = ToyModel().encode(image).std(axis=(1, 2))
    return float(spread[:4].min()), float(spread[4:].min())
