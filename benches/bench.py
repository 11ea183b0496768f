"""Time per step of Sonar beside torch, k-diffusion and the memory: `make bench`.

Every side runs whole runs of Euler a through its public function, with a model that answers a fixed tensor and a
noise sampler that answers another, both at no cost. The sides take turns, so that whatever else the machine does meets
all of them, in another order every turn; each has a run to itself before the one that counts, so that none finds what
another left in the caches or in spinning threads. Ratios are taken within a turn. Writes bench.md, bench.csv,
bench.json and bench.png.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from plain_torch import sample_euler_a

from sonar_sampler import SonarConfig, __version__
from sonar_sampler.torch import sample_sonar_euler_a

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # k-diffusion's dependencies use what others have deprecated
    from k_diffusion.sampling import get_sigmas_karras, sample_euler_ancestral

Run = Callable[[], object]

PLAIN = SonarConfig()
GUIDED = {method: SonarConfig(ref_method=method, ref_start=0, ref_stop=10_000) for method in ("linear", "euler")}

SONAR, TORCH, K_DIFFUSION, COPY = "Sonar", "the same in torch", "k-diffusion without momentum", "copying"
ONE_THREAD, LINEAR, EULER = "Sonar, one thread", "Sonar, linear guidance", "Sonar, euler guidance"


@dataclass(frozen=True)
class Case:
    """A size, and what is asked of it."""

    name: str
    shape: tuple[int, ...]
    rounds: int
    vs_torch: float
    vs_k_diffusion: float
    of_copying: float | None = None


CASES = (
    Case("SD 1.5", (1, 4, 64, 64), 300, 10, 6),
    Case("SDXL", (1, 4, 128, 128), 300, 8, 4),
    Case("SDXL, 8 images", (8, 4, 128, 128), 60, 10, 5, 0.7),
    Case("video", (1, 16, 21, 90, 160), 15, 12, 7, 0.7),
)


@dataclass
class Measured:
    """Microseconds per step of every side, turn by turn."""

    case: Case
    times: dict[str, list[float]] = field(default_factory=dict)

    def time(self, side: str) -> float:
        """The median of a side."""
        return statistics.median(self.times[side])

    def ratio(self, side: str, to: str = SONAR) -> tuple[float, float, float]:
        """How many times longer `side` takes than `to`: quartiles of the ratios within a turn."""
        ratios = [a / b for a, b in zip(self.times[side], self.times[to], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        return low, middle, high


def copying(size: int, steps: int, threads: int, pool: ThreadPoolExecutor) -> tuple[Run, Run]:
    """Two ways to copy as many bytes as `steps` steps must read and write: x, answer, noise, history; x, history."""
    source, target = torch.ones(3 * size), torch.zeros(3 * size)
    parts = [
        (np.array_split(source.numpy(), threads)[k], np.array_split(target.numpy(), threads)[k]) for k in range(threads)
    ]

    def by_torch() -> None:
        for _ in range(steps):
            target.copy_(source)

    def by_numpy() -> None:
        for _ in range(steps):
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))

    return by_torch, by_numpy


def timed(run: Run, steps: int) -> float:
    """Microseconds per step, of the second of two runs."""
    run()
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) / steps * 1e6


def measure(case: Case, steps: int, threads: int, rounds: int, pool: ThreadPoolExecutor) -> Measured:
    """All sides of one size."""
    generator = torch.Generator().manual_seed(0)
    x, denoised, noise, reference = (torch.randn(case.shape, generator=generator) for _ in range(4))
    sigmas = get_sigmas_karras(steps, 0.03, 14.6)
    x *= sigmas[0]

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        return denoised

    def noise_sampler(sigma: torch.Tensor, sigma_next: torch.Tensor) -> torch.Tensor:  # noqa: ARG001
        return noise

    def sonar(config: SonarConfig = PLAIN, reference: torch.Tensor | None = None) -> torch.Tensor:
        return sample_sonar_euler_a(
            model, x, sigmas, disable=True, noise_sampler=noise_sampler, config=config, reference=reference
        )

    def in_torch() -> torch.Tensor:
        return sample_euler_a(
            model, x, sigmas, noise_sampler, momentum=PLAIN.momentum, momentum_hist=PLAIN.momentum_hist, disable=True
        )

    def k_diffusion() -> torch.Tensor:
        return sample_euler_ancestral(model, x, sigmas, disable=True, noise_sampler=noise_sampler)

    def one_thread() -> None:
        torch.set_num_threads(1)
        sonar()
        torch.set_num_threads(threads)

    assert torch.equal(sonar(), in_torch()), "the two sides do not compute the same"
    sides: dict[str, Run] = {
        SONAR: sonar,
        TORCH: in_torch,
        K_DIFFUSION: k_diffusion,
        ONE_THREAD: one_thread,
        LINEAR: lambda: sonar(GUIDED["linear"], reference),
        EULER: lambda: sonar(GUIDED["euler"], reference),
    }
    ways = copying(x.numel(), steps, threads, pool)
    names, measured = [*sides, COPY], Measured(case)
    measured.times = {side: [] for side in names}
    order = random.Random(0)
    for _ in range(rounds):
        for side in order.sample(names, len(names)):
            took = timed(sides[side], steps) if side in sides else min(timed(way, steps) for way in ways)
            measured.times[side].append(took)
    return measured


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
        copied = percent(result.ratio(COPY), case.of_copying)
        sides = " | ".join(f"{result.time(side):.1f}" for side in (SONAR, TORCH, K_DIFFUSION, COPY))
        lines.append(
            f"| {case.name}, {shown(case)} | {sides} | {times(result.ratio(TORCH), case.vs_torch)} "
            f"| {times(result.ratio(K_DIFFUSION), case.vs_k_diffusion)} | {copied} |"
        )
    lines += [
        "",
        "| latent | one thread | all threads: faster, times | linear guidance: longer, times "
        "| euler guidance: longer, times |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        lines.append(
            f"| {result.case.name}, {shown(result.case)} | {result.time(ONE_THREAD):.1f} "
            f"| {times(result.ratio(ONE_THREAD))} | {times(result.ratio(LINEAR))} | {times(result.ratio(EULER))} |"
        )
    return "\n".join(lines)


def shown(case: Case) -> str:
    """`1x4x64x64`."""
    return "x".join(map(str, case.shape))


def machine(threads: int) -> dict[str, str | int]:
    """What the figures depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sonar": __version__,
    }


