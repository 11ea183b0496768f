"""How near each sampler comes to converged samples at equal model calls.

    python benches/quality/run.py [--full] [--seed 7] [--problems NAME ...] [--samplers NAME ...] [--out FOLDER]

Writes `figures.csv` (every squared distance), `figures.md` (the tables), plots and pictures into the folder, and keeps
there what it measured: a run that was cut off, or is asked for more, goes on from that.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from quality import figures
from quality.experiment import Result, Size
from quality.landscapes import LandscapesProblem
from quality.networks import NETWORKS
from quality.part import Part, every_sampler, measured
from quality.plots import plot
from quality.problems import MIXTURE_SIDES
from quality.report import report
from quality.schedules import SCHEDULES
from quality.strip import draw

GUIDANCES = (1.0, 4.0, 7.5)
CALLS = (5, 8, 12, 20)
FEW = ("lead", "lead_ode", "euler_ancestral", "euler", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde", "unipc")


def problems(seed: int, full: bool) -> list[str]:
    """A generated mixture of each size and every network; in full the embedded model too, which takes half a day."""
    mixtures = [f"mixture{side * side}_{seed}" for side in MIXTURE_SIDES]
    return list(NETWORKS) + mixtures + ([LandscapesProblem.name] if full else [])


def arguments() -> argparse.Namespace:
    """What the command line says."""
    every = every_sampler()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--full", action="store_true", help="every sampler, and the embedded model")
    add("--seed", type=int, default=2611, help="the generated mixtures come from it: take one that nobody tuned to")
    add("--problems", nargs="+", help="mixture64_7 (64 dimensions, seed 7), landscapes, or a network")
    add("--samplers", nargs="+", choices=every, metavar="NAME", help="lead, lead_ode and Euler's are always run")
    add("--guidance", nargs="+", type=float, default=GUIDANCES)
    add("--schedules", nargs="+", choices=SCHEDULES, default=tuple(SCHEDULES))
    add("--calls", nargs="+", type=int, default=CALLS)
    add("--images", type=int, help="of one seed; default: as many as the problem's costs allow")
    add("--seeds", type=int, default=4, help="runs of each")
    add("--jobs", type=int, default=os.cpu_count(), help="processes")
    add("--out", type=Path, default=Path("out/quality"))
    options = parser.parse_args()
    options.samplers = options.samplers or (list(every) if options.full else FEW)
    options.problems = options.problems or problems(options.seed, options.full)
    return options


def parts(options: argparse.Namespace) -> list[Part]:
    """What the options ask for, the strongest guidance first."""
    size = Size(options.images, options.seeds)
    folder = options.out / "kept"
    folder.mkdir(parents=True, exist_ok=True)
    lists = tuple(options.schedules), tuple(options.calls), tuple(options.samplers)
    guidances = sorted(options.guidance, reverse=True)
    return [Part(name, guidance, *lists, size, folder) for name in options.problems for guidance in guidances]


def main() -> None:
    """Runs, writes and prints."""
    options = arguments()
    start = time.monotonic()
    asked = parts(options)
    found: dict[Part, list[Result]] = {}
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(measured, part): part for part in asked}
        for done in as_completed(running):
            part = running[done]
            found[part] = done.result()
            spent = time.monotonic() - start
            print(f"{part.problem}, guidance {part.guidance:g}: {spent:.0f} s", file=sys.stderr, flush=True)
    results = [result for part in asked for result in found[part]]
    figures.write(results, options.out / "figures.csv")
    text = report(figures.read(options.out / "figures.csv"))
    (options.out / "figures.md").write_text(text, encoding="utf-8")
    for guidance in options.guidance:
        for schedule in options.schedules:
            plot(results, guidance, schedule, options.out / f"quality-{schedule}-{guidance:g}.png")
    draw(options.out / "lead.png")
    print(text)


if __name__ == "__main__":
    main()
