"""The contact sheet of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from sonar_sampler import ConfigError, Denoise, Done, Stepper
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.sheet import sheet
from sonar_sampler.toy import ToyModel

Array = np.ndarray[Any, Any]

MOST_COLUMNS = 10
_CELL = 128
_AREA = 4


def contact_sheet(job: Job, progress: Callable[[dict[str, Any]], object]) -> Image.Image:
    """Runs a job and draws, for up to ten of its steps, the denoised picture, the history and what it changed.

    Raises:
        ConfigError: the job has a sampler of one's own, which tells nothing of its momentum.
    """
    if job.custom:
        raise ConfigError(f"sampler = {job.custom.name!r}: shows no momentum; steps needs euler, euler_a or naive")
    denoise, x, levels, reference = job.start()
    stepper = Stepper(job.config, levels, x, reference=reference)
    denoised, histories, changes = [], [], []
    while not isinstance(request := stepper.request(), Done):
        if not isinstance(request, Denoise):
            stepper.draw()
            continue
        before, sigma = request.x, request.sigma
        answer = denoise(before, sigma)
        stepper.feed(answer)
        # A sampler that adds noise after the model call finishes its step with it.
        if not isinstance(stepper.request(), Denoise | Done):
            stepper.draw()
        denoised.append(answer[0])
        histories.append(_field(np.zeros_like(answer[0]) if stepper.history is None else stepper.history[0]))
        changes.append(_field(((before - answer) / sigma - stepper.momentum_d)[0]))
        progress({})
    shown = np.unique(np.linspace(0, job.steps - 1, min(job.steps, MOST_COLUMNS)).round().astype(int))
    rows = [
        ToyModel().decode(np.stack([denoised[step] for step in shown])),
        [_signed(histories[step], _peak(histories)) for step in shown],
        [_signed(changes[step], _peak(changes)) for step in shown],
    ]
    labels = ["denoised", "history", "change"]
    columns = [f"step {step}  sigma {levels[step]:.2g}" for step in shown]
    title = (
        f"{job.prompt}   seed {job.config.seed}   momentum {job.config.momentum}, history {job.config.momentum_hist}"
    )
    return sheet(rows, labels, columns, title, _CELL)


def _field(latent: Array) -> Array:
    """The mean of a latent (channel, height, width) over its channels and over areas of 4 x 4 places.

    A derivative is mostly the noise that is still to be removed, place by place; what steers the picture is what is
    left of it over an area.
    """
    image = Image.fromarray(latent.mean(axis=0, dtype=np.float32))
    return np.asarray(image.resize((image.width // _AREA, image.height // _AREA), Image.Resampling.BOX))


def _peak(fields: Sequence[Array]) -> float:
    return float(np.percentile(np.abs(np.stack(fields)), 99)) or 1.0


def _signed(value: Array, peak: float) -> Image.Image:
    """Red where the field is positive, blue where it is negative, white where it is 0."""
    value = np.clip(value / peak, -1, 1)
    fade = 1 - np.abs(value)
    channels = [np.where(value >= 0, 1.0, fade), fade, np.where(value <= 0, 1.0, fade)]
    return Image.fromarray((np.stack(channels, -1) * 255).round().astype(np.uint8))
