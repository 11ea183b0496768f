"""How far an answer of the model is from a reference, as something to be lowered by its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch

from sonar_sampler import _core
from sonar_sampler.descent import wide
from sonar_sampler.registry import SonarConfig

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class ReferenceLoss:
    """mean |mask low(R' - D)|^2 for each image: what `ref_method` "denoised" adds to the answer D, weighted.

    Attributes:
        config: `ref_match` makes R' of the reference R, `ref_detail` is the low-pass.
        reference: shaped like the latent or one image of it.
        mask: in [0, 1], shaped like the latent with one channel; None: 1 everywhere.
    """

    config: SonarConfig
    reference: Tensor
    mask: Tensor | None

    def towards(self, answer: Tensor) -> Tensor:
        """R': the reference with mean and spread of an answer in every channel, or as it is."""
        dtype, device = wide(answer), answer.device
        reference = self.reference.to(device, dtype).expand_as(answer)
        if self.config.ref_match == "none":
            return reference
        mean, spread = _moments(reference, self._weights(answer))
        own_mean, own_spread = _moments(answer.detach().to(dtype), self._weights(answer))
        # Where the mask lets nothing through, there is nothing to match.
        return torch.where(
            spread > 0, (reference - mean) * (own_spread / spread.clamp_min(1e-30)) + own_mean, reference
        )

    def __call__(self, answer: Tensor, towards: Tensor) -> Tensor:
        """The loss of an answer, with R' as it was."""
        off = self._low(towards - answer.to(wide(answer)))
        if self.mask is not None:
            off = off * self._weights(answer)
        return off.square().flatten(1).mean(1)

    def _weights(self, answer: Tensor) -> Tensor:
        if self.mask is None:
            return torch.ones((), dtype=wide(answer), device=answer.device)
        return self.mask.to(answer.device, wide(answer))

    def _low(self, image: Tensor) -> Tensor:
        rows, columns = (_lowpass(length, self.config.ref_detail) for length in image.shape[-2:])
        if rows is None or columns is None:
            return image
        filtered: Tensor = rows.to(image) @ image @ columns.to(image)
        return filtered


@lru_cache(maxsize=8)
def _lowpass(length: int, detail: float) -> Tensor | None:
    """The matrix of the core, asked for at every iteration."""
    matrix = _core.lowpass_matrix(length, detail)
    return None if matrix is None else torch.from_numpy(matrix)


def _moments(image: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel of every image, where the weights are."""
    axes = tuple(range(2, image.ndim))
    weights = weights.expand_as(image)
    total = weights.sum(axes, keepdim=True).clamp_min(1e-30)
    mean = (image * weights).sum(axes, keepdim=True) / total
    return mean, ((image - mean).square() * weights).sum(axes, keepdim=True).div(total).sqrt()
