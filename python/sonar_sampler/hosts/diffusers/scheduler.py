"""The scheduler for models in units of sigma."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import ConfigMixin, EulerDiscreteScheduler, SchedulerMixin
from diffusers.configuration_utils import register_to_config
from diffusers.schedulers.scheduling_euler_discrete import EulerDiscreteSchedulerOutput

from sonar_sampler.errors import ConfigError
from sonar_sampler.hosts.diffusers.options import OPTIONS, is_flow, sonar_config, with_options
from sonar_sampler.hosts.diffusers.run import Generators
from sonar_sampler.hosts.diffusers.stepping import Stepping

Tensor = torch.Tensor

_PREDICTIONS = ("epsilon", "v_prediction", "sample")


class SonarScheduler(Stepping, EulerDiscreteScheduler, SchedulerMixin, ConfigMixin):  # type: ignore[misc]
    """Sonar for SD1, SDXL and other models of diffusers in units of sigma.

    The noise levels, their spacings and `scale_model_input` are those of `EulerDiscreteScheduler`; with momentum 1 its
    steps are those of that class and of `EulerAncestralDiscreteScheduler`, bit for bit in float32.

    Args:
        num_train_timesteps, ...: every argument of `EulerDiscreteScheduler`; also from the config of another scheduler.
        sampler, momentum, ...: the options of `SonarConfig`, but churn. With a `seed`, own noise streams, one per
            image; without one, the pipeline's generators.

    Raises:
        ConfigError: an option is not allowed, or the config is that of a flow-matching model.
    """

    _flow = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**{name: value for name, value in options.items() if name not in OPTIONS})
        if self.config.prediction_type not in _PREDICTIONS:
            raise ConfigError(
                f"prediction_type = {self.config.prediction_type!r}: must be one of {', '.join(_PREDICTIONS)}; "
                "SonarFlowScheduler is for flow-matching models"
            )
        sonar_config(self.config, flow=False)

    __init__.__signature__ = with_options(EulerDiscreteScheduler.__init__)  # type: ignore[attr-defined]
    __init__ = register_to_config(__init__)

    @classmethod
    def from_config(cls, config: Any = None, return_unused_kwargs: bool = False, **options: Any) -> Any:
        """A scheduler from the config of this or another scheduler of diffusers, and options by name."""
        if config is not None and not isinstance(config, str) and is_flow(config):
            raise ConfigError("the config is that of a flow-matching model: use SonarFlowScheduler.from_config")
        return super().from_config(config, return_unused_kwargs, **options)

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        timesteps: list[int] | None = None,
        sigmas: list[float] | None = None,
    ) -> None:
        """Sets the noise levels, as `EulerDiscreteScheduler`; a new run begins."""
        self._run = None
        super().set_timesteps(num_inference_steps, device, timesteps, sigmas)

    def scale_noise(self, sample: Tensor, timestep: Tensor, noise: Tensor) -> Tensor:
        """`add_noise` under the name and with the order of arguments that flow pipelines use."""
        noised: Tensor = self.add_noise(sample, noise, timestep)
        return noised

    def step(
        self,
        model_output: Tensor,
        timestep: float | Tensor,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> EulerDiscreteSchedulerOutput | tuple[Tensor, Tensor]:
        """The next latent from the model's answer.

        Args:
            model_output: the answer, shaped like sample, as `prediction_type` says.
            timestep: one of `timesteps`.
            sample: the latent, of any shape (batch, channel, spatial...), device and real floating dtype.
            generator: where noise comes from: one for the batch, or a list with one per image; None is torch's own.
            return_dict: whether to answer an object or a tuple.

        Returns:
            `prev_sample` in the dtype of the answer, and `pred_original_sample` in float32.

        Raises:
            SonarError: of the kind that fits the mistake.
        """
        latent, denoised = self._advance(model_output, timestep, sample, generator)
        latent = latent.to(model_output.dtype)
        if not return_dict:
            return latent, denoised
        return EulerDiscreteSchedulerOutput(prev_sample=latent, pred_original_sample=denoised)

    def _denoised(self, model_output: Tensor, sample: Tensor, sigma: float) -> Tensor:
        """In float32, in the order of diffusers' operations."""
        answer, level = model_output.float(), torch.tensor(sigma, dtype=torch.float32)
        if self.config.prediction_type == "sample":
            return answer
        if self.config.prediction_type == "epsilon":
            return sample - level * answer
        return answer * (-level / (level**2 + 1) ** 0.5) + (sample / (level**2 + 1))
