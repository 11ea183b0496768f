"""How much a setting changes the embedded model's pictures: the numbers of the tuning guide.

    python benches/effect.py [SEEDS]

For each setting, over the seeds: the mean absolute difference between the picture and the plain sampler's (momentum 1,
no reference), in levels of 256, as median and 90 % quantile.
"""

import sys

import numpy as np

from sonar_sampler import SonarConfig
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.reference import prepare_reference

PROMPT = "mountains sunset"
REFERENCE = Job("sea night", config=SonarConfig(seed=3))
SETTINGS = {
    "0.95 / 0.75 (defaults)": {},
    "0.85 / 0.75": {"momentum": 0.85},
    "0.75 / 0.75": {"momentum": 0.75},
    "0.5 / 0.75": {"momentum": 0.5},
    "0.75 / 0.9": {"momentum": 0.75, "momentum_hist": 0.9},
    "0.95 / 0.9 neg": {"momentum_hist": 0.9, "momentum_sign": "neg"},
    "0.95 / 0.75 rand": {"momentum_sign": "rand"},
    "0.95 / 0.75 rand_new": {"momentum_hist_init": "rand_new"},
    "0.95 / 0.75 rand_init": {"momentum_hist_init": "rand_init"},
    "momentum off, reference 0.02": {"momentum": 1.0, "ref_factor": 0.02},
    "momentum off, reference 0.1": {"momentum": 1.0, "ref_factor": 0.1},
}


def pixels(job: Job) -> np.ndarray:
    """The picture of a job, as float."""
    return np.asarray(job.run(), np.float64)


def main() -> None:
    """Prints the table."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
    reference = prepare_reference(REFERENCE.run())
    print(f"{PROMPT}, 20 steps, {len(seeds)} seeds\n")
    print("| sampler | momentum / history | median | 90 % |")
    print("|---|---|---|---|")
    for sampler in ("euler_a", "euler"):
        plain = {seed: pixels(Job(PROMPT, config=SonarConfig(sampler, momentum=1.0, seed=seed))) for seed in seeds}
        for name, options in SETTINGS.items():
            pulled = reference if "ref_factor" in options else None
            changes = []
            for seed in seeds:
                job = Job(PROMPT, config=SonarConfig(sampler, seed=seed, **options), reference=pulled)
                changes.append(np.abs(pixels(job) - plain[seed]).mean())
            print(f"| {sampler} | {name} | {np.median(changes):.1f} | {np.quantile(changes, 0.9):.1f} |")


main()
