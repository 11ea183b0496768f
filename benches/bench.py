"""Time per step of Sonar beside torch, k-diffusion and the memory: `make bench`.

Every side runs whole runs of Euler a through its public function, with a model that answers a fixed tensor and a
noise sampler that answers another, both at no cost. In each round, every side has a process of its own, one after the
other in an order that changes, so that none finds what another left in caches, spinning threads or the allocator's
books. A round's processes are forks of one new process: how arrays happen to lie in memory makes up to half of the
time of the large ones, and stays the same as long as a process lives. A side's time is the median of its runs; ratios
are taken within a round. Writes bench.md, bench.csv, bench.json and bench.png.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import random
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from report import Measured, write
from sides import CASES, SIDES, Case, Run, check, sides

from sonar_sampler import __version__


def measure_round(cases: list[Case], turn: int, steps: int, threads: int) -> list[dict[str, float]]:
    """Microseconds per step of every side of every case."""
    order = random.Random(turn)
    can_fork = "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if can_fork else "spawn")
    results = []
    for case in cases:
        print(f"round {turn + 1}: {case.name}, {case}", file=sys.stderr)
        times = {}
        for side in order.sample(SIDES, len(SIDES)):
            with ProcessPoolExecutor(1, context) as process:
                times[side] = process.submit(measure, case, side, steps, threads).result()
        results.append(times)
    return results


def measure(case: Case, side: str, steps: int, threads: int) -> float:
    """Microseconds per step of one side, in a process of its own."""
    torch.set_num_threads(threads)
    # Until it has seen a large array freed, glibc hands every such array back to the system, and whoever allocates one
    # per operation pays for new pages each time. In a process with a model it has seen one.
    large = np.empty(31 << 20, np.uint8)
    del large
    ways = [[timed(run, steps) for _ in range(case.runs + 1)][1:] for run in sides(case, steps, threads)[side]]
    return min(statistics.median(times) for times in ways)


def timed(run: Run, steps: int) -> float:
    """Microseconds per step of a run."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) / steps * 1e6


def machine(threads: int) -> dict[str, str | int]:
    """What the figures depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = {line.partition(":")[0].strip(): line.partition(":")[2].strip() for line in lines}
    processor = names.get("model name") or platform.processor() or platform.machine()
    family = f", family {names['cpu family']}" if "cpu family" in names else ""
    widest = next((flag for flag in ("avx512f", "avx2") if flag in names.get("flags", "").split()), "")
    return {
        "processor": f"{processor}{family}{', ' if widest else ''}{widest}",
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sonar": __version__,
    }


def load() -> str:
    """What the machine does besides."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder to write to")
    parser.add_argument("--steps", type=int, default=30, help="steps of a run")
    parser.add_argument("--rounds", type=int, default=7, help="processes of each side")
    parser.add_argument("--threads", type=int, default=0, help="default: the cores that this process may use")
    parser.add_argument("--only", default="", help="measure the sizes whose name begins so")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = options.threads or cores
    about, before = machine(threads), load()
    cases = [case for case in CASES if case.name.startswith(options.only)]
    results = [Measured(case, {side: [] for side in SIDES}) for case in cases]
    new = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, new) as process:
        for case in cases:
            process.submit(check, case, options.steps, threads).result()
    for turn in range(options.rounds):
        with ProcessPoolExecutor(1, new) as process:
            measured = process.submit(measure_round, cases, turn, options.steps, threads).result()
        for result, times in zip(results, measured, strict=True):
            for side, took in times.items():
                result.times[side].append(took)
    head = (
        f"Microseconds per step, runs of {options.steps} steps; medians over {options.rounds} rounds, in brackets the "
        f"quartiles. {about['processor']}, {threads} threads, torch {about['torch']}, Python {about['python']}; "
        f"load before {before}, after {load()}."
    )
    print(write(results, head, about, options.out))


if __name__ == "__main__":
    main()
