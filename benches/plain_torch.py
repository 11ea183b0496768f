"""Euler a with momentum written plainly in torch, one operation of the formulas after another.

What a host would run without Sonar: the loop of `k_diffusion.sampling.sample_euler_ancestral` with the lines of the
momentum added, in the way of stable-diffusion-webui-sonar. `bench.py` measures it, and checks before that its results
are Sonar's.
"""

from collections.abc import Callable
from typing import Any

import torch
from tqdm.auto import trange


def ancestral_split(
    sigma: torch.Tensor, sigma_next: torch.Tensor, eta: float
) -> tuple[torch.Tensor | float, torch.Tensor | float]:
    """`sigma_down` and `sigma_up` of a step."""
    if not eta:
        return sigma_next, 0.0
    sigma_up = min(sigma_next, eta * (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2) ** 0.5)
    return (sigma_next**2 - sigma_up**2) ** 0.5, sigma_up


@torch.no_grad()
def sample_euler_a(
    model: Callable[..., torch.Tensor],
    x: torch.Tensor,
    sigmas: torch.Tensor,
    noise_sampler: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    momentum: float,
    momentum_hist: float,
    eta: float = 1.0,
    s_noise: float = 1.0,
    callback: Callable[[dict[str, Any]], object] | None = None,
    disable: bool | None = None,
) -> torch.Tensor:
    """Sign `pos`, history `zero`, no reference."""
    p, q = 1 - momentum, 1 - momentum_hist
    s_in = x.new_ones([x.shape[0]])
    history = None
    for i in trange(len(sigmas) - 1, disable=disable):
        denoised = model(x, sigmas[i] * s_in)
        sigma_down, sigma_up = ancestral_split(sigmas[i], sigmas[i + 1], eta)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        d = (x - denoised) / sigmas[i]
        dt = sigma_down - sigmas[i]
        if history is None:
            m = (1 - p) * d
            history = m
        else:
            m = (1 - p) * d + p * history
            history = (1 - q) * history + q * m
        x = x + m * dt
        if sigmas[i + 1] > 0:
            x = x + noise_sampler(sigmas[i], sigmas[i + 1]) * s_noise * sigma_up
    return x
