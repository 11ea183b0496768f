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
        mask: where it counts, as the host has masks: (batch, height, width) in [0, 1]; None: everywhere.
        options: of `SonarConfig`, of the group "reference".
    """

    latent: torch.Tensor
    options: Mapping[str, Any]
    mask: torch.Tensor | None = None

    def mask_like(self, x: torch.Tensor, made: torch.Tensor | None) -> torch.Tensor | None:
        """The mask in the size of a latent x (batch, channel, ..., height, width), with one channel and one frame.

        `made` is the host's mask of what is made anew, shaped like x: nothing pulls at what is kept.
        """
        if self.options["ref_method"] != "denoised":
            return None
        made = None if made is None else made[:, :1].to(x).clamp(0, 1)
        if self.mask is None:
            return made
        height, width = x.shape[-2:]
        weights = self.mask.reshape(-1, 1, *self.mask.shape[-2:]).to(x)
        weights = torch.nn.functional.interpolate(weights, (height, width), mode="area")
        if len(weights) != len(x):
            weights = weights[:1]
        weights = weights.reshape(len(weights), 1, *[1] * (x.ndim - 4), height, width)
        return weights if made is None else weights * made


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
        options.update(unused(options))
        return SonarConfig(**{**options, **of_run})
