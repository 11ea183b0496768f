"""The project's embedded model, at few images: an exact denoiser of 24,576 dimensions."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sonar_sampler.toy import ToyModel
from sonar_sampler.toy.vocabulary import LAYOUTS, layouts

from .data import draw

PROMPTS = ("lake sunset", "desert day", "nebula blue", "city night")
"""A class is a prompt."""


class LandscapesProblem:
    """Guided by the empty prompt, as the command line does it."""

    name = fingerprint = "landscapes"
    shape = ToyModel.latent_shape
    classes = len(PROMPTS)
    images = 48

    def __init__(self) -> None:
        self._model = ToyModel()

    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor, guidance: float) -> Tensor:
        """As `Problem` says; sigma is the same for all images."""
        result = torch.empty_like(x)
        for label, prompt in enumerate(PROMPTS):
            chosen = labels == label
            denoised = self._model.denoiser(prompt, cfg_scale=guidance)(x[chosen].numpy(), float(sigma.flatten()[0]))
            result[chosen] = torch.from_numpy(denoised)
        return result

    def data(self, labels: Tensor, seed: int) -> Tensor:
        """One latent for each label, of the prompt's mixture."""
        rng = np.random.Generator(np.random.PCG64(seed))
        weights = [self._model.parse(prompt).weights() for prompt in PROMPTS]
        latents = []
        for label in labels.tolist():
            subjects = weights[label]
            subject = rng.choice(list(subjects), p=[float(modes.sum()) for modes in subjects.values()])
            modes = subjects[subject] / subjects[subject].sum()
            layout = layouts(subject)[rng.integers(LAYOUTS)]
            latents.append(draw(layout, rng.choice(len(modes), p=modes), rng))
        return torch.from_numpy(np.array(latents))

    def measured(self, samples: Tensor) -> Tensor:
        """Means of 4 x 4 squares: the distances take 1,536 values of an image."""
        return avg_pool2d(samples, 4)
