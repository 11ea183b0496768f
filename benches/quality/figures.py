"""The measured figures as a table in a file: a row for each case, sampler, seed-by-seed squared distances in it."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from .distances import METRICS
from .experiment import Case, Result

_FIXED = ("problem", "guidance", "schedule", "calls", "sampler", "source", "made")
_LISTS = [*METRICS, *(f"data_{metric}" for metric in METRICS)]


def write(results: Iterable[Result], file: Path) -> None:
    """Writes them as CSV: squared distances of all seeds with spaces between, four digits each."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow([*_FIXED, *_LISTS, *(f"floor_{metric}" for metric in METRICS)])
        for r in results:
            case = r.case
            fixed = [case.problem, f"{case.guidance:g}", case.schedule, case.calls, r.sampler, r.source, r.calls]
            lists = [*(r.squared[metric] for metric in METRICS), *(r.data.get(metric, []) for metric in METRICS)]
            floors = [f"{r.floor[metric]:.4g}" for metric in METRICS]
            rows.writerow([*fixed, *(" ".join(f"{value:.4g}" for value in values) for values in lists), *floors])


def read(file: Path) -> list[Result]:
    """The inverse of `write`."""
    with file.open(newline="", encoding="utf-8") as stream:
        return [_result(row) for row in csv.DictReader(stream)]


def _result(row: dict[str, str]) -> Result:
    def numbers(name: str) -> list[float]:
        return [float(value) for value in row[name].split()]

    return Result(
        Case(row["problem"], float(row["guidance"]), row["schedule"], int(row["calls"])),
        row["sampler"],
        row["source"],
        int(row["made"]),
        {metric: numbers(metric) for metric in METRICS},
        {metric: float(row[f"floor_{metric}"]) for metric in METRICS},
        {metric: values for metric in METRICS if (values := numbers(f"data_{metric}"))},
    )
