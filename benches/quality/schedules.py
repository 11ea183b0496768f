"""The noise levels of a run, from Stable Diffusion's range: `steps` of them and then 0."""

from __future__ import annotations

import torch
from torch import Tensor

# Stable Diffusion's training levels: betas evenly spaced in their root, 1000 of them.
_BETAS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
_ALPHAS = torch.cumprod(1 - _BETAS, 0)
TRAINED = ((1 - _ALPHAS) / _ALPHAS).sqrt()
HIGHEST, LOWEST = float(TRAINED[-1]), float(TRAINED[0])  # 14.6 and 0.029
_RHO = 7.0


def karras(steps: int) -> Tensor:
    """Evenly spaced in sigma^(1/7) (Karras et al. 2022, equation 5)."""
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    top, bottom = HIGHEST ** (1 / _RHO), LOWEST ** (1 / _RHO)
    return _ended((top + ramp * (bottom - top)) ** _RHO)


def simple(steps: int) -> Tensor:
    """Evenly spaced in Stable Diffusion's time, from its highest level (ComfyUI's "simple")."""
    return _ended(torch.stack([TRAINED[-(1 + int(step * len(TRAINED) / steps))] for step in range(steps)]))


def _ended(levels: Tensor) -> Tensor:
    return torch.cat([levels, levels.new_zeros(1)]).float()


SCHEDULES = {"karras": karras, "simple": simple}
