"""Ratios of distances with the floor taken off, their standard errors, and the tables made of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from .distances import METRICS
from .experiment import Case, Result

# Of a squared floor: what is added to the squared distance above it, since less is not told from nothing.
RESOLUTION = 0.05
PLAIN, LEAD, PLAIN_ODE, LEAD_ODE = "euler_ancestral", "lead", "euler", "lead_ode"


@dataclass(frozen=True)
class Ratio:
    """One sampler's distance in units of another's, floors taken off."""

    case: Case
    metric: str
    value: float
    error: float  # standard error, by leaving out one seed at a time

    @property
    def above(self) -> bool:
        """Above 1.05 by more than two standard errors."""
        return self.value - 2 * self.error > 1.05


def distance(squared: Sequence[float], floor: float) -> float:
    """Of the mean of the squared distances, the floor's square taken off."""
    mean = sum(squared) / len(squared)
    return math.sqrt(max(mean - floor, 0.0) + RESOLUTION * floor)


def distance_error(squared: Sequence[float], floor: float) -> float:
    """Standard error of `distance`, by leaving out one seed at a time."""
    return _jackknife([distance(_without(squared, seed), floor) for seed in range(len(squared))])


def ratio(result: Result, plain: Result, metric: str) -> Ratio:
    """`result` against `plain`, whose seeds are the same."""

    def of(ours: Sequence[float], theirs: Sequence[float]) -> float:
        return distance(ours, result.floor[metric]) / distance(theirs, plain.floor[metric])

    ours, theirs = result.squared[metric], plain.squared[metric]
    value = of(ours, theirs)
    if not math.isfinite(value):
        return Ratio(result.case, metric, value, 0.0)
    left = [of(_without(ours, seed), _without(theirs, seed)) for seed in range(len(ours))]
    return Ratio(result.case, metric, value, _jackknife(left))


def _without(values: Sequence[float], index: int) -> list[float]:
    return [*values[:index], *values[index + 1 :]]


def _jackknife(left: Sequence[float]) -> float:
    if len(left) < 2:
        return math.nan
    mean = sum(left) / len(left)
    return math.sqrt((len(left) - 1) / len(left) * sum((value - mean) ** 2 for value in left))


def geometric_mean(values: Iterable[float]) -> float:
    """Of positive numbers."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


class Summary:
    """The results of a run of the benchmark."""

    def __init__(self, results: Iterable[Result]) -> None:
        self._by_case: dict[Case, dict[str, Result]] = defaultdict(dict)
        for result in results:
            self._by_case[result.case][result.sampler] = result

    def ratios(self, sampler: str, to: str) -> list[Ratio]:
        """Of every case and metric that has both."""
        return [
            ratio(of[sampler], of[to], metric)
            for of in self._by_case.values()
            if sampler in of and to in of
            for metric in METRICS
        ]

    def to_best(self, sampler: str, among: Collection[str] | None = None) -> list[tuple[Ratio, str]]:
        """`sampler` against the best of the others, or of those named, in each case and metric, and which that was."""
        found = []
        for of in self._by_case.values():
            for metric in METRICS:
                others = [
                    result
                    for name, result in of.items()
                    if result.source not in ("sonar", "ablation") and (among is None or name in among)
                ]
                best = min(others, key=lambda r: distance(r.squared[metric], r.floor[metric]))
                found.append((ratio(of[sampler], best, metric), best.sampler))
        return found

    def samplers(self) -> dict[str, str]:
        """Names and sources, in the order of the runs."""
        return {name: result.source for of in self._by_case.values() for name, result in of.items()}

    def mean(self, sampler: str, to: str, calls: int, guidance: float | None = None) -> float:
        """The geometric mean of the ratios at a count of calls, over all cases and metrics, or those of a guidance."""
        return self.across(sampler, calls, to, calls, guidance)

    def across(self, sampler: str, calls: int, to: str, to_calls: int, guidance: float | None = None) -> float:
        """The same with other calls of the sampler that is compared with."""
        values = []
        for case, of in self._by_case.items():
            other = self._by_case.get(replace(case, calls=to_calls), {})
            if case.calls == calls and guidance in (None, case.guidance) and sampler in of and to in other:
                pair = of[sampler], other[to]
                for metric in METRICS:
                    ours, theirs = (distance(one.squared[metric], one.floor[metric]) for one in pair)
                    values.append(ours / theirs)
        return geometric_mean(values)

    def to_data(self, sampler: str, plain: str, calls: int) -> float:
        """Distance to the data without guidance, floor left in, in units of another sampler's: geometric mean."""
        ratios = []
        for case, of in self._by_case.items():
            if case.calls == calls and sampler in of and plain in of and of[sampler].data:
                for metric in METRICS:
                    ours, theirs = (sum(of[name].data[metric]) for name in (sampler, plain))
                    ratios.append(math.sqrt(ours / theirs))
        return geometric_mean(ratios)

    def counts(self) -> list[int]:
        """The counts of calls that were measured."""
        return sorted({case.calls for case in self._by_case})

    def guidances(self) -> list[float]:
        """Those that were measured."""
        return sorted({case.guidance for case in self._by_case})

    def table(self, plain: str = PLAIN) -> str:
        """Each sampler against `plain`: geometric mean over all cases at each count of calls, and the worst case.

        In the last column it is held against the best sampler that is not ours, of each case.
        """
        counts = self.counts()
        lines = [
            f"| sampler | {' | '.join(f'{count} calls' for count in counts)} | worst | to the best of each case |",
            "|-|" + "-|" * (len(counts) + 2),
        ]
        for name, source in self.samplers().items():
            ratios = self.ratios(name, plain)
            worst = max(ratios, key=lambda r: r.value)
            cells = [f"{self.mean(name, plain, count):.2f}" for count in counts]
            best = geometric_mean(found.value for found, _ in self.to_best(name))
            extreme = f"{worst.value:.2f} ± {worst.error:.2f}, {told(worst)}"
            lines.append(f"| {name} ({source}) | {' | '.join(cells)} | {extreme} | {best:.2f} |")
        return "\n".join(lines)

    def data_table(self, plain: str = PLAIN) -> str:
        """Each sampler's distance to the data against `plain`, at each count of calls."""
        counts = self.counts()
        lines = [f"| sampler | {' | '.join(f'{count} calls' for count in counts)} |", "|-|" + "-|" * len(counts)]
        for name, source in self.samplers().items():
            cells = [f"{self.to_data(name, plain, count):.2f}" for count in counts]
            lines.append(f"| {name} ({source}) | {' | '.join(cells)} |")
        return "\n".join(lines)


def told(found: Ratio) -> str:
    """The case of a ratio in words."""
    case = found.case
    return f"{case.problem}, guidance {case.guidance:g}, {case.schedule}, {case.calls} calls, {found.metric}"
