"""What the networks learn: images of shape (n, channels, height, width) in about -1..1, float32, and their classes.

`digits`: the test set of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak; UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, CC BY 4.0), as scikit-learn ships it: 1797 images of 8 x 8 pixels.
`landscapes`: drawn by this project's embedded model, 16 x 16 pixels, luma and two colour differences; a class is a
subject.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sonar_sampler.toy.codec import BLACK, LATENT_SHAPE
from sonar_sampler.toy.gaussian import NOISE, Layout, from_planes, to_planes
from sonar_sampler.toy.vocabulary import SUBJECTS, layouts

LANDSCAPE_SIDE = 16


def digits() -> tuple[Tensor, Tensor]:
    """1797 images (1, 8, 8) of ten classes."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images / 8.0 - 1.0, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(labels)


def landscapes(count: int = 9000, seed: int = 0) -> tuple[Tensor, Tensor]:
    """`count` images (3, 16, 16) of as many classes as the embedded model has subjects, drawn from `seed`."""
    rng = np.random.Generator(np.random.PCG64(seed))
    labels = np.arange(count) % len(SUBJECTS)
    names = list(SUBJECTS)
    images = []
    for label in labels:
        of_subject = layouts(names[label])
        layout = of_subject[rng.integers(len(of_subject))]
        images.append(_small(draw(layout, rng.integers(len(layout.centres)), rng)))
    return torch.tensor(np.array(images), dtype=torch.float32), torch.tensor(labels)


def draw(layout: Layout, mode: int, rng: np.random.Generator) -> np.ndarray:
    """One latent (6, 64, 64) of a mode of a layout."""
    planes = to_planes(NOISE * rng.standard_normal(LATENT_SHAPE, dtype=np.float32))
    layout.add_expanded(
        layout.centres[mode] + np.sqrt(layout.variances) * rng.standard_normal(len(layout.variances)), planes
    )
    return from_planes(planes)


def _small(latent: np.ndarray) -> np.ndarray:
    """(6, 64, 64) to (3, 16, 16): the mean of each square."""
    luma = latent[:4].mean(axis=0) + BLACK
    planes = np.stack([luma, latent[4], latent[5]])
    return planes.reshape(3, LANDSCAPE_SIDE, 4, LANDSCAPE_SIDE, 4).mean(axis=(2, 4))
