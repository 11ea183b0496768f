"""The benchmark's tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from .experiment import Result
from .summary import LEAD, LEAD_ODE, PLAIN, PLAIN_ODE, Ratio, Summary, distance, distance_error, geometric_mean, told

MEAN_AT_8, NEVER_ABOVE, AGAINST_BEST = 0.45, 1.05, 1.15


def report(results: Sequence[Result], seeds: int) -> str:
    """Aims, summaries and every case."""
    summary = Summary(results)
    parts = [
        f"{seeds} seeds of each case. Distances to the converged samples, floor taken off.",
        "## Aims\n\n" + _aims(summary),
        f"## In units of {PLAIN}: geometric mean over all cases, and the worst\n\n" + summary.table(PLAIN),
        f"## In units of {PLAIN_ODE}\n\n" + summary.table(PLAIN_ODE),
        "## Lead in every case\n\n" + _cases(summary),
        "## Distances\n\n" + _distances(results),
    ]
    return "\n\n".join(parts) + "\n"


def _aims(summary: Summary) -> str:
    lines = []
    for name, plain in ((LEAD, PLAIN), (LEAD_ODE, PLAIN_ODE)):
        ratios = summary.ratios(name, plain)
        at_8 = [r.value for r in ratios if r.case.calls == 8]
        above = [r for r in ratios if r.above]
        best = summary.to_best(name)
        mean = geometric_mean(r.value for r, _ in best)
        lines += [
            f"- {name} in units of {plain} at 8 calls: geometric mean {geometric_mean(at_8):.3f} (aim {MEAN_AT_8})",
            f"- {name}: {len(above)} of {len(ratios)} above {NEVER_ABOVE} by over two standard errors{_listed(above)}",
            f"- {name} in units of the best other of each case: geometric mean {mean:.3f} (aim {AGAINST_BEST})",
        ]
    return "\n".join(lines)


def _listed(ratios: Sequence[Ratio]) -> str:
    worst = sorted(ratios, key=lambda r: -r.value)
    return "".join(f"\n  - {r.value:.2f} ± {r.error:.2f}: {told(r)}" for r in worst)


def _cases(summary: Summary) -> str:
    lines = [f"| case | in units of {PLAIN} | in units of the best | which |", "|-|-|-|-|"]
    best = {(r.case, r.metric): (r, name) for r, name in summary.to_best(LEAD)}
    for found in summary.ratios(LEAD, PLAIN):
        against, name = best[found.case, found.metric]
        cells = [f"{one.value:.2f} ± {one.error:.2f}" for one in (found, against)]
        lines.append(f"| {told(found)} | {' | '.join(cells)} | {name} |")
    return "\n".join(lines)


def _distances(results: Sequence[Result]) -> str:
    lines = ["| case | sampler | calls | sliced | Fréchet | to the data: sliced | Fréchet |", "|-|-|-|-|-|-|-|"]
    for r in results:
        case = f"{r.case.problem}, {r.case.guidance:g}, {r.case.schedule}, {r.case.calls}"
        cells = [_measured(r.squared[metric], r.floor[metric]) for metric in r.squared]
        cells += [_measured(values, 0.0) for values in r.data.values()] or ["", ""]
        lines.append(f"| {case} | {r.sampler} | {r.calls} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _measured(squared: Sequence[float], floor: float) -> str:
    return f"{distance(squared, floor):.3f} ± {distance_error(squared, floor):.3f}"
