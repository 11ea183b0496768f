"""Prompt against reference: how near each way of pulling comes to both.

    python benches/fight.py [--seeds 6] [--first-seed 100] [--out out]

The embedded model makes pictures of prompts that contradict a reference (mountains in the light of day against a city
at night, for one), with Euler a without momentum. For each method and strength: the distance of the composition to the
reference's (both normalised per channel, means over areas of 8 x 8 cells; root mean square) and how much less likely
the picture is under the prompt than without a reference (log density at sigma 0.3, per number of the latent; the model
knows it exactly; a haze is likelier than a clear day, hence also the contrast that is left); and the distance again
with fewer and with more steps. Means over pairs and seeds with standard errors. Writes fight.csv, fight.md and
fight.png.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar_sampler import SonarConfig, initial_noise, normalize_reference, sample
from sonar_sampler.presets import GUIDED, PRESETS
from sonar_sampler.toy import ToyModel, sigmas

Array = NDArray[Any]

MODEL = ToyModel()
STEPS, CFG, SIGMA, AREA = 20, 4.0, 0.3, 8
OTHER_STEPS = (10, 50)
PAIRS = (("mountains day", "city night"), ("forest autumn day", "sea night"), ("desert day", "mountains night"))
METHODS: dict[str, tuple[dict[str, Any], tuple[float, ...]]] = {
    "linear": ({"ref_method": "linear"}, (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3)),
    "euler": ({"ref_method": "euler"}, (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)),
    "denoised": ({"ref_method": "denoised"}, (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0)),
    "denoised, detail 0.25": (
        {"ref_method": "denoised", "ref_detail": 0.25},
        (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0),
    ),
    "the preset": (
        {name: value for name, value in PRESETS[GUIDED].options.items() if name not in ("momentum", "ref_factor")},
        (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0),
    ),
}
# At which of its strengths a method is tried with another number of steps.
MIDDLE = {"linear": 0.04, "euler": 0.4, "denoised": 0.3, "denoised, detail 0.25": 0.3, "the preset": 0.3}


@dataclass(frozen=True)
class Row:
    """One picture."""

    method: str
    factor: float
    prompt: str
    reference: str
    seed: int
    steps: int
    composition: float
    likelihood: float
    contrast: float


def picture(prompt: str, config: SonarConfig, reference: Array | None = None, steps: int = STEPS) -> Array:
    """A latent (1, 6, 64, 64) of a prompt."""
    levels = sigmas(steps, "karras")
    noise = initial_noise((1, *MODEL.latent_shape), [int(config.seed)])  # type: ignore[arg-type]
    return sample(MODEL.denoiser(prompt, "", CFG), noise * levels[0], levels, config, reference=reference)


def composition(latent: Array) -> Array:
    """What is coarse in a latent, without its colours and contrast."""
    channels, height, width = latent.shape[1:]
    areas = normalize_reference(latent).reshape(channels, height // AREA, AREA, width // AREA, AREA)
    coarse: Array = areas.mean(axis=(2, 4), dtype=np.float64)
    return coarse


def rows(seeds: range) -> Iterator[Row]:
    """Every picture, measured; those without a reference have the method "none"."""
    for (prompt, of), seed in itertools.product(PAIRS, seeds):
        reference = picture(of, SonarConfig("euler", momentum=1.0, seed=1000 + seed))
        target = composition(reference)

        def measured(method: str, factor: float, steps: int = STEPS, **options: Any) -> Row:
            config = SonarConfig("euler_a", momentum=1.0, seed=seed, ref_factor=factor, **options)  # noqa: B023
            latent = picture(prompt, config, reference, steps)  # noqa: B023
            distance = float(np.sqrt(np.mean(np.square(composition(latent) - target))))  # noqa: B023
            likelihood = float(MODEL.log_likelihood(latent, prompt, SIGMA)[0]) / latent.size  # noqa: B023
            contrast = float(latent.std(axis=(2, 3)).mean())
            return Row(method, factor, prompt, of, seed, steps, distance, likelihood, contrast)  # noqa: B023

        for steps in (STEPS, *OTHER_STEPS):
            yield measured("none", 0.0, steps)
        for method, (options, factors) in METHODS.items():
            for factor in factors:
                yield measured(method, factor, **options)
            for steps in OTHER_STEPS:
                yield measured(method, MIDDLE[method], steps, **options)


def summary(values: list[float]) -> Array:
    """Mean and standard error."""
    return np.array([np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))])


def summaries(found: list[Row], method: str, factor: float, steps: int) -> tuple[Array, Array, Array]:
    """The part of the distance that is left, the likelihood that is lost, and the part of the contrast that is left."""
    plain = {(row.prompt, row.seed): row for row in found if (row.method, row.steps) == ("none", steps)}
    mine = [row for row in found if (row.method, row.factor, row.steps) == (method, factor, steps)]
    bases = [plain[row.prompt, row.seed] for row in mine]
    left = [row.composition / base.composition for row, base in zip(mine, bases, strict=True)]
    lost = [base.likelihood - row.likelihood for row, base in zip(mine, bases, strict=True)]
    kept = [row.contrast / base.contrast for row, base in zip(mine, bases, strict=True)]
    return summary(left), summary(lost), summary(kept)


def curves(found: list[Row]) -> dict[str, list[tuple[float, Array, Array, Array]]]:
    """Method -> for each strength what `summaries` says, as pairs of mean and standard error."""
    return {
        method: [(factor, *summaries(found, method, factor, STEPS)) for factor in factors]
        for method, (_, factors) in METHODS.items()
    }


def table(found: list[Row]) -> str:
    """Markdown."""
    lines = ["| method | factor | distance left | likelihood lost | contrast left |", "|---|---|---|---|---|"]
    for method, points in curves(found).items():
        for factor, left, lost, kept in points:
            cells = (
                f"{left[0]:.3f} ± {left[1]:.3f}",
                f"{lost[0]:.4f} ± {lost[1]:.4f}",
                f"{kept[0]:.2f} ± {kept[1]:.2f}",
            )
            lines.append(f"| {method} | {factor:g} | {' | '.join(cells)} |")
    every = (OTHER_STEPS[0], STEPS, *OTHER_STEPS[1:])
    lines += ["", "Distance left:", "", f"| method | factor | {' | '.join(f'{steps} steps' for steps in every)} |"]
    lines.append("|---|---|" + "---|" * len(every))
    for method, factor in MIDDLE.items():
        lefts = [summaries(found, method, factor, steps)[0] for steps in every]
        lines.append(f"| {method} | {factor:g} | {' | '.join(f'{left[0]:.3f} ± {left[1]:.3f}' for left in lefts)} |")
    return "\n".join(lines) + "\n"


def plot(found: list[Row], path: Path) -> None:
    """The curves."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, pane = plt.subplots(figsize=(8, 5), layout="constrained")
    for method, points in curves(found).items():
        left, lost = (np.array([point[column] for point in points]) for column in (1, 2))
        pane.errorbar(left[:, 0], lost[:, 0], lost[:, 1], left[:, 1], marker="o", capsize=2, label=method)
        for (factor, *_), x, y in zip(points, left[:, 0], lost[:, 0], strict=True):
            pane.annotate(f"{factor:g}", (x, y), (4, 4), textcoords="offset points", fontsize=7)
    pane.set_yscale("symlog", linthresh=0.01)
    pane.set_xlabel("distance of the composition to the reference's, of that without a reference")
    pane.set_ylabel("likelihood lost under the prompt, per number (lower is better)")
    pane.set_title("Prompt against reference: nearer (left) and still likely (below) is better", fontsize=11)
    pane.legend(frameon=False)
    pane.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measures and writes everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--out", type=Path, default=Path("out"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    found = list(rows(range(given.first_seed, given.first_seed + given.seeds)))
    with (given.out / "fight.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(Row.__dataclass_fields__)
        writer.writerows(vars(row).values() for row in found)
    (given.out / "fight.md").write_text(text := table(found), encoding="utf-8")
    plot(found, given.out / "fight.png")
    print(text)


if __name__ == "__main__":
    main()
