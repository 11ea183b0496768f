"""One run of a scheduler: the core's `Stepper` between the steps of a pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers.utils.torch_utils import randn_tensor

from sonar_sampler import ConfigError, Denoise, DtypeError, Noise, SonarConfig, Stepper
from sonar_sampler.elementary import ELEMENTARY
from sonar_sampler.errors import shown
from sonar_sampler.host_noise import private_seed
from sonar_sampler.registry import SOLVERS
from sonar_sampler.tensors import ANSWER, NOISE, Tensors

Tensor = torch.Tensor
Generators = torch.Generator | Sequence[torch.Generator] | None


class Run:
    """The steps of one run, in float32 as diffusers' own schedulers do them.

    Args:
        config: the options. Without a seed the noise comes from the pipeline's generators.
        sigmas: the noise levels from the present step on.
        sample: the latent at the first of them.
        reference: a latent to pull towards, shaped like the sample or one image of it.
        mask: how strongly it pulls at each place.
        generator: the pipeline's; what is private is keyed by its seed, without a draw from it.
        packed: the latent is packed (batch, places, channels), as Flux's.
        record: keep the corrected derivative of each step, as `Stepper`.

    Raises:
        SonarError: of the kind that fits the mistake.
    """

    def __init__(
        self,
        config: SonarConfig,
        sigmas: Tensor,
        sample: Tensor,
        reference: Tensor | None,
        mask: Tensor | None,
        generator: Generators,
        *,
        packed: bool,
        record: bool,
    ) -> None:
        if packed and reference is not None and config.ref_detail != 1:
            raise ConfigError(f"ref_detail = {config.ref_detail}: a packed latent has no rows to tell coarse from fine")
        self._seeded = config.seed is not None
        self._solver = SOLVERS[config.sampler]
        self._packed = packed
        self._tensors = Tensors(self._laid_out(sample.float()))
        if not self._seeded:
            config = _keyed(config, generator)
        self.stepper = Stepper(
            config,
            sigmas.tolist(),
            self._given(sample, "sample"),
            reference=None if reference is None else self._given(reference, "reference"),
            reference_mask=None if mask is None else self._given(mask, "mask"),
            record=record,
            elementary=ELEMENTARY[torch.float32],
        )

    def step(
        self, sample: Tensor, denoise: Callable[[Tensor, float], Tensor], generator: Generators
    ) -> tuple[Tensor, Tensor]:
        """One step.

        Args:
            sample: the latent that the pipeline has now: it may have changed it since the last step.
            denoise: called as `denoise(sample, sigma)`, answers the denoised latent in float32.
            generator: where the noise comes from, unless the run has its own seeds.

        Returns:
            The next latent and the denoised one, both float32.
        """
        # In its own dtype: torch draws other numbers in another.
        stepper, like, sample = self.stepper, sample, sample.float()
        stepper.replace_x(self._given(sample, "sample"))
        step, denoised, drawn = stepper.step, sample, False
        while stepper.step == step:
            request = stepper.request()
            if isinstance(request, Noise):
                drawn = True
                self._draw(like, generator)
            elif isinstance(request, Denoise):
                denoised = denoise(sample, request.sigma)
                stepper.feed(self._tensors.array(self._laid_out(denoised), ANSWER))
            else:
                break
        if not drawn and not self._seeded and self._solver.noise == "independent":
            # Drawn and not used, so that the generator is where diffusers' own ancestral step leaves it.
            _noise(like, generator)
        latent = stepper.x if stepper.result is None else stepper.result
        # In the strides of the sample: a network's last bits depend on them.
        return torch.empty_like(sample).copy_(self._as_sample(self._tensors.tensor(latent.copy()))), denoised

    def _draw(self, like: Tensor, generator: Generators) -> None:
        if self._seeded or self._solver.noise == "private":
            self.stepper.draw()
        else:
            self.stepper.feed(self._tensors.array(self._laid_out(_noise(like, generator)), NOISE))

    def _given(self, tensor: Tensor, name: str) -> Any:
        if not isinstance(tensor, Tensor):
            raise DtypeError(f"{name} = {shown(tensor)}: must be a torch tensor")
        return self._tensors.given(self._laid_out(tensor), name)

    def _laid_out(self, tensor: Tensor) -> Tensor:
        """As the core wants it: channels second."""
        return tensor.transpose(1, 2).contiguous() if self._packed else tensor.contiguous()

    def _as_sample(self, tensor: Tensor) -> Tensor:
        return tensor.transpose(1, 2) if self._packed else tensor


def _noise(like: Tensor, generator: Generators) -> Tensor:
    if generator is not None and not isinstance(generator, torch.Generator):
        generator = list(generator)
    noise: Tensor = randn_tensor(like.shape, generator, like.device, like.dtype)
    return noise


def _keyed(config: SonarConfig, generator: Generators) -> SonarConfig:
    """The config with seeds for what is private: those of the generators, which are left where they are."""
    if isinstance(generator, torch.Generator):
        return replace(config, seed=generator.initial_seed() % 2**63)
    if generator:
        return replace(config, seed=tuple(each.initial_seed() % 2**63 for each in generator))
    return private_seed(config, SOLVERS[config.sampler].noise)
