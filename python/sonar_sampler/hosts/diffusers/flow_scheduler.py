"""The scheduler for flow-matching models."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import ConfigMixin, FlowMatchEulerDiscreteScheduler, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteSchedulerOutput

from sonar_sampler.errors import ConfigError
from sonar_sampler.hosts.diffusers.options import OPTIONS, is_flow, sonar_config, with_options
from sonar_sampler.hosts.diffusers.run import Generators
from sonar_sampler.hosts.diffusers.stepping import Stepping

Tensor = torch.Tensor

_OWN = (*OPTIONS, "flow_shift", "prediction_type")


class SonarFlowScheduler(Stepping, FlowMatchEulerDiscreteScheduler, SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """Sonar for flow-matching models of diffusers: SD3, Flux, Wan, LTX, Qwen.

    The noise levels and their shifts are those of `FlowMatchEulerDiscreteScheduler`; with `flow_shift`, which the
    schedulers of Wan have in place of `shift`, those of `UniPCMultistepScheduler`. With momentum 1 and the sampler
    "euler" its steps are that class's up to the rounding of float32.

    Args:
        num_train_timesteps, ...: every argument of `FlowMatchEulerDiscreteScheduler`; also from the config of another
            scheduler. `stochastic_sampling` does nothing: the sampler says whether there is fresh noise.
        flow_shift: the shift of a config that has its own levels; None leaves it to `shift` and `mu`.
        prediction_type: "flow_prediction".
        sampler, momentum, ...: the options of `SonarConfig`, but churn. Give a `seed` for noise that can be made
            again: most flow pipelines keep their generators to themselves.

    Raises:
        ConfigError: an option is not allowed, or the config is not that of a flow-matching model.
    """

    _flow = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**{name: value for name, value in options.items() if name not in _OWN})
        if self.config.prediction_type != "flow_prediction":
            raise ConfigError(
                f"prediction_type = {self.config.prediction_type!r}: must be flow_prediction; SonarScheduler is for "
                "the others"
            )
        if self.config.invert_sigmas:
            raise ConfigError("invert_sigmas = True: a schedule that rises is not sampled")
        if self.config.flow_shift is not None:
            self.set_shift(self.config.flow_shift)
        sonar_config(self.config, flow=True)

    __init__.__signature__ = with_options(  # type: ignore[attr-defined]
        FlowMatchEulerDiscreteScheduler.__init__,
        flow_shift=None,
        prediction_type="flow_prediction",
    )
    __init__ = register_to_config(__init__)

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **options: Any) -> Any:
        """A scheduler from the config of this or another scheduler of diffusers, and options by name."""
        if config is not None and not isinstance(config, str):
            if not is_flow(config):
                raise ConfigError("the config is not that of a flow-matching model: use SonarScheduler.from_config")
            if config.get("use_flow_sigmas"):
                # Even if it is that class's default, which diffusers would leave out.
                options = {"flow_shift": config["flow_shift"], **options}
                config = {name: value for name, value in config.items() if name != "use_flow_sigmas"}
        return super().from_config(config, return_unused_kwargs, **options)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        """Sets the noise levels, as `FlowMatchEulerDiscreteScheduler`; a new run begins."""
        self._run = None
        if self.config.flow_shift is not None and sigmas is None and timesteps is None and num_inference_steps:
            sigmas = np.linspace(1, 1 / self.config.num_train_timesteps, num_inference_steps + 1)[:-1]
        super().set_timesteps(num_inference_steps, device, sigmas, mu, timesteps)

    def scale_model_input(self, sample: Tensor, _timestep: Any = None) -> Tensor:
        """The sample: flow-matching models take it as it is."""
        return sample

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """`scale_noise` under the name and with the order of arguments that other pipelines use."""
        noised: Tensor = self.scale_noise(original_samples, timesteps, noise)
        return noised

    @property
    def init_noise_sigma(self) -> float:
        """The deviation of the latent that a run starts from."""
        return 1.0

    def step(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> FlowMatchEulerDiscreteSchedulerOutput | tuple[Tensor]:
        """The next latent from the model's answer.

        Args:
            model_output: the velocity, shaped like sample.
            timestep: one of `timesteps`.
            sample: the latent (batch, channel, spatial...) or packed (batch, places, channels), of any device and
                real floating dtype.
            generator: where noise comes from: one for the batch, or a list with one per image; None is torch's own.
            return_dict: whether to answer an object or a tuple.

        Returns:
            `prev_sample` in the dtype of the answer.

        Raises:
            SonarError: of the kind that fits the mistake.
        """
        latent, _ = self._advance(model_output, timestep, sample, generator)
        latent = latent.to(model_output.dtype)
        return FlowMatchEulerDiscreteSchedulerOutput(prev_sample=latent) if return_dict else (latent,)

    def _denoised(self, model_output: Tensor, sample: Tensor, sigma: float) -> Tensor:
        return sample - sigma * model_output.float()
