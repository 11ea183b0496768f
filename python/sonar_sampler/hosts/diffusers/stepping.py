"""What both schedulers have in common: their runs, their reference, and which steps are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from sonar_sampler import Stepper
from sonar_sampler.errors import ConfigError, DtypeError, LatentError, ScheduleError, shown
from sonar_sampler.hosts.diffusers.options import sonar_config
from sonar_sampler.hosts.diffusers.run import Generators, Run

Tensor = torch.Tensor


class Stepping:
    """For a scheduler of diffusers: `sigmas`, `config`, `step_index` and its kin are the host's."""

    config: Any
    sigmas: Tensor
    timesteps: Tensor
    step_index: int | None
    _flow: bool
    _run: Run | None = None
    _reference: Tensor | None = None
    _mask: Tensor | None = None
    _told: Callable[[Tensor, Tensor, float, Stepper], object] | None = None
    _step_index: int | None
    # Where the present run began: the index into `sigmas` of its first step.
    _first: int = 0

    def set_reference(self, reference: Tensor | None, mask: Tensor | None = None) -> None:
        """Pulls all later runs towards a reference; None no longer does.

        Args:
            reference: a latent of the size that is made, or one image of it for a batch: see `encode_reference`.
            mask: for `ref_method` "denoised", how strongly it pulls at each place, from 0 to 1: shaped like the
                reference with one channel.
        """
        self._reference, self._mask, self._run = reference, mask, None

    def tell_steps(self, told: Callable[[Tensor, Tensor, float, Stepper], object] | None) -> None:
        """Tells of every step of all later runs, after it: `told(sample, denoised, sigma, stepper)`; None ends it.

        The latents are that before the step and what the model saw in it, float32; the stepper has its `history` and
        the corrected derivative, `momentum_d`, in its own layout.
        """
        self._told, self._run = told, None

    def _advance(
        self, model_output: Tensor, timestep: Any, sample: Tensor, generator: Generators
    ) -> tuple[Tensor, Tensor]:
        """The next and the denoised latent, float32."""
        for name, value in (("model_output", model_output), ("sample", sample)):
            if not isinstance(value, Tensor) or not value.is_floating_point():
                found = f"has dtype {value.dtype}" if isinstance(value, Tensor) else f"is a {type(value).__name__}"
                raise DtypeError(f"{name} {found}; must be a torch tensor of a real floating dtype")
        if model_output.shape != sample.shape:
            raise LatentError(
                f"model_output has shape {list(model_output.shape)}: must be {list(sample.shape)} like the sample"
            )
        if isinstance(timestep, int) or (isinstance(timestep, Tensor) and not timestep.is_floating_point()):
            raise ConfigError(f"timestep = {timestep}: is an index; pass one of `scheduler.timesteps`")
        if self.step_index is None:
            self._init_step_index(timestep)
            self._run = None
        index: int = self.step_index  # type: ignore[assignment]
        run = self._run
        # A host that goes back, or skips steps, begins another run.
        if run is None or self._first + run.stepper.step != index:
            options = sonar_config(self.config, flow=self._flow)
            packed, record = self._flow and sample.ndim == 3, self._told is not None
            reference = (self._reference, self._mask)
            run = Run(options, self.sigmas[index:], sample, *reference, generator, packed=packed, record=record)
            self._run, self._first = run, index
        latents = run.step(sample, lambda x, sigma: self._denoised(model_output, x, sigma), generator)
        self._step_index = index + 1
        if self._told is not None:
            self._told(sample.float(), latents[1], float(self.sigmas[index]), run.stepper)
        return latents

    def _init_step_index(self, timestep: Any) -> None:
        try:
            super()._init_step_index(timestep)  # type: ignore[misc]
        except IndexError:
            known = shown(self.timesteps.tolist())
            raise ScheduleError(
                f"timestep = {float(timestep)}: is none of the scheduler's timesteps, {known}"
            ) from None

    def _denoised(self, model_output: Tensor, sample: Tensor, sigma: float) -> Tensor:
        raise NotImplementedError
