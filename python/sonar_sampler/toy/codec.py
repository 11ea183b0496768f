"""Pictures and latents: a fixed linear code, with a sharpening decoder.

A latent has shape (6, 64, 64). Channels 0-3 are the luma of a 128 x 128 picture, each 2 x 2 block of pixels
dealt out to the four channels; channels 4 and 5 are the blue and red colour differences (ITU-R BT.601) at
half the resolution. Luma runs from -1 (black) to 1 (white), colour differences from -3.5 to 3.5: so all
channels vary about equally, and a reference image, which is normalised per channel, keeps natural colours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps
from PIL.Image import Resampling

from .canvas import SIZE

GRID = SIZE // 2
LATENT_SHAPE = (6, GRID, GRID)
PICTURE_SIZE = 3 * SIZE
LUMA_GAIN, CHROMA_GAIN = 2.0, 7.0
BLACK = -1.0  # luma of a black pixel

_TO_YCC = np.array(((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312)))
_FROM_YCC = np.linalg.inv(_TO_YCC)

Array = NDArray[np.floating[Any]]


def colours_to_planes(colours: Array) -> Array:
    """RGB (..., 3) in 0..1 to luma, blue and red difference, in latent units above black."""
    planes: Array = (colours @ _TO_YCC.T) * (LUMA_GAIN, CHROMA_GAIN, CHROMA_GAIN)
    return planes


def split_blocks(plane: Array) -> Array:
    """(..., 128, 128) to (..., 4, 64, 64): the pixels of each 2 x 2 block become channels."""
    lead = plane.shape[:-2]
    blocks = plane.reshape(*lead, GRID, 2, GRID, 2)
    return np.moveaxis(blocks, (-3, -1), (-4, -3)).reshape(*lead, 4, GRID, GRID)


def halve(plane: Array) -> Array:
    """(..., 128, 128) to (..., 64, 64): the mean of each 2 x 2 block."""
    rows = plane[..., ::2, :] + plane[..., 1::2, :]
    half: Array = 0.25 * (rows[..., ::2] + rows[..., 1::2])
    return half


def encode(image: Image.Image) -> NDArray[np.float32]:
    """The latent of a picture of any size and mode, centre-cropped to a square; transparent parts are black."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    square = ImageOps.fit(image.convert("RGB"), (SIZE, SIZE), Resampling.LANCZOS)
    planes = colours_to_planes(np.asarray(square, dtype=np.float64) / 255.0)
    luma = split_blocks(planes[..., 0]) + BLACK
    chroma = halve(np.moveaxis(planes[..., 1:], -1, 0))
    latent: NDArray[np.float32] = np.concatenate([luma, chroma]).astype(np.float32)
    return latent


def decode(latent: Array) -> Image.Image:
    """The picture of a latent (6, 64, 64): RGB, three times the coded size, sharpened."""
    if latent.shape != LATENT_SHAPE:
        raise ValueError(f"a latent has shape {LATENT_SHAPE}, got {latent.shape}")
    latent = latent.astype(np.float64)
    luma = np.moveaxis(latent[:4].reshape(2, 2, GRID, GRID), (0, 1), (1, 3)).reshape(SIZE, SIZE) - BLACK
    fine = (PICTURE_SIZE, PICTURE_SIZE)
    planes = [
        np.asarray(
            Image.fromarray((plane / gain).astype(np.float32)).resize(fine, Resampling.LANCZOS),
            dtype=np.float64,
        )
        for plane, gain in ((luma, LUMA_GAIN), (latent[4], CHROMA_GAIN), (latent[5], CHROMA_GAIN))
    ]
    colours = np.stack(planes, axis=-1) @ _FROM_YCC.T
    levels = np.rint(np.clip(colours, 0.0, 1.0) * 255.0).astype(np.uint8)
    return sharpen(Image.fromarray(levels))


def sharpen(image: Image.Image) -> Image.Image:
    """Steeper edges without overshoot: an unsharp mask, kept between the darkest and the brightest neighbour."""
    strong = np.asarray(image.filter(ImageFilter.UnsharpMask(radius=2.5, percent=130, threshold=0)))
    low, high = (
        np.asarray(image.filter(ImageFilter.MinFilter(7))),
        np.asarray(image.filter(ImageFilter.MaxFilter(7))),
    )
    return Image.fromarray(np.clip(strong, low, high))
