"""Where a torch host's noise comes from when no noise sampler is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from sonar_sampler.brownian import BrownianNoise
from sonar_sampler.registry import SonarConfig

Tensor = torch.Tensor
NoiseSampler = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class HostNoise:
    """A noise sampler of the host.

    Attributes:
        sampler: called with two noise levels.
        idles: whether it is to be drawn from in steps that use no noise too.
    """

    sampler: NoiseSampler
    idles: bool = False

    @classmethod
    def of_k_diffusion(cls, kind: str, x: Tensor, sigmas: Tensor) -> HostNoise | None:
        """What k-diffusion 0.1.1's function draws for a solver of this kind of noise; None if it draws nothing.

        Raises:
            ConfigError: a Brownian tree is needed, and torchsde is not there.
        """
        levels = sigmas[sigmas > 0]
        if kind == "brownian" and len(sigmas) > 1 and len(levels) > 0:
            return cls(BrownianNoise(x, levels.min(), sigmas.max()))
        if kind in ("independent", "churn"):
            # Its Euler and Heun draw in every step, whether there is churn or not.
            return cls(lambda _sigma, _sigma_next: torch.randn_like(x), idles=kind == "churn")
        return None


def private_seed(config: SonarConfig, kind: str) -> SonarConfig:
    """The config with a seed from torch's generator for what is private, if anything of that is used.

    That is a random history, the random sign and Naive's jitter. The generator is left alone where none is used.
    """
    momenta = config.momentum if isinstance(config.momentum, tuple) else (config.momentum,)
    random = config.momentum_hist_init == "rand_new" or config.momentum_sign == "rand"
    if kind == "private" or (random and any(momentum != 1 for momentum in momenta)):
        return replace(config, seed=int(torch.randint(0, 2**63 - 1, ()).item()))
    return config
