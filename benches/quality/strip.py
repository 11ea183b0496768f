"""Pictures: Euler a at a few model calls above Lead at the same, of the embedded model and of a trained network."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
from torch import Tensor

from sonar_sampler import SonarConfig
from sonar_sampler.cli.job import Job

from .experiment import noise_seed, start
from .k_samplers import EULER_A
from .package_samplers import LEAD
from .problems import problem
from .samplers import Sampler
from .schedules import karras

matplotlib.use("Agg")
from matplotlib import pyplot

CALLS, MANY = (6, 8, 12, 20), 200
_PROMPT, _SEED = "mountains sunset", 1
_NETWORK, _GUIDANCE, _ACROSS = "digits_unet", 1.0, 5
_ROWS = (("Euler a", SonarConfig(momentum=1.0, seed=_SEED), EULER_A), ("Lead", SonarConfig.lead(seed=_SEED), LEAD))


def draw(file: Path) -> None:
    """Writes the strip as PNG."""
    counts = (*CALLS, MANY)
    heights = {"height_ratios": [1, 1, 0.42, 0.42]}
    figure, axes = pyplot.subplots(4, len(counts), figsize=(10, 5.9), layout="constrained", gridspec_kw=heights)
    for row, (name, config, sampler) in enumerate(_ROWS):
        for column, calls in enumerate(counts):
            # Both go to the same pictures: at many steps one is enough.
            if row == 0 or calls != MANY:
                axes[row][column].imshow(Job(_PROMPT, steps=calls, config=config).run())
                axes[row + 2][column].imshow(_digits(sampler, calls), cmap="gray", vmin=-1, vmax=1)
        for block in (row, row + 2):
            axes[block][0].set_ylabel(name)
    for panel in axes.flat:
        panel.set(xticks=[], yticks=[])
        panel.set_frame_on(bool(panel.images))
    for column, calls in enumerate(counts):
        axes[0][column].set_title(f"{calls} calls of the model", fontsize=10)
    figure.savefig(file, dpi=100)
    pyplot.close(figure)


def _digits(sampler: Sampler, calls: int) -> Tensor:
    """One digit of each class, in rows."""
    task = problem(_NETWORK)
    labels = torch.arange(task.classes)

    def model(x: Tensor, sigma: Tensor, **_more: object) -> Tensor:
        return task.denoise(x, sigma, labels, _GUIDANCE)

    sigmas = karras(calls)
    images = sampler.run(model, start(task, task.classes, _SEED) * sigmas[0], sigmas, noise_seed(_SEED))[:, 0]
    rows = torch.nn.functional.pad(images, (1, 1, 1, 1), value=-1).unflatten(0, (-1, _ACROSS))
    return rows.permute(0, 2, 1, 3).reshape(rows.shape[0] * rows.shape[2], -1)
