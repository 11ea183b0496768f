"""Reference images: from a request to a picture, and from a picture to a latent of the pass."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from modules import images, sd_samplers_common, shared
from PIL import Image, ImageOps

from sonar_sampler.errors import ConfigError

LARGEST_PIXELS, LONGEST_TEXT = 32_000_000, 64_000_000
"""The most pixels of a reference that comes with a request, and the most characters of its base64."""

# Not all that the library opens: for some kinds it starts programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_WORDS = f"{', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}"
_SCALE = 8  # pixels per latent cell, of every model that these hosts run


def drawn(values: Mapping[str, Any]) -> dict[str, Any]:
    """A panel's options, whose reference can be drawn on, with the drawing as the reference's mask.

    A mask that was given stays. Where nothing is drawn, there is none.
    """
    values = dict(values)
    picture = values.get("ref_image")
    if isinstance(picture, dict) and all(part is None or isinstance(part, Image.Image) for part in picture.values()):
        values["ref_image"], drawing = picture.get("image"), picture.get("mask")
        if values.get("ref_mask") is None and drawing is not None and drawing.convert("L").getbbox() is not None:
            values["ref_mask"] = drawing
    return values


def decode(value: Any, name: str) -> Image.Image | None:
    """A picture from what a page (PIL) or a request (base64 or data URL) gives for an option; None stays None.

    Raises:
        ConfigError: if it is anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, Image.Image):
        return value
    if not isinstance(value, str):
        raise ConfigError(f"{name} is a {type(value).__name__}: must be a {_WORDS} image as base64 or a data URL")
    text = value.partition(",")[2] if value[:5] == "data:" else value
    if len(text) > LONGEST_TEXT:
        raise ConfigError(f"{name} has {len(text):,} characters: at most {LONGEST_TEXT:,} are allowed")
    try:
        image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ConfigError(f"{name} has too many pixels: {_MOST}") from None
    except (binascii.Error, ValueError, OSError):
        raise _unreadable(value, name) from None
    # Nothing is decoded yet: a small file can hold very many pixels.
    if image.width * image.height > LARGEST_PIXELS:
        raise ConfigError(f"{name} has {image.width} x {image.height} pixels: {_MOST}")
    try:
        return ImageOps.exif_transpose(image)
    except (ValueError, OSError, SyntaxError):
        raise _unreadable(value, name) from None


_MOST = f"at most {LARGEST_PIXELS // 1_000_000} megapixels are allowed; the pass needs no more than its own size"


def _unreadable(text: str, name: str) -> ConfigError:
    return ConfigError(f"{name} = {text[:40]!r}...: must be a {_WORDS} image as base64 or a data URL")


def digest(image: Image.Image) -> str:
    """Ten hexadecimal digits that tell a picture from another: the same from a page and from a request."""
    pixels = image.convert("RGBA")
    return hashlib.sha256(repr(pixels.size).encode() + pixels.tobytes()).hexdigest()[:10]


def latent(p: Any, image: Image.Image, x: torch.Tensor) -> torch.Tensor:
    """The picture as a latent (1, channel, height, width) for the pass that samples latents like x.

    It is cropped and resized as the host does with an img2img image, and encoded once per job, size and model.
    """
    size = (x.shape[-1] * _SCALE, x.shape[-2] * _SCALE)
    key = (id(image), size, getattr(shared.sd_model, "sd_model_hash", None), id(shared.sd_model))
    cached: dict[Any, torch.Tensor] = getattr(p, "sonar_latents", None) or {}
    if key not in cached:
        # A new dict: copies of a job (X/Y/Z plot) share the old one.
        cached = {**cached, key: _encoded(_fitted(image, size))}
        p.sonar_latents = cached
    return cached[key].to(x)


def mask(image: Image.Image, x: torch.Tensor) -> torch.Tensor:
    """A mask as numbers in [0, 1] (1, 1, height, width), for the pass that samples latents like x: 1 where it is white.

    It is cropped and resized like a reference, and does not count where it is transparent.

    Raises:
        ConfigError: it is black everywhere.
    """
    black = Image.new("RGBA", image.size, "black")
    black.alpha_composite(image.convert("RGBA"))
    size = (x.shape[-1] * _SCALE, x.shape[-2] * _SCALE)
    fitted: Image.Image = images.resize_image(1, black.convert("RGB"), *size)
    cells = fitted.convert("L").resize((x.shape[-1], x.shape[-2]), Image.Resampling.BOX)
    weights = torch.from_numpy(np.asarray(cells, dtype=np.float32) / 255)
    if not weights.any():
        raise ConfigError("ref_mask: is black everywhere; it must be white where the reference counts")
    return weights[None, None].to(x)


def _fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    background = Image.new("RGBA", image.size, getattr(shared.opts, "img2img_background_color", "#ffffff"))
    background.alpha_composite(image.convert("RGBA"))
    fitted: Image.Image = images.resize_image(1, background.convert("RGB"), *size)
    return fitted


def _encoded(image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).permute(2, 0, 1)[None]
    indexes = getattr(sd_samplers_common, "approximation_indexes", {})
    approximation = indexes.get(getattr(shared.opts, "sd_vae_encode_method", "Full"), 0)
    # Encoders draw from the global generator: with its own seed an image does not depend on what ran before,
    # and nothing that runs later depends on it.
    device = shared.device
    with torch.random.fork_rng([device] if torch.device(device).type == "cuda" else []):
        torch.manual_seed(0)
        encoded: torch.Tensor = sd_samplers_common.images_tensor_to_samples(pixels, approximation, shared.sd_model)
    # Forge answers an inference tensor, which nothing else may keep.
    return encoded.clone()
