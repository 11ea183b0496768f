"""Whether optimisation by gradients makes small networks' pictures better, and what it costs.

    python benches/gradients.py [--plot img/gradients.png]

Networks of `benches/quality` as they are, Euler a, 12 steps, without guidance, 4 seeds of 200 pictures: the distances
(`benches/quality/distances.py`) to the converged samples and to the data, and for the digits the class score: how
probable a classifier of the data (scikit-learn's logistic regression) holds the class that was asked for. The condition
is what the network's embedding has for a label. In brackets the standard error. Then the time of an iteration beside
that of a plain step. The picture: the losses by iteration.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from quality.data import digits
from quality.distances import METRICS
from quality.experiment import Converged, Size, labels_of, start
from quality.problems import NetworkProblem
from quality.schedules import SCHEDULES

from sonar_sampler.descent import Descent
from sonar_sampler.gradients import Gradients
from sonar_sampler.torch import sample_sonar_euler_a

SIZE, STEPS, SEEDS = Size(), 12, range(700, 704)
WAYS = {
    "without": None,
    **{
        f"condition, {count} iterations, alpha {alpha}": Gradients(grad_c_iter=count, grad_c_alpha=alpha)
        for alpha in (0.01, 0.05)
        for count in (3, 10)
    },
    **{
        f"latent, {count} iterations, sigma {sigma}": Gradients(
            grad_x_iter=count, grad_x_sigma=sigma, grad_x_alpha=0.02
        )
        for sigma in (0.05, 0.2, 0.5)
        for count in (3, 10)
    },
}


class Given(torch.nn.Module):
    """In the place of the embedding of labels: the condition that was given."""

    vector: torch.Tensor

    def forward(self, _labels: torch.Tensor) -> torch.Tensor:
        """The condition."""
        return self.vector


def model_of(problem: NetworkProblem, labels: torch.Tensor) -> tuple[Callable[..., torch.Tensor], torch.Tensor]:
    """The network as a function of a condition, and the condition of the labels."""
    network = problem._network
    embedding: Any = network.inner.embedding
    cond, embedding.label = embedding.label(labels), Given()

    def model(x: torch.Tensor, sigma: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        embedding.label.vector = cond
        return network(x, sigma, labels)

    return model, cond


def class_score(labels: torch.Tensor) -> Callable[[torch.Tensor], float]:
    """Pictures -> the mean probability of their labels."""
    from sklearn.linear_model import LogisticRegression

    images, classes = digits()
    judge = LogisticRegression(max_iter=2000).fit(images.flatten(1), classes)
    return lambda out: float(judge.predict_proba(out.flatten(1))[np.arange(len(labels)), labels].mean())


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plot", type=Path)
    told: dict[str, dict[str, list[Descent]]] = {}
    given = parser.parse_args()
    metrics = ", ".join(METRICS)
    print(f"| network | gradients | loss before | loss after | to converged: {metrics} | to the data | class score |")
    print("|---|---|---|---|---|---|---|")
    for name in ("digits_unet", "landscapes_unet"):
        problem = NetworkProblem(name)
        labels = labels_of(problem, problem.images)
        converged = Converged(problem, 1.0, SIZE, Path("out/quality/converged"))
        yardsticks = [converged.yardstick(which)[0] for which in ("sde", "data")]
        score = class_score(labels) if name == "digits_unet" else None
        model, cond = model_of(problem, labels)
        for way, gradients in WAYS.items():
            distances: list[list[list[float]]] = [[], []]
            losses, scores = told.setdefault(name, {}).setdefault(way, []), []
            for seed in SEEDS:
                sigmas = SCHEDULES["karras"](STEPS)
                x = start(problem, problem.images, seed) * sigmas[0]
                own = None if gradients is None else replace(gradients, told=losses.append)
                with torch.no_grad():
                    out = sample_sonar_euler_a(
                        model, x, sigmas, {"cond": cond}, disable=True, momentum=1.0, seed=seed, gradients=own
                    )
                for yardstick, found in zip(yardsticks, distances, strict=True):
                    squared = yardstick.squared(problem.measured(out))
                    found.append([max(squared[metric], 0.0) ** 0.5 for metric in METRICS])
                scores.append([score(out)] if score else [])
            cells = [_cell(losses, "before"), _cell(losses, "after"), *map(_summary, [*distances, scores])]
            print(f"| {name} | {way} | {' | '.join(cells)} |", flush=True)
    print(_times(model, cond, problem))
    if given.plot:
        plot(told, given.plot)


def _cell(losses: list[Descent], when: str) -> str:
    return f"{np.mean([getattr(each, when) for each in losses]):.4f}" if losses else ""


def _summary(found: list[list[float]]) -> str:
    mean, error = np.mean(found, 0), np.std(found, 0, ddof=1) / len(found) ** 0.5
    return ", ".join(f"{m:.3f} ({e:.3f})" for m, e in zip(mean, error, strict=True))


def _times(model: Callable[..., torch.Tensor], cond: torch.Tensor, problem: NetworkProblem) -> str:
    x, sigmas = torch.randn(problem.images, *problem.shape), torch.tensor([10.0, 5.0, 2.0, 1.0])
    times = []
    for gradients in (None, Gradients(grad_x_iter=10)):
        runs = []
        for _ in range(7):
            begin = time.perf_counter()
            with torch.no_grad():
                sample_sonar_euler_a(model, x, sigmas, {"cond": cond}, disable=True, seed=1, gradients=gradients)
            runs.append(time.perf_counter() - begin)
        times.append(sorted(runs)[3])
    return f"\nA step: {times[0] / 3 * 1e3:.0f} ms; an iteration: {(times[1] - times[0]) / 10.5 * 1e3:.0f} ms."


def plot(told: dict[str, dict[str, list[Descent]]], path: Path) -> None:
    """The mean loss by iteration, of the ways with ten; an image that has stopped keeps its lowest."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panes = plt.subplots(1, len(told), figsize=(10, 4), layout="constrained", sharey=True)
    for pane, (name, ways) in zip(panes, told.items(), strict=True):
        for way, descents in ways.items():
            if "10 iterations" not in way:
                continue
            curves = []
            for descent in descents:
                losses = descent.losses.numpy()
                short = np.pad(losses, ((0, 0), (0, 11 - losses.shape[1])), constant_values=np.nan)
                curves.append(np.fmin.accumulate(short, 1).mean(0))
            pane.plot(np.mean(curves, 0), marker=".", label=way.replace(" 10 iterations,", ""))
        pane.set_title(name, fontsize=11)
        pane.set_xlabel("iteration")
        pane.set_yscale("log")
        pane.spines[["top", "right"]].set_visible(False)
    panes[0].set_ylabel("loss")
    figure.legend(
        *panes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
