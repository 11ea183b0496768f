"""Noise that is the increments of one Brownian motion, as k-diffusion's SDE samplers draw it by default."""

from __future__ import annotations

from typing import Any

import torch

from sonar_sampler.errors import ConfigError

Tensor = torch.Tensor


class BrownianNoise:
    """Increments of a Brownian motion over noise levels, scaled to unit variance.

    The same numbers as `k_diffusion.sampling.BrownianTreeNoiseSampler` without a seed: the motion's own seed is drawn
    from torch's generator. Needs the package torchsde.

    Args:
        x: whose shape, device and dtype the noise has.
        low, high: between which levels it can be asked, tensors without axes.

    Raises:
        ConfigError: torchsde is not installed.
    """

    def __init__(self, x: Tensor, low: Tensor, high: Tensor) -> None:
        try:
            import torchsde
        except ImportError as error:
            raise ConfigError(
                "seed = None: this solver draws from a Brownian tree then, which needs the package torchsde; "
                "install it, give a seed or give a noise_sampler"
            ) from error
        entropy = torch.randint(0, 2**63 - 1, []).item()
        self._tree: Any = torchsde.BrownianTree(low, torch.zeros_like(x), high, entropy=entropy)

    def __call__(self, sigma: Tensor, sigma_next: Tensor) -> Tensor:
        """Standard normal noise shaped like x, for the interval between two levels in either order."""
        falls = bool(sigma_next < sigma)
        increment: Tensor = self._tree(sigma_next, sigma) if falls else self._tree(sigma, sigma_next)
        return (-increment if falls else increment) / (sigma_next - sigma).abs().sqrt()
