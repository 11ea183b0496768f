"""Exact denoisers: Gaussian mixtures with classes, generated from a seed.

All components share the eigenvectors of a cosine transform; their spectra fall as images' do, each with its own slope.
So the posterior mean is exact and needs two matrix products.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

CLASSES, PER_CLASS = 6, 4


class MixtureProblem:
    """A mixture on `side` x `side` pixels of mean variance 1: `CLASSES` classes of `PER_CLASS` components each."""

    images = 1000

    def __init__(self, seed: int, side: int) -> None:
        self.name = self.fingerprint = f"mixture{side * side}_{seed}"
        self.shape, self.classes = (1, side, side), CLASSES
        random = torch.Generator().manual_seed(seed)
        count = CLASSES * PER_CLASS
        frequency = torch.arange(side, dtype=torch.float64)
        radius = (1 + frequency[:, None] ** 2 + frequency**2).sqrt().flatten()
        slope = 1.2 + 1.2 * torch.rand(count, 1, generator=random, dtype=torch.float64)
        jitter = (0.6 * torch.randn(count, side * side, generator=random, dtype=torch.float64)).exp()
        self.variances = radius ** (-2 * slope) * jitter + 1e-4
        spread = radius ** -(1.5 * torch.ones(count, 1, dtype=torch.float64))
        centre = torch.randn(CLASSES, 1, side * side, generator=random, dtype=torch.float64)
        own = torch.randn(CLASSES, PER_CLASS, side * side, generator=random, dtype=torch.float64)
        self.means = ((centre + 0.7 * own).flatten(0, 1)) * spread * 1.5
        total = (self.variances + self.means**2).mean()
        self.variances, self.means = self.variances / total, self.means / total.sqrt()
        cosines = torch.cos(math.pi / side * (torch.arange(side) + 0.5)[None, :] * frequency[:, None])
        cosines[0] /= math.sqrt(2)
        self.basis = torch.kron(cosines, cosines) * (2 / side)  # rows: waves

    def data(self, labels: Tensor, seed: int) -> Tensor:
        """One sample for each label."""
        random = torch.Generator().manual_seed(seed)
        component = labels * PER_CLASS + torch.randint(PER_CLASS, labels.shape, generator=random)
        noise = torch.randn(len(labels), self.means.shape[1], generator=random, dtype=torch.float64)
        return self._image(self.means[component] + self.variances[component].sqrt() * noise)

    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor, guidance: float) -> Tensor:
        """The guided posterior mean, linear in the components' shares; sigma is the same for all images."""
        level = float(sigma.flatten()[0]) ** 2
        z = x.flatten(1).double() @ self.basis.T
        total = self.variances + level
        fit = z**2 @ (1 / total).T - 2 * z @ (self.means / total).T + (self.means**2 / total + total.log()).sum(1)
        logs = -0.5 * fit
        outside = torch.arange(len(total)) // PER_CLASS != labels[:, None]
        keep, shift = self.variances / total, self.means * level / total

        shares = logs.masked_fill(outside, -math.inf).softmax(1)
        if guidance != 1:
            everything = logs.softmax(1)
            shares = everything + guidance * (shares - everything)
        return self._image(z * (shares @ keep) + shares @ shift).to(x.dtype)

    def measured(self, samples: Tensor) -> Tensor:
        """All of them."""
        return samples

    def _image(self, z: Tensor) -> Tensor:
        return (z @ self.basis).float().unflatten(1, self.shape)
