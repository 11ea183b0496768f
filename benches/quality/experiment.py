"""Runs samplers on a problem and measures how far they end from the converged samples."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .distances import METRICS, Yardstick
from .k_samplers import k_sampling
from .problems import Problem
from .samplers import Noise, Sampler
from .schedules import HIGHEST, LOWEST, SCHEDULES

SETS = 6  # converged runs; a yardstick is made of all but one
_REFERENCE_SEED, _SAMPLE_SEED = 10_000, 100


@dataclass(frozen=True)
class Size:
    """How much is computed."""

    images: int | None = None  # of one seed; None: the problem's own number
    seeds: int = 4
    converged_steps: int = 100


@dataclass(frozen=True)
class Case:
    """What every sampler is given."""

    problem: str
    guidance: float
    schedule: str
    calls: int


@dataclass
class Result:
    """Squared distances of a sampler in a case, one of each seed, and the floor: what a converged run has."""

    case: Case
    sampler: str
    source: str
    calls: int  # that it made, at most the case's
    squared: dict[str, list[float]]
    floor: dict[str, float]
    data: dict[str, list[float]] = field(default_factory=dict)  # squared distances to the data, without guidance only

    def to_json(self) -> dict[str, Any]:
        """As plain values of six digits."""
        return _rounded(asdict(self))

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Result:
        """The inverse of `to_json`."""
        return cls(**{**row, "case": Case(**row["case"])})


class Converged:
    """The samples that the problem's SDE and ODE end in, by many small steps of second order; kept on disk."""

    def __init__(self, problem: Problem, guidance: float, size: Size, folder: Path) -> None:
        self._problem, self._guidance, self._size, self._folder = problem, guidance, size, folder
        self._known: dict[str, tuple[Yardstick, dict[str, float]]] = {}

    def yardstick(self, process: str) -> tuple[Yardstick, dict[str, float]]:
        """The yardstick of "sde", "ode" or "data", and the floor of its squared distances."""
        if process not in self._known:
            sets, problem = self._sets(process), self._problem
            sets = [problem.measured(samples) for samples in sets]
            sticks = [Yardstick.of(torch.cat([*sets[:left], *sets[left + 1 :]]), seed=0) for left in range(SETS)]
            floors = [stick.squared(left) for stick, left in zip(sticks, sets, strict=True)]
            self._known[process] = sticks[0], {m: sum(floor[m] for floor in floors) / SETS for m in METRICS}
        return self._known[process]

    def _sets(self, process: str) -> Tensor:
        size, problem = self._size, self._problem
        named = f"{problem.fingerprint} {self._guidance} {process} {count_of(problem, size)} {size.converged_steps}"
        file = self._folder / f"{problem.name}_{hashlib.sha256(named.encode()).hexdigest()[:16]}.pt"
        if file.exists():
            return torch.load(file, weights_only=True)
        seeds = range(_REFERENCE_SEED, _REFERENCE_SEED + SETS)
        sets = torch.stack([self._set(process, seed) for seed in seeds])
        self._folder.mkdir(parents=True, exist_ok=True)
        torch.save(sets, file)
        return sets

    def _set(self, process: str, seed: int) -> Tensor:
        problem = self._problem
        count = count_of(problem, self._size)
        labels = labels_of(problem, count)
        if process == "data":
            return problem.data(labels, seed)
        steps = self._size.converged_steps
        levels = torch.linspace(math.log(HIGHEST), math.log(LOWEST), steps, dtype=torch.float64).exp()
        sigmas = torch.cat([levels, levels.new_zeros(1)]).float()
        x = start(problem, count, seed) * sigmas[0]

        def model(x: Tensor, sigma: Tensor) -> Tensor:
            return problem.denoise(x, sigma, labels, self._guidance)

        if process == "ode":
            return k_sampling.sample_dpmpp_2m(model, x, sigmas, disable=True)
        return k_sampling.sample_dpmpp_2m_sde(model, x, sigmas, disable=True, noise_sampler=Noise(x, noise_seed(seed)))


def count_of(problem: Problem, size: Size) -> int:
    """Images of one seed."""
    return size.images or problem.images


def labels_of(problem: Problem, images: int) -> Tensor:
    """The classes in turn."""
    return torch.arange(images) % problem.classes


def start(problem: Problem, images: int, seed: int) -> Tensor:
    """White noise of deviation 1, the same for every sampler."""
    return torch.randn(images, *problem.shape, generator=torch.Generator().manual_seed(seed))


def noise_seed(seed: int) -> int:
    """The seed of a run's noise beside its start's: the same for both would draw the start again as the first noise."""
    return seed + 1_000_000


def measure(
    problem: Problem, converged: Converged, case: Case, samplers: Iterable[Sampler], size: Size
) -> Iterator[Result]:
    """Runs the samplers in a case of the problem and of the guidance of `converged`."""
    count = count_of(problem, size)
    model = _Counted(problem, labels_of(problem, count), case.guidance)
    for sampler in samplers:
        sigmas = SCHEDULES[case.schedule](sampler.steps(case.calls))
        squared: dict[str, list[float]] = {metric: [] for metric in METRICS}
        data: dict[str, list[float]] = {metric: [] for metric in METRICS} if case.guidance == 1 else {}
        stick, floor = converged.yardstick("ode" if sampler.process == "ode" else "sde")
        for seed in range(_SAMPLE_SEED, _SAMPLE_SEED + size.seeds):
            model.calls = 0
            x = start(problem, count, seed) * sigmas[0]
            samples = problem.measured(sampler.run(model, x, sigmas, noise_seed(seed)))
            distance = stick.squared(samples)
            if sampler.process == "between":
                other = converged.yardstick("ode")[0].squared(samples)
                distance = min(distance, other, key=lambda one: one[METRICS[0]])
            for metric in METRICS:
                squared[metric].append(distance[metric])
            if data:
                to_data = converged.yardstick("data")[0].squared(samples)
                for metric in METRICS:
                    data[metric].append(to_data[metric])
        yield Result(case, sampler.name, sampler.source, model.calls, squared, floor, data)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value


class _Counted:
    """A problem as a sampler sees it; counts its calls."""

    def __init__(self, problem: Problem, labels: Tensor, guidance: float) -> None:
        self._problem, self._labels, self._guidance = problem, labels, guidance
        self.calls = 0

    def __call__(self, x: Tensor, sigma: Tensor, **_more: object) -> Tensor:
        self.calls += 1
        return self._problem.denoise(x, sigma, self._labels, self._guidance)
