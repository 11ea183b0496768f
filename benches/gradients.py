"""Whether optimisation by gradients makes a small network's pictures better, and what it costs.

    python benches/gradients.py

Networks of `benches/quality` as they are, Euler a, 12 steps, without guidance, 4 seeds of 200 pictures:
the distances (`benches/quality/distances.py`) to the converged samples and to the data, without gradients and with the
final latent optimised. In brackets the standard error. Then the time of an iteration beside that of a plain step.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from quality.distances import METRICS
from quality.experiment import Converged, Size, labels_of, start
from quality.problems import NetworkProblem
from quality.schedules import SCHEDULES

from sonar_sampler.gradients import Gradients
from sonar_sampler.torch import sample_sonar_euler_a

SIZE, STEPS = Size(), 12
WAYS = {
    "without": None,
    **{
        f"{count} iterations, sigma {sigma}": Gradients(grad_x_iter=count, grad_x_sigma=sigma, grad_x_alpha=0.02)
        for sigma in (0.05, 0.2, 0.5)
        for count in (3, 10)
    },
}


def main() -> None:
    """Prints the tables."""
    print("| network | gradients | loss before | loss after | to converged: " + ", ".join(METRICS) + " | to the data |")
    print("|---|---|---|---|---|---|")
    for name in ("digits_unet", "landscapes_unet"):
        problem = NetworkProblem(name)
        labels = labels_of(problem, problem.images)
        converged = Converged(problem, 1.0, SIZE, Path("out/quality/converged"))

        def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
            return problem._network(x, sigma, labels)  # noqa: B023

        for way, gradients in WAYS.items():
            distances: dict[str, list[list[float]]] = {"sde": [], "data": []}
            losses = []
            for seed in range(700, 704):
                sigmas = SCHEDULES["karras"](STEPS)
                x = start(problem, problem.images, seed) * sigmas[0]
                given = None
                if gradients is not None:
                    given = Gradients(**{**vars(gradients), "told": losses.append})
                with torch.no_grad():
                    out = sample_sonar_euler_a(model, x, sigmas, disable=True, momentum=1.0, seed=seed, gradients=given)
                for which, found in distances.items():
                    squared = converged.yardstick(which)[0].squared(problem.measured(out))
                    found.append([max(squared[metric], 0.0) ** 0.5 for metric in METRICS])
            cells = []
            for found in distances.values():
                mean, error = np.mean(found, 0), np.std(found, 0, ddof=1) / 2
                cells.append(", ".join(f"{m:.3f} ({e:.3f})" for m, e in zip(mean, error, strict=True)))
            before, after = (
                f"{np.mean([getattr(each, when) for each in losses]):.4f}" if losses else ""
                for when in ("before", "after")
            )
            print(f"| {name} | {way} | {before} | {after} | {cells[0]} | {cells[1]} |", flush=True)

    x = torch.randn(problem.images, *problem.shape)
    sigmas = torch.tensor([10.0, 5.0, 2.0, 1.0])
    times = []
    for gradients in (None, Gradients(grad_x_iter=10)):
        runs = []
        for _ in range(7):
            begin = time.perf_counter()
            with torch.no_grad():
                sample_sonar_euler_a(model, x, sigmas, disable=True, seed=1, gradients=gradients)
            runs.append(time.perf_counter() - begin)
        times.append(sorted(runs)[3])
    step = times[0] / 3
    print(f"\nA step: {step * 1e3:.0f} ms; an iteration: {(times[1] - times[0]) / 10.5 * 1e3:.0f} ms.")


if __name__ == "__main__":
    main()
