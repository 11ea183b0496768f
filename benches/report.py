"""The table, the figures and the plot of `bench.py`."""

from __future__ import annotations

import csv
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sides import COARSE, COPY, DENOISED, EULER, K_DIFFUSION, LEAD, LINEAR, ONE_THREAD, SONAR, TORCH, Case


@dataclass
class Measured:
    """Microseconds per step of every side, round by round."""

    case: Case
    times: dict[str, list[float]]

    def time(self, side: str) -> float:
        """The median of a side."""
        return statistics.median(self.times[side])

    def ratio(self, side: str, to: str = SONAR) -> tuple[float, float, float]:
        """How many times longer `side` takes than `to`: quartiles of the ratios within a round."""
        ratios = [a / b for a, b in zip(self.times[side], self.times[to], strict=True)]
        low, middle, high = quartiles(ratios)
        return low, middle, high


def quartiles(values: list[float]) -> list[float]:
    """Of two values or more; of one, itself three times."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3


def write(results: list[Measured], head: str, about: dict[str, Any], out: Path) -> str:
    """Writes everything to the folder `out`; answers the table."""
    out.mkdir(parents=True, exist_ok=True)
    text = f"{head}\n\n{table(results)}\n"
    (out / "bench.md").write_text(text, encoding="utf-8")
    with (out / "bench.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["latent", "side", "round", "microseconds per step"])
        for result in results:
            for side, values in result.times.items():
                rows.writerows([result.case, side, turn, f"{value:.3f}"] for turn, value in enumerate(values))
    data = {"about": about, "head": head, "cases": [asdict(result) for result in results]}
    (out / "bench.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    plot(results, out / "bench.png")
    return text


def table(results: list[Measured]) -> str:
    """Markdown."""

    def times(ratio: tuple[float, float, float], target: float | None = None) -> str:
        low, middle, high = ratio
        return f"{middle:.1f} ({low:.1f} to {high:.1f})" + (f", target {target:g}" if target else "")

    def percent(ratio: tuple[float, float, float], target: float | None = None) -> str:
        low, middle, high = (round(100 * value) for value in ratio)
        return f"{middle} % ({low} to {high})" + (f", target {100 * target:g}" if target else "")

    lines = [
        "| latent | Sonar | torch | k-diffusion | copying | faster than the same in torch, times "
        "| faster than k-diffusion, times | of the speed of copying |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        case = result.case
        sides = " | ".join(f"{result.time(side):.1f}" for side in (SONAR, TORCH, K_DIFFUSION, COPY))
        lines.append(
            f"| {case.name}, {case} | {sides} | {times(result.ratio(TORCH), case.vs_torch)} "
            f"| {times(result.ratio(K_DIFFUSION), case.vs_k_diffusion)} "
            f"| {percent(result.ratio(COPY), case.of_copying)} |"
        )
    lines += [
        "",
        "| latent | one thread | all threads: faster, times | linear guidance: longer, times "
        "| euler guidance: longer, times | denoised guidance: longer, times | the same, coarse | lead: longer, times |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        lines.append(
            f"| {result.case.name}, {result.case} | {result.time(ONE_THREAD):.1f} | {times(result.ratio(ONE_THREAD))} "
            f"| {times(result.ratio(LINEAR), 1.6)} | {times(result.ratio(EULER), 1.6)} "
            f"| {times(result.ratio(DENOISED))} | {times(result.ratio(COARSE))} | {times(result.ratio(LEAD), 1.7)} |"
        )
    return "\n".join(lines)


def plot(results: list[Measured], path: Path) -> None:
    """Bars: time per step of the four sides, sizes beside each other."""
    import matplotlib as mpl  # here, since the processes that measure need not wait for it

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    colours = {SONAR: "#1f6f8b", TORCH: "#c8553d", K_DIFFUSION: "#e0a458", COPY: "#9aa5ab"}
    figure, panes = plt.subplots(1, len(results), figsize=(11, 3.6), layout="constrained")
    for pane, result in zip(np.atleast_1d(panes), results, strict=True):
        unit, name = (1000, "ms") if result.time(TORCH) >= 1000 else (1, "µs")
        for place, (side, colour) in enumerate(colours.items()):
            low, middle, high = (value / unit for value in quartiles(result.times[side]))
            pane.bar(place, middle, color=colour, label=side, yerr=[[middle - low], [high - middle]], capsize=3)
            pane.annotate(f"{middle:.3g}", (place, high), (0, 3), textcoords="offset points", ha="center", fontsize=9)
        pane.set_title(f"{result.case.name}\n{result.case}", fontsize=10)
        pane.set_ylabel(f"{name} per step")
        pane.set_xticks([])
        pane.margins(y=0.12)
        pane.spines[["top", "right"]].set_visible(False)
    handles, labels = np.atleast_1d(panes)[0].get_legend_handles_labels()
    labels = [f"{COPY} the bytes that a step needs" if label == COPY else label for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle("Euler a: time per step without the model (median, bars to the quartiles)", fontsize=11)
    figure.savefig(path, dpi=110)
