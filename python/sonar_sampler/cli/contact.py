"""The contact sheet of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from sonar_sampler import ConfigError, Denoise, Done, Stepper
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.pipeline import Model
from sonar_sampler.cli.sheet import Layout, sheet
from sonar_sampler.toy import ToyModel

Array = np.ndarray[Any, Any]

MOST_COLUMNS = 10
_CELL = 128
_AREA = 4


@dataclass(frozen=True)
class Step:
    """What a step of a run shows: the latent that the model saw, the history after it, and what the step changed."""

    denoised: Array
    history: Array
    change: Array


def contact_sheet(job: Job, progress: Callable[[dict[str, Any]], object]) -> Image.Image:
    """Runs a job and draws, for up to ten of its steps, the denoised picture, the history and what it changed.

    Raises:
        ConfigError: the job has a sampler of one's own, which tells nothing of its momentum, or a pipeline whose
            latents are no images.
    """
    if job.custom:
        raise ConfigError(f"sampler = {job.custom.name!r}: shows no momentum; steps needs one of Sonar's own samplers")
    steps, levels = _run(job, progress) if job.model is None else _run_pipeline(job.model, job, progress)
    shown = np.unique(np.linspace(0, job.steps - 1, min(job.steps, MOST_COLUMNS)).round().astype(int))
    history_peak, change_peak = _peak([step.history for step in steps]), _peak([step.change for step in steps])
    rows: list[list[Image.Image | str | None]] = [
        [*_decoded(job, [steps[index].denoised for index in shown])],
        [_signed(steps[index].history, history_peak) for index in shown],
        [_signed(steps[index].change, change_peak) for index in shown],
    ]
    title = (
        f"{job.prompt}   seed {job.config.seed}   momentum {job.config.momentum}, history {job.config.momentum_hist}"
    )
    columns = [f"step {step}  sigma {levels[step]:.2g}" for step in shown]
    return sheet(rows, Layout(["denoised", "history", "change"], columns, title, _CELL))


def _run(job: Job, progress: Callable[[dict[str, Any]], object]) -> tuple[list[Step], Array]:
    denoise, x, levels = job.start()
    stepper = Stepper(job.config, levels, x, **job.guidance())
    steps: list[Step] = []
    while not isinstance(request := stepper.request(), Done):
        if not isinstance(request, Denoise):
            stepper.draw()
            continue
        step, before, sigma = stepper.step, request.x, request.sigma
        answer = denoise(before, sigma)
        stepper.feed(answer)
        # What is left of the step: a solver may call the model again, or add noise.
        while stepper.step == step:
            request = stepper.request()
            if isinstance(request, Denoise):
                stepper.feed(denoise(request.x, request.sigma))
            else:
                stepper.draw()
        history = np.zeros_like(answer) if stepper.history is None else stepper.history
        change = (before - answer) / sigma - stepper.momentum_d
        steps.append(Step(answer[0], _field(history[0]), _field(change[0])))
        progress({})
    return steps, levels


def _run_pipeline(model: Model, job: Job, progress: Callable[[dict[str, Any]], object]) -> tuple[list[Step], Array]:
    steps: list[Step] = []
    levels: list[float] = []

    def told(sample: Any, denoised: Any, sigma: float, stepper: Stepper) -> None:
        if sample.ndim != 4:
            raise ConfigError(f"model = {model.source!r}: its latents are no images, of which a sheet could be made")
        before, answer = sample[0].cpu().numpy(), denoised[0].cpu().numpy()
        history = np.zeros_like(answer) if stepper.history is None else stepper.history[0]
        change = (before - answer) / sigma - stepper.momentum_d[0]
        steps.append(Step(answer, _field(history), _field(change)))
        levels.append(sigma)

    model.run(job, progress, told)
    return steps, np.array(levels)


def _decoded(job: Job, latents: Sequence[Array]) -> list[Image.Image]:
    if job.model is None:
        return list(ToyModel().decode(np.stack(latents)))
    return [job.model.decode(latent[None]) for latent in latents]


def _field(latent: Array) -> Array:
    """The mean of a latent (channel, height, width) over its channels and over areas of 4 x 4 places.

    A derivative is mostly the noise that is still to be removed, place by place; what steers the picture is what is
    left of it over an area.
    """
    image = Image.fromarray(latent.mean(axis=0, dtype=np.float32))
    size = (max(image.width // _AREA, 1), max(image.height // _AREA, 1))
    return np.asarray(image.resize(size, Image.Resampling.BOX))


def _peak(fields: Sequence[Array]) -> float:
    return float(np.percentile(np.abs(np.stack(fields)), 99)) or 1.0


def _signed(value: Array, peak: float) -> Image.Image:
    """Red where the field is positive, blue where it is negative, white where it is 0."""
    value = np.clip(value / peak, -1, 1)
    fade = 1 - np.abs(value)
    channels = [np.where(value >= 0, 1.0, fade), fade, np.where(value <= 0, 1.0, fade)]
    return Image.fromarray((np.stack(channels, -1) * 255).round().astype(np.uint8))
