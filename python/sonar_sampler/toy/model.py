"""The embedded model: prompts in, an exact denoiser out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import codec
from .gaussian import Vector
from .mixture import Mixture
from .prompt import Prompt
from .vocabulary import LAYOUTS, SUBJECTS, WORDS, layouts

Latents = NDArray[np.floating[Any]]
Denoiser = Callable[[Latents, float], Latents]

_DOUBT = 0.05  # share of everything in a negative prompt


class ToyModel:
    """Small poster-like landscapes and skies, as an exactly known distribution.

    Not a neural network and not trained: a mixture of Gaussians constructed from pictures that this package
    draws (`gaussian` says how), whose denoiser is the closed-form posterior mean (`mixture` has the formula).
    It shows what a sampler does, since the model itself makes no error. It knows the words of `words` and
    nothing else.
    """

    latent_shape: tuple[int, int, int] = codec.LATENT_SHAPE
    words: Mapping[str, str] = MappingProxyType(WORDS)

    def parse(self, prompt: str) -> Prompt:
        """What the model understands of a prompt; `.unknown` lists the words it ignores."""
        return Prompt.parse(prompt)

    def denoiser(self, prompt: str, negative_prompt: str = "", cfg_scale: float = 7.0) -> Denoiser:
        """A function (latents (batch, 6, 64, 64), sigma) -> denoised latents, of the same shape and floating dtype.

        The answer is `D_neg + cfg_scale (D_pos - D_neg)`; with `cfg_scale` 1 the negative prompt has no effect.
        An empty negative prompt is the mixture of everything. One with words keeps a share of 0.05 of everything:
        a picture that the denoiser sees clearly remains that picture, as in a trained model. Pixels are float32,
        weights float64. Images of a batch are computed one by one: an image does not depend on its neighbours.

        Raises ValueError for a `cfg_scale` that is not finite and, at the call, for latents of another shape
        or dtype and a sigma that is not finite or is negative.
        """
        if not math.isfinite(cfg_scale):
            raise ValueError(f"cfg_scale must be a finite number, got {cfg_scale}")
        guided = cfg_scale != 1.0
        wanted = self.parse(prompt).weights()
        unwanted = _softened(self.parse(negative_prompt).weights()) if guided else {}
        names = [name for name in SUBJECTS if name in wanted or name in unwanted]
        mixture = Mixture([layout for name in names for layout in layouts(name)])
        positive = _log_priors(names, wanted)
        negative = _log_priors(names, unwanted) if guided else None

        def denoise(latents: Latents, sigma: float) -> Latents:
            if latents.ndim != 4 or latents.shape[1:] != self.latent_shape:
                allowed = ", ".join(map(str, self.latent_shape))
                raise ValueError(f"latents must have shape (batch, {allowed}), got {latents.shape}")
            if not np.issubdtype(latents.dtype, np.floating):
                raise ValueError(f"latents must be of a floating dtype, got {latents.dtype}")
            if not (math.isfinite(sigma) and sigma >= 0):
                raise ValueError(f"sigma must be finite and at least 0, got {sigma}")
            denoised = np.empty_like(latents)
            for image, latent in enumerate(latents.astype(np.float32)):
                denoised[image] = mixture.denoise(latent, float(sigma), positive, negative, cfg_scale)
            return denoised

        return denoise

    def log_likelihood(self, latents: Latents, prompt: str, sigma: float) -> NDArray[np.float64]:
        """Log density of noisy latents (batch, 6, 64, 64) under a prompt, up to a constant: one number an image.

        `sigma` is the noise in them; for a clean picture, how far from the model's own it may be.
        """
        wanted = self.parse(prompt).weights()
        names = [name for name in SUBJECTS if name in wanted]
        mixture = Mixture([layout for name in names for layout in layouts(name)])
        priors = _log_priors(names, wanted)
        return np.array([mixture.log_density(latent.astype(np.float32), float(sigma), priors) for latent in latents])

    def decode(self, latents: Latents) -> list[Image.Image]:
        """RGB pictures of 384 x 384 pixels, one for each latent of a batch (batch, 6, 64, 64)."""
        return [codec.decode(latent) for latent in latents]

    def encode(self, image: Image.Image) -> NDArray[np.float32]:
        """The latent (6, 64, 64) of a picture of any size and mode: centre-cropped to a square and resized."""
        return codec.encode(image)


def _softened(weights: dict[str, Vector]) -> dict[str, Vector]:
    """`weights` with a share of everything."""
    everything = Prompt.parse("").weights()
    return {name: (1 - _DOUBT) * weights.get(name, 0.0) + _DOUBT * modes for name, modes in everything.items()}


def _log_priors(names: list[str], weights: dict[str, Vector]) -> list[Vector]:
    """Log weights of the modes of every layout of the subjects `names`; `-inf` where one is not meant."""
    result: list[Vector] = []
    for name in names:
        modes = weights.get(name, np.zeros(len(SUBJECTS[name].modes())))
        with np.errstate(divide="ignore"):
            result.extend([np.log(modes / LAYOUTS)] * LAYOUTS)
    return result
