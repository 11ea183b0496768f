"""Whether the way to a reference by the model's gradient is better than the pull of its answer, at equal nearness.

    python benches/reference_gradient.py

The landscapes network of `benches/quality` as it is, Euler a, 12 steps, without guidance, 4 seeds of 200 pictures; the
reference of each is a picture of another class, so that prompt and reference contradict. How far the composition still
is from the reference's (of the plain picture's distance), and how far the pictures are from those of their class that
many steps make. In brackets the standard error. Then the time of a step of each.
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

from sonar_sampler import SonarConfig
from sonar_sampler.gradients import Gradients
from sonar_sampler.reference_loss import ReferenceLoss
from sonar_sampler.torch import sample_sonar_euler_a

SEEDS, STEPS, DETAIL = range(800, 804), 12, 0.4
GUIDED = {"ref_method": "denoised", "ref_stop": 0.5, "ref_detail": DETAIL}
WAYS = {
    "plain": (0.0, 0),
    **{f"pull, factor {factor}": (factor, 0) for factor in (0.1, 0.2, 0.3, 0.5, 0.75)},
    **{f"gradient, factor {factor}, {n} iterations": (factor, n) for n in (1, 3) for factor in (0.03, 0.1, 0.2, 0.3)},
}


def main() -> None:
    """Prints the table."""
    problem = NetworkProblem("landscapes_unet")
    labels = labels_of(problem, problem.images)
    converged = Converged(problem, 1.0, Size(), Path("out/quality/converged"))
    yardstick = converged.yardstick("sde")[0]

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return problem._network(x, sigma, labels)

    def run(seed: int, reference: torch.Tensor, factor: float, iterations: int) -> torch.Tensor:
        sigmas = SCHEDULES["karras"](STEPS)
        x = start(problem, problem.images, seed) * sigmas[0]
        given = None if factor == 0 else reference
        with torch.no_grad():
            return sample_sonar_euler_a(
                model, x, sigmas, disable=True, momentum=1.0, seed=seed, reference=given, ref_factor=factor,
                gradients=Gradients(grad_r_iter=iterations), **GUIDED,
            )  # fmt: skip

    print("| way | composition left | " + ", ".join(METRICS) + " | ms a step |")
    print("|---|---|---|---|")
    plain = {}
    for way, (factor, iterations) in WAYS.items():
        left, far, times = [], [], []
        for seed in SEEDS:
            reference = problem.data((labels + 1) % problem.classes, seed)
            near = ReferenceLoss(SonarConfig(**GUIDED), reference, None)
            begin = time.perf_counter()
            out = run(seed, reference, factor, iterations)
            times.append((time.perf_counter() - begin) / STEPS)
            distance = float(near(out, near.towards(out)).sqrt().mean())
            left.append(distance / plain.setdefault(seed, distance))
            squared = yardstick.squared(problem.measured(out))
            far.append([max(squared[metric], 0.0) ** 0.5 for metric in METRICS])
        mean, error = np.mean(far, 0), np.std(far, 0, ddof=1) / len(SEEDS) ** 0.5
        cells = ", ".join(f"{m:.3f} ({e:.3f})" for m, e in zip(mean, error, strict=True))
        spread = np.std(left, ddof=1) / len(SEEDS) ** 0.5
        print(f"| {way} | {np.mean(left):.3f} ({spread:.3f}) | {cells} | {np.median(times) * 1e3:.0f} |", flush=True)


if __name__ == "__main__":
    main()
