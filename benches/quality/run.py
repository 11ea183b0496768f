"""How near each sampler comes to converged samples at equal model calls.

    python benches/quality/run.py [--full] [--seed 7] [--problems NAME ...] [--samplers NAME ...] [--out FOLDER]

Writes `quality.json` (every squared distance), `quality.md` (the tables) and a plot for each guidance.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from quality.comfy_samplers import comfyui
from quality.diffusers_samplers import DIFFUSERS
from quality.experiment import Case, Converged, Result, Size, measure
from quality.landscapes import LandscapesProblem
from quality.networks import NETWORKS
from quality.plots import plot
from quality.problems import MIXTURE_SIDES, problem
from quality.report import report
from quality.samplers import ABLATION, EULER, EULER_A, K_DIFFUSION, LEAD, LEAD_ODE, Sampler
from quality.schedules import SCHEDULES

GUIDANCES = (1.0, 4.0, 7.5)
CALLS = (5, 8, 12, 20)
FEW = {"lead", "lead_ode", "euler_ancestral", "euler", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "unipc"}


def problems(seed: int, full: bool) -> list[str]:
    """A generated mixture of each size and every network; in full the embedded model too, which is slow."""
    mixtures = [f"mixture{side * side}_{seed}" for side in MIXTURE_SIDES]
    return mixtures + list(NETWORKS) + ([LandscapesProblem.name] if full else [])


def samplers(names: list[str] | None, full: bool) -> list[Sampler]:
    """Those that are named, or the eight of a short run, or all."""
    every = [LEAD, LEAD_ODE, *K_DIFFUSION, *DIFFUSERS, *comfyui(), *ABLATION]
    if names is None:
        return [one for one in every if full or one.name in FEW]
    unknown = set(names) - {one.name for one in every}
    if unknown:
        raise SystemExit(
            f"no such sampler: {', '.join(sorted(unknown))}; there are {', '.join(one.name for one in every)}"
        )
    return [one for one in every if one.name in names]


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="every sampler and more seeds")
    parser.add_argument(
        "--seed", type=int, default=0, help="the generated mixtures come from it: take one that nobody tuned to"
    )
    parser.add_argument(
        "--problems",
        nargs="+",
        help="mixture64_7 (64 dimensions, seed 7) or a network; default: one mixture of each size and every network",
    )
    parser.add_argument("--samplers", nargs="+", help="by name; lead and euler_ancestral are always run")
    parser.add_argument("--guidance", nargs="+", type=float, default=GUIDANCES)
    parser.add_argument("--schedules", nargs="+", choices=SCHEDULES, default=list(SCHEDULES))
    parser.add_argument("--calls", nargs="+", type=int, default=CALLS)
    parser.add_argument("--images", type=int, help="of one seed")
    parser.add_argument("--seeds", type=int, help="how many runs of each")
    parser.add_argument("--out", type=Path, default=Path("out/quality"))
    return parser.parse_args()


def main() -> None:
    """Runs, writes and prints."""
    options = arguments()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    size = Size(seeds=6) if options.full else Size()
    size = replace(size, images=options.images, seeds=options.seeds or size.seeds)
    chosen = samplers(options.samplers, options.full)
    names = options.problems or problems(options.seed, options.full)
    results: list[Result] = []
    start = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)

    def told(result: Result) -> None:
        results.append(result)

    for name in names:
        task = problem(name)
        for guidance in options.guidance:
            converged = Converged(task, guidance, size, options.out / "converged")
            cases = [Case(name, guidance, schedule, calls) for schedule in options.schedules for calls in options.calls]
            wanted = dict.fromkeys([LEAD, EULER_A, LEAD_ODE, EULER, *chosen])
            measure(task, converged, cases, wanted, size, told)
            print(f"{name}, guidance {guidance:g}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
            (options.out / "quality.json").write_text(json.dumps([result.to_json() for result in results]))
    text = report(results, size)
    (options.out / "quality.md").write_text(text)
    for guidance in options.guidance:
        plot(results, guidance, options.out / f"quality_{guidance:g}.png")
    print(text)


if __name__ == "__main__":
    main()
