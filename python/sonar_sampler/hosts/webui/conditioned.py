"""The host's model with the prompt's condition as an argument, so that it can be optimised for one image and job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from modules import prompt_parser, sd_samplers_common, shared

Tensor = torch.Tensor

NAME = "condition"
"""The argument."""


class Conditioned:
    """Called as `model(x, sigma, condition=...)`; everything else is the host's.

    The host keeps conditions from job to job: each call is given one of its own, and the negative prompt is untouched.

    Attributes:
        condition: of the prompts (image, token, number); of models that have more than one kind (SDXL, SD3), the one
            that their cross attention looks at.
    """

    def __init__(self, model: Any, denoiser: Any, args: Mapping[str, Any]) -> None:
        """Takes the condition out of the host's.

        Args:
            model: what the host's sampler would call, or something around it.
            denoiser: the host's, whose `inner_model` is the model without guidance.
            args: the host's arguments for the model.
        """
        self._model, self._denoiser, self._args = model, denoiser, args
        _, self._whole = prompt_parser.reconstruct_multicond_batch(args["cond"], 0)
        self.condition: Tensor = self._whole["crossattn"] if isinstance(self._whole, dict) else self._whole

    def __call__(self, x: Tensor, sigma: Tensor, *, condition: Tensor) -> Tensor:
        """The denoised latent with guidance."""
        answer: Tensor = self._model(x, sigma, **{**self._args, "cond": self._scheduled(condition)})
        return answer

    def without_guidance(self, x: Tensor, sigma: Tensor, *, condition: Tensor) -> Tensor:
        """The denoised latent by the prompt alone.

        Raises:
            InterruptedException: the user has interrupted or skipped the job, which the host's model notices too late.
        """
        if shared.state.interrupted or shared.state.skipped:
            raise sd_samplers_common.InterruptedException
        answer: Tensor = self._denoiser.inner_model(x, sigma, cond=self._of_model(self._replaced(condition)))
        return answer

    def _replaced(self, condition: Tensor) -> Any:
        return {**self._whole, "crossattn": condition} if isinstance(self._whole, dict) else condition

    def _of_model(self, condition: Any) -> dict[str, Any]:
        """The condition as the host's denoiser hands it to the model."""
        image = self._args["image_cond"]
        if isinstance(condition, dict):
            return {**condition, "c_concat": [image]}
        if shared.sd_model.model.conditioning_key == "crossattn-adm":
            return {"c_crossattn": [condition], "c_adm": image}
        return {"c_crossattn": [condition], "c_concat": [image]}

    def _scheduled(self, condition: Tensor) -> Any:
        """The condition as the host's sampler hands it to the denoiser: one prompt for each image and all steps."""
        given, replaced = self._args["cond"], self._replaced(condition)
        batch = []
        for image, (prompt,) in enumerate(given.batch):
            own = (
                {key: value[image] for key, value in replaced.items()}
                if isinstance(replaced, dict)
                else replaced[image]
            )
            (schedule,) = prompt.schedules
            schedules = [prompt_parser.ScheduledPromptConditioning(schedule.end_at_step, own)]
            batch.append([prompt_parser.ComposableScheduledPromptConditioning(schedules, prompt.weight)])
        return prompt_parser.MulticondLearnedConditioning(given.shape, batch)


def hindrance(p: Any, args: Mapping[str, Any]) -> str:
    """Why a job's prompts cannot be optimised; empty if they can."""
    if hasattr(shared.sd_model, "forge_objects"):
        return "this web UI keeps its models where there are no gradients"
    if getattr(p, "refiner_checkpoint", None) not in (None, "", "None", "none"):
        return "a refiner brings another model in mid-run"
    batch = getattr(args.get("cond"), "batch", None)
    if batch is None or "image_cond" not in args:
        return "something else has changed the prompt's condition"
    if any(len(prompts) > 1 for prompts in batch):
        return "the prompt has AND"
    if any(len(prompt.schedules) > 1 for prompts in batch for prompt in prompts):
        return "the prompt is edited in mid-run ([from:to:when])"
    return ""
