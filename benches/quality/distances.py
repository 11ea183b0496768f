"""How far a set of samples lies from a reference set, and how far the same distribution would lie (the floor)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PROJECTIONS = 128
COMPONENTS = 64  # of the reference, for the Fréchet distance

METRICS = ("sliced", "frechet")


@dataclass(frozen=True)
class Yardstick:
    """A reference set, prepared. All squared distances are in units of the reference's mean variance per value."""

    directions: Tensor  # (values, projections)
    quantiles: Tensor  # (projections, levels)
    basis: Tensor  # (values, components)
    mean: Tensor
    covariance: Tensor
    scale: float

    @classmethod
    def of(cls, reference: Tensor, seed: int) -> Yardstick:
        """`reference` (n, ...); the directions of the sliced distance are drawn from `seed`."""
        flat = reference.flatten(1).double()
        directions = torch.randn(
            flat.shape[1], PROJECTIONS, generator=torch.Generator().manual_seed(seed), dtype=flat.dtype
        )
        directions /= directions.norm(dim=0)
        centred = flat - flat.mean(0)
        covariance = centred.T @ centred / (len(flat) - 1)
        basis = torch.linalg.eigh(covariance).eigenvectors[:, -COMPONENTS:]
        scale = float(covariance.diagonal().mean())
        return cls(
            directions, _sorted(flat @ directions), basis, flat.mean(0) @ basis, basis.T @ covariance @ basis, scale
        )

    def squared(self, samples: Tensor) -> dict[str, float]:
        """Squared sliced Wasserstein and Fréchet distances of `samples` (m, ...); m divides the reference's count."""
        flat = samples.flatten(1).double()
        if not bool(torch.isfinite(flat).all()):
            return dict.fromkeys(METRICS, float("inf"))
        own = _sorted(flat @ self.directions)
        per_level = self.quantiles.unflatten(1, (own.shape[1], -1))
        sliced = float(((per_level - own[:, :, None]) ** 2).mean())
        coordinates = flat @ self.basis
        mean = coordinates.mean(0)
        covariance = (coordinates - mean).T @ (coordinates - mean) / (len(flat) - 1)
        frechet = float((mean - self.mean).square().sum() + covariance.trace() + self.covariance.trace())
        frechet -= 2 * _root_trace(self.covariance, covariance)
        return {"sliced": sliced / self.scale, "frechet": frechet / (self.scale * self.basis.shape[1])}


def _sorted(projected: Tensor) -> Tensor:
    return projected.T.contiguous().sort(dim=1).values


def _root_trace(first: Tensor, second: Tensor) -> float:
    """Trace of the root of first @ second, both symmetric and not negative."""
    values, vectors = torch.linalg.eigh(first)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return float(np.sqrt(np.clip(torch.linalg.eigvalsh(root @ second @ root).numpy(), 0, None)).sum())
