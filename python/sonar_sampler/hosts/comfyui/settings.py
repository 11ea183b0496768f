"""The options of one sampler, as its node was given them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from sonar_sampler.hosts.comfyui.curve import Curve
from sonar_sampler.registry import SonarConfig, unused


@dataclass(frozen=True, eq=False)
class Guidance:
    """A reference and how it pulls.

    Attributes:
        latent: what the host calls samples, not yet scaled for the model.
        options: of `SonarConfig`, of the group "reference".
    """

    latent: torch.Tensor
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Settings:
    """All that a sampler's node and the nodes before it say.

    Attributes:
        options: of `SonarConfig`.
        curves: options that change over the steps, in place of those.
        guidance: the reference, if there is one.
        per_image: whether each image of a batch has its own noise, and not the host's of the whole batch.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    guidance: Guidance | None = None
    per_image: bool = False

    def config(self, steps: int, **of_run: Any) -> SonarConfig:
        """The options of a run of so many steps.

        Raises:
            ConfigError: one is not allowed.
        """
        options = dict(self.options)
        options.update({name: curve.at_steps(steps) for name, curve in self.curves.items()})
        if self.guidance is not None:
            options.update(self.guidance.options)
        options.update(unused(options.get("momentum_mode", SonarConfig.momentum_mode)))
        return SonarConfig(**{**options, **of_run})
