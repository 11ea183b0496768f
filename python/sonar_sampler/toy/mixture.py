"""The exact denoiser of a mixture of low-rank Gaussians.

A component (a mode of a layout) has mean `U m`, covariance `U diag(s2) U^T + e2 I` and prior weight `w`. With
noise of deviation `sigma` on a latent `x` of dimension `n`, rank `r`, coordinates `z = U^T x`:

    log p = log w - 1/2 [ sum_i ((z_i - m_i)^2 / (s2_i + sigma^2) + log(s2_i + sigma^2))
                          + (|x|^2 - |z|^2) / (e2 + sigma^2) + (n - r) log(e2 + sigma^2) ]
    responsibility = softmax of log p over all components
    E[x0 | x, component] = e x + U (g z + (1 - g) m - e z),  g = s2 / (s2 + sigma^2),  e = e2 / (e2 + sigma^2)

(the conditional mean of a Gaussian), and the denoiser is its mean under the responsibilities. Guidance
`D_neg + scale (D_pos - D_neg)` is linear in the responsibilities, so that both prompts cost one evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .codec import BLACK
from .gaussian import NOISE, Layout, Planes, Vector, from_planes, to_planes

_NEGLIGIBLE = 1e-9  # a smaller responsibility does not change a float32 picture


class Mixture:
    """Layouts whose modes are the components.

    Priors are given with each call: one array of log weights (`-inf`: absent) per layout, so that several
    prompts can share what is computed. Latents here are `Planes` relative to black.
    """

    def __init__(self, layouts: Sequence[Layout]) -> None:
        self.layouts = layouts

    def coordinates(self, planes: Planes) -> list[Vector]:
        """`U^T x` in each layout."""
        return [layout.project(planes) for layout in self.layouts]

    def log_likelihoods(self, planes: Planes, coordinates: list[Vector], sigma: float) -> list[Vector]:
        """Log density of the noisy latent under each mode of each layout, up to a constant that all share."""
        white = NOISE**2 + sigma**2
        total = sum(float(np.einsum("ij,ij->", plane, plane, dtype=np.float64)) for plane in planes)
        result: list[Vector] = []
        for layout, z in zip(self.layouts, coordinates, strict=True):
            weights = 1.0 / (layout.variances + sigma**2)
            fit = np.einsum("i,i,i->", z, z, weights) - 2.0 * np.einsum("ki,i->k", layout.centres, weights * z)
            fit += np.einsum("ki,i->k", layout.squares, weights)
            rest = (total - np.einsum("i,i->", z, z)) / white - len(z) * np.log(white)
            result.append(-0.5 * (fit - np.log(weights).sum() + rest))
        return result

    def responsibilities(self, likelihoods: list[Vector], priors: list[Vector]) -> list[Vector]:
        """Posterior probability of each mode of each layout; they sum to 1."""
        logs = [likelihood + prior for likelihood, prior in zip(likelihoods, priors, strict=True)]
        top = max(float(part.max()) for part in logs)
        weights = [np.exp(part - top) for part in logs]
        total = sum(float(part.sum()) for part in weights)
        return [part / total for part in weights]

    def log_density(self, latent: NDArray[np.float32], sigma: float, priors: list[Vector]) -> float:
        """Log density of one noisy latent (6, 64, 64), up to a constant."""
        planes = to_planes(latent)
        planes[0] -= np.float32(BLACK)
        likelihoods = self.log_likelihoods(planes, self.coordinates(planes), sigma)
        logs = np.concatenate([likelihood + prior for likelihood, prior in zip(likelihoods, priors, strict=True)])
        return float(np.logaddexp.reduce(logs))

    def denoise(
        self,
        latent: NDArray[np.float32],
        sigma: float,
        positive: list[Vector],
        negative: list[Vector] | None,
        scale: float,
    ) -> NDArray[np.float32]:
        """Guided posterior mean of one latent (6, 64, 64); `negative=None` leaves guidance out."""
        planes = to_planes(latent)
        planes[0] -= np.float32(BLACK)
        coordinates = self.coordinates(planes)
        likelihoods = self.log_likelihoods(planes, coordinates, sigma)
        shares = self.responsibilities(likelihoods, positive)
        if negative is not None:
            others = self.responsibilities(likelihoods, negative)
            shares = [other + scale * (share - other) for share, other in zip(shares, others, strict=True)]
        white = NOISE**2 / (NOISE**2 + sigma**2)
        result = [plane * np.float32(white) for plane in planes]
        for layout, z, share in zip(self.layouts, coordinates, shares, strict=True):
            if np.abs(share).max() < _NEGLIGIBLE:
                continue
            gain = layout.variances / (layout.variances + sigma**2)
            centre = np.einsum("k,ki->i", share, layout.centres)
            layout.add_expanded(share.sum() * (gain - white) * z + (1.0 - gain) * centre, result)
        result[0] += np.float32(BLACK)
        return from_planes(result)
