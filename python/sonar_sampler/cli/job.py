"""One picture to make: all its settings, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from sonar_sampler import SonarConfig, initial_noise, sample
from sonar_sampler.cli.custom import CustomSampler
from sonar_sampler.toy import ToyModel, sigmas

Array = np.ndarray[Any, Any]
Progress = Callable[[dict[str, Any]], object]

REFERENCE_SIZE = (256, 256)


@dataclass(frozen=True)
class Job:
    """Everything that decides what a picture looks like. `config.seed` is the picture's seed."""

    prompt: str
    negative_prompt: str = ""
    steps: int = 20
    cfg_scale: float = 4.0
    schedule: str = "karras"
    config: SonarConfig = field(default_factory=SonarConfig)
    custom: CustomSampler | None = None
    reference: Image.Image | None = None

    def with_options(self, **options: Any) -> Job:
        """The same job with other options of the sampler."""
        return replace(self, config=replace(self.config, **options))

    def start(self) -> tuple[Callable[[Array, float], Array], Array, Array, Array | None]:
        """What a sampler needs: the denoiser, the noised latent, the sigmas and the reference latent."""
        model = ToyModel()
        levels = sigmas(self.steps, self.schedule)
        noise = initial_noise((1, *model.latent_shape), [int(self.config.seed)])  # type: ignore[arg-type]
        reference = None if self.reference is None else model.encode(self.reference)[None]
        denoise = model.denoiser(self.prompt, self.negative_prompt, self.cfg_scale)
        return denoise, noise * levels[0], levels, reference

    def run(self, progress: Progress | None = None) -> Image.Image:
        """Makes the picture; `progress` is told of each step as the callback of `sonar_sampler.sample` is."""
        denoise, x, levels, reference = self.start()
        sampler = sample if self.custom is None else self.custom.function
        latent = sampler(denoise, x, levels, self.config, reference=reference, callback=progress)
        return ToyModel().decode(latent)[0]


def prepare_reference(image: Image.Image) -> Image.Image:
    """A reference as it is used and stored in the picture's PNG: RGB, cropped to a square, of a fixed size."""
    flat = Image.new("RGBA", image.size, "white")
    flat.alpha_composite(image.convert("RGBA"))
    return ImageOps.fit(flat.convert("RGB"), REFERENCE_SIZE, Image.Resampling.LANCZOS)
