"""Pictures as text in a PNG, and back."""

from __future__ import annotations

import base64
import io
import warnings

from PIL import Image

from sonar_sampler import ConfigError


def embed(image: Image.Image) -> str:
    """A picture as text."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def extract(text: str, what: str, size: tuple[int, int], mode: str, most: int) -> Image.Image:
    """The picture of `embed`; what it did not make is refused before a pixel is decoded.

    Args:
        text: which may come from anybody.
        what: it should be, for messages.
        size, mode: that it must have.
        most: characters of the text.

    Raises:
        ConfigError: the text is no PNG of that size and mode.
    """
    if len(text) > most:
        raise ConfigError(f"the {what} in it is too large")
    try:
        with warnings.catch_warnings(), io.BytesIO(base64.b64decode(text, validate=True)) as file:
            # Pillow warns of what is refused here anyway.
            warnings.simplefilter("ignore")
            image = Image.open(file, formats=["PNG"])
            if image.size != size or image.mode != mode:
                got = f"{image.width} x {image.height} {image.mode}"
                raise ConfigError(f"the {what} in it is {got}; must be {size[0]} x {size[1]} {mode}")
            picture: Image.Image = image.convert(mode)
        return picture
    except (ConfigError, MemoryError):
        raise
    except Exception as error:  # Pillow raises errors of a dozen kinds for damaged files
        raise ConfigError(f"the {what} in it cannot be read ({error})") from None
