"""Soak: many mixed runs on four threads with random faults, which end with the same memory and the same bits.

    python tests/soak.py [JOBS]        (100,000 by default; some minutes)

Every job is one of 400 runs (samplers, momentum options, shapes, dtypes, guidance, own or host noise, a few large
enough for threads of the core's own; two in five by the loop for hosts like torch). One in three meets a fault: the
model raises, answers NaN, None or another shape, keeps what it was given, samples inside of itself, or the run is left
half-way; some models answer with a view of their input. A job without an error must give the bits of the same run made
alone in one thread beforehand, a job with one the right error.
"""

import argparse
import gc
import hashlib
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonar_sampler import DtypeError, LatentError, NumericError, SonarConfig, Stepper, sample
from sonar_sampler._core import run_for
from sonar_sampler.registry import SAMPLERS, SOLVERS

KINDS, THREADS = 400, 4
SIGMAS = np.append(np.geomspace(14.0, 0.1, 5), 0.0)


class ModelError(Exception):
    """An exception of the model's own."""


class ModelExit(BaseException):
    """One that is no Exception."""


FAULTS = {
    "none": None,
    "raises": ModelError,
    "raises BaseException": ModelExit,
    "answers NaN": NumericError,
    "answers None": DtypeError,
    "changes shape": LatentError,
    "keeps its inputs": None,
    "samples inside": None,
    "is left half-way": None,
}


@dataclass(frozen=True)
class Kind:
    """One run, drawn from its number."""

    config: SonarConfig
    x: np.ndarray
    reference: np.ndarray | None
    noise: np.ndarray | None
    echoes: bool
    for_host: bool

    @classmethod
    def number(cls, k):
        rng, draws = random.Random(k), np.random.default_rng(k)
        large = k % 50 == 0
        shape = (1, 4, 256, 256) if large else (rng.randint(1, 3), rng.randint(1, 4), rng.randint(2, 16), 8)
        sampler = rng.choice(list(SAMPLERS))
        leads = SOLVERS[sampler].leads and rng.random() < 0.3
        config = SonarConfig(
            sampler=sampler,
            momentum_mode="lead" if leads else "classic",
            momentum=rng.choice([1.0, 0.95, 0.5]),
            momentum_hist=rng.random(),
            momentum_hist_init="zero" if leads else rng.choice(["zero", "rand_init", "rand_new"]),
            momentum_sign="pos" if leads else rng.choice(["pos", "rand"]),
            ref_method=rng.choice(["linear", "euler", "denoised"]),
            ref_detail=rng.choice([1.0, 0.3]),
            s_churn=rng.choice([0.0, 1.0]),
            exact_last_step=rng.random() < 0.2,
            seed=k,
        )
        x = (draws.standard_normal(shape) * 14).astype(rng.choice([np.float16, np.float32, np.float64]))
        reference = draws.standard_normal(shape).astype(np.float32) if rng.random() < 0.3 else None
        noise = draws.standard_normal(shape).astype(np.float32) if rng.random() < 0.3 else None
        return cls(config, x, reference, noise, echoes=rng.random() < 0.2, for_host=rng.random() < 0.4)

    def model(self, x, sigma):
        if self.echoes:
            return x[:, ::-1]
        return x * x.dtype.type(1 / (1 + sigma**2))

    def run(self, model):
        if self.for_host:
            host, given = Host(self, model), {"reference": self.reference, "reference_mask": None, "history": None}
            return digest(run_for(host, self.x, SIGMAS, self.config, **given, threads=None, elementary=None))
        return self.alone(model)

    def alone(self, model=None):
        noise = None if self.noise is None else lambda *_: self.noise
        return digest(sample(model or self.model, self.x, SIGMAS, self.config, reference=self.reference, noise=noise))


@dataclass
class Host:
    """The same answers for `run_for`."""

    kind: Kind
    model: Callable[[np.ndarray, float], np.ndarray]

    def begin(self, levels):
        self.levels = levels

    def denoise(self, x, step, level, first, draws):
        return self.model(x, self.levels[level]), None if draws is None else self.kind.noise

    def noise(self, level, next_level):
        return self.kind.noise


