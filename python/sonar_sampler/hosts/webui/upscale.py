"""Enlarging finished images with one of the host's upscalers."""

from __future__ import annotations

from dataclasses import dataclass

from modules import images, shared
from PIL import Image

from sonar_sampler.errors import ConfigError


def names() -> list[str]:
    """The host's upscalers; call it late, the list is filled after the scripts are loaded."""
    return [upscaler.name for upscaler in shared.sd_upscalers]


@dataclass(frozen=True)
class Upscale:
    """What to do with a finished image.

    Width and height 0: by the ratio. One of them 0: from the other, keeping the shape. Both: filled and cropped.
    """

    upscaler: str
    ratio: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.upscaler != "None" and self.upscaler not in names():
            raise ConfigError(f"upscaler = {self.upscaler!r}: must be one of {', '.join(names())}")

    def target(self, width: int, height: int) -> tuple[int, int]:
        """The size that an image of this size gets."""
        if self.upscaler == "None":
            return width, height
        if self.width == self.height == 0:
            return round(width * self.ratio), round(height * self.ratio)
        if self.width == 0:
            return round(width * self.height / height), self.height
        if self.height == 0:
            return self.width, round(height * self.width / width)
        return self.width, self.height

    def apply(self, image: Image.Image) -> Image.Image:
        """The image, enlarged."""
        target = self.target(image.width, image.height)
        if target == image.size:
            return image
        enlarged: Image.Image = images.resize_image(1, image, *target, upscaler_name=self.upscaler)
        return enlarged
