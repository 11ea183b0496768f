"""The benchmark's tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from .experiment import Result
from .summary import LEAD, LEAD_ODE, PLAIN, PLAIN_ODE, Ratio, Summary, geometric_mean, told

MEAN_AT_8, NEVER_ABOVE, AGAINST_BEST = 0.45, 1.05, 1.15
_FEWER = ((8, 12), (12, 20), (8, 20))


def report(results: Sequence[Result]) -> str:
    """Aims, summaries and every case."""
    summary = Summary(results)
    seeds = len(next(iter(results[0].squared.values())))
    parts = [
        "# Figures\n\nMade by `benches/quality/run.py`; [quality.md](quality.md) tells what was measured and what not. "
        f"{seeds} seeds of each case. Distances to the converged samples, floor taken off; ± is one standard error.",
        "## In short\n\n" + headline(summary),
        "## Aims\n\n" + _aims(summary),
        f"## In units of {PLAIN}: geometric mean over all cases, and the worst\n\n" + summary.table(PLAIN),
        f"## In units of {PLAIN_ODE}\n\n" + summary.table(PLAIN_ODE),
    ]
    if 1 in summary.guidances():
        head = f"## Distance to the data, without guidance, in units of {PLAIN}\n\nThe floor is left in.\n\n"
        parts.append(head + summary.data_table())
    parts.append("## Lead in every case\n\n" + _cases(summary))
    return "\n\n".join(parts) + "\n"


def headline(summary: Summary) -> str:
    """Lead against what it leads: at the same calls, and with fewer against more."""
    guidances, counts = summary.guidances(), summary.counts()
    heads = ["all", *(f"guidance {guidance:g}" for guidance in guidances)]
    lines = [f"| distance | {' | '.join(heads)} |", "|-|" + "-|" * len(heads)]
    for name, plain in ((LEAD, PLAIN), (LEAD_ODE, PLAIN_ODE)):
        for calls in counts:
            means = [summary.mean(name, plain, calls, guidance) for guidance in (None, *guidances)]
            lines.append(_row(f"{name} at {calls} calls, in units of {plain} at {calls}", means))
        for few, many in (pair for pair in _FEWER if {*pair} <= {*counts}):
            means = [summary.across(name, few, plain, many, guidance) for guidance in (None, *guidances)]
            lines.append(_row(f"{name} at **{few}** calls, in units of {plain} at **{many}**", means))
    return "\n".join(lines)


def _row(name: str, values: Sequence[float]) -> str:
    return f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |"


def _aims(summary: Summary) -> str:
    lines = []
    for name, plain in ((LEAD, PLAIN), (LEAD_ODE, PLAIN_ODE)):
        ratios = summary.ratios(name, plain)
        above = [r for r in ratios if r.above]
        best = summary.to_best(name)
        mean = geometric_mean(r.value for r, _ in best)
        if 8 in summary.counts():
            at_8 = summary.mean(name, plain, 8)
            lines.append(f"- {name} in units of {plain} at 8 calls: geometric mean {at_8:.3f} (aim {MEAN_AT_8})")
        lines += [
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