def digest(array):
    return hashlib.blake2b(array.tobytes(), digest_size=16).digest()


def misbehaving(kind, fault, step, kept):
    """The kind's model, with a fault at a step."""
    calls = 0

    def model(x, sigma):
        nonlocal calls
        calls += 1
        right = kind.model(x, sigma)
        if fault == "keeps its inputs":
            kept.append((x, digest(x)))
        if calls - 1 != step:
            return right
        match fault:
            case "raises":
                raise ModelError
            case "raises BaseException":
                raise ModelExit
            case "answers NaN":
                return right * np.float32(np.nan)
            case "answers None":
                return None
            case "changes shape":
                return right[..., :1]
            case "samples inside":
                sample(kind.model, x, [2.0, 1.0], kind.config)
        return right

    return model


def job(kind, expected, fault, step):
    """Makes one run with a fault; answers what went wrong, if anything."""
    if fault == "is left half-way":
        stepper = Stepper(kind.config, SIGMAS, kind.x, reference=kind.reference)
        for _ in range(step):
            request = stepper.request()
            stepper.feed(kind.x if not hasattr(request, "x") else kind.model(request.x, request.sigma))
        return None
    kept = []
    try:
        out = kind.run(misbehaving(kind, fault, step, kept))
    except BaseException as error:
        return None if type(error) is FAULTS[fault] else f"{fault}: {error!r}"
    if FAULTS[fault] is not None:
        return f"{fault}: no error"
    if any(digest(x) != then for x, then in kept):
        return "an array that the model kept was written to"
    return None if out == expected else f"{fault}: other bits"


def resident():
    """Bytes of this process that are in memory; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def soak(jobs, kinds=KINDS, seed=0):
    """Runs the jobs; answers what went wrong and the figures."""
    made = [Kind.number(k) for k in range(kinds)]
    expected = [kind.alone() for kind in made]
    wrong, done, lock = [], Counter(), threading.Lock()

    def work(thread, count):
        rng = random.Random(f"{seed} {thread} {count}")
        mine = Counter()
        for _ in range(count):
            k = rng.randrange(kinds)
            fault = rng.choice(list(FAULTS)) if rng.random() < 0.37 else "none"
            mine[fault] += 1
            problem = job(made[k], expected[k], fault, rng.randrange(len(SIGMAS) - 1))
            if problem:
                wrong.append(f"run {k}: {problem}")
        with lock:
            done.update(mine)

    def all_threads(count):
        threads = [threading.Thread(target=work, args=(thread, count // THREADS)) for thread in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gc.collect()
        return resident()

    first = all_threads(jobs // 10)
    start, memory = time.perf_counter(), []
    memory.extend(all_threads(jobs // 10) for _ in range(9))
    again = [kind.alone() for kind in made]
    wrong += [f"run {k}: other bits at the end" for k in range(kinds) if again[k] != expected[k]]
    figures = {
        "jobs": sum(done.values()),
        "with a fault": sum(done.values()) - done["none"],
        "seconds for the last 90 %": round(time.perf_counter() - start, 1),
        "memory after 10 % of the jobs, MB": round(first / 1e6, 1),
        "memory at the end, MB": round(memory[-1] / 1e6, 1),
        "highest between, MB": round(max(memory) / 1e6, 1),
        "faults": dict(done),
        "wrong": len(wrong),
    }
    return wrong, figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jobs", type=int, nargs="?", default=100_000)
    wrong, figures = soak(parser.parse_args().jobs)
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    for problem in wrong[:20]:
        print(problem, file=sys.stderr)
    grown = figures["memory at the end, MB"] - figures["memory after 10 % of the jobs, MB"]
    return 1 if wrong or grown > 20 else 0


if __name__ == "__main__":
    sys.exit(main())
