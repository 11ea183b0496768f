"""Image files from anywhere: checked before a pixel is decoded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from sonar_sampler import ConfigError

MOST_PIXELS = 64_000_000
"""Larger pictures are neither read nor made: a few hundred MB of memory at most."""

MOST_BYTES = 256 * 2**20


@contextmanager
def opened(path: Path, what: str, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """An image file, of which only the head is read; its pixels may be decoded inside the `with`.

    Args:
        path: the file.
        what: the option that names it, for messages.
        formats: Pillow's names of the formats that are allowed. Others are never tried: some run programs.

    Raises:
        ConfigError: there is no such file, or it is too large, or no picture of these formats, or damaged.
    """
    name = f"{what} = {str(path)!r}"
    allowed = ", ".join(formats)
    try:
        if not path.exists():
            raise ConfigError(f"{name}: there is no such file")
        if not path.is_file():
            raise ConfigError(f"{name}: is not a file")
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{name}: is larger than {MOST_BYTES // 2**20} MB, which is the most that is read")
        with warnings.catch_warnings():
            # Pillow warns of what is refused here anyway, and of oddities that harm nobody.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=formats) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise _too_large(name, f"has {image.width} x {image.height} pixels")
                yield image
    except (ConfigError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise _too_large(name, "has too many pixels") from None
    except UnidentifiedImageError:
        raise ConfigError(f"{name}: not a picture that can be read; must be {allowed}") from None
    except Exception as error:  # Pillow raises errors of a dozen kinds for damaged files
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{name}: not a picture that can be read ({reason})") from None


def _too_large(name: str, size: str) -> ConfigError:
    return ConfigError(f"{name}: {size}; at most {MOST_PIXELS // 10**6} million are read, scale it down first")