def load() -> str:
    """What the machine does besides."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def plot(results: list[Measured], path: Path) -> None:
    """Bars: time per step of the four sides, sizes beside each other."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    colours = {SONAR: "#1f6f8b", TORCH: "#c8553d", K_DIFFUSION: "#e0a458", COPY: "#9aa5ab"}
    figure, panes = plt.subplots(1, len(results), figsize=(11, 3.6), layout="constrained")
    for pane, result in zip(np.atleast_1d(panes), results, strict=True):
        unit, name = (1000, "ms") if result.time(TORCH) >= 1000 else (1, "µs")
        for place, (side, colour) in enumerate(colours.items()):
            low, middle, high = (value / unit for value in statistics.quantiles(result.times[side], n=4))
            pane.bar(place, middle, color=colour, label=side, yerr=[[middle - low], [high - middle]], capsize=3)
            pane.annotate(f"{middle:.3g}", (place, high), (0, 3), textcoords="offset points", ha="center", fontsize=9)
        pane.set_title(f"{result.case.name}\n{shown(result.case)}", fontsize=10)
        pane.set_ylabel(f"{name} per step")
        pane.set_xticks([])
        pane.margins(y=0.12)
        pane.spines[["top", "right"]].set_visible(False)
    handles, labels = np.atleast_1d(panes)[0].get_legend_handles_labels()
    labels = [f"{COPY} the bytes that a step needs" if label == COPY else label for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle("Euler a: time per step without the model (median, bars to the quartiles)", fontsize=11)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder to write to")
    parser.add_argument("--steps", type=int, default=30, help="steps of a run")
    parser.add_argument("--rounds", type=float, default=1.0, help="factor on the number of turns")
    parser.add_argument("--threads", type=int, default=0, help="default: the cores that this process may use")
    parser.add_argument("--only", default="", help="measure the sizes whose name begins so")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = options.threads or cores
    torch.set_num_threads(threads)
    about, before = machine(threads), load()
    results = []
    with ThreadPoolExecutor(threads) as pool:
        for case in (case for case in CASES if case.name.startswith(options.only)):
            rounds = max(3, round(case.rounds * options.rounds))
            print(f"{case.name}, {shown(case)}: {rounds} turns", file=sys.stderr)
            results.append(measure(case, options.steps, threads, rounds, pool))
    head = (
        f"Microseconds per step, runs of {options.steps} steps; medians, in brackets the quartiles. "
        f"{about['processor']}, {threads} threads, torch {about['torch']}, Python {about['python']}; "
        f"load before {before}, after {load()}."
    )
    options.out.mkdir(parents=True, exist_ok=True)
    text = f"{head}\n\n{table(results)}\n"
    (options.out / "bench.md").write_text(text, encoding="utf-8")
    with (options.out / "bench.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["latent", "side", "turn", "microseconds per step"])
        for result in results:
            for side, values in result.times.items():
                rows.writerows([shown(result.case), side, turn, f"{value:.3f}"] for turn, value in enumerate(values))
    data = {"about": about, "steps": options.steps, "cases": [asdict(result) for result in results]}
    (options.out / "bench.json").write_text(json.dumps(data, indent=1), encoding="utf-8")
    plot(results, options.out / "bench.png")
    print(text)


if __name__ == "__main__":
    main()
