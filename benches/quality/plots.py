"""Distance against model calls, one panel a problem."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

from .distances import METRICS
from .experiment import Result
from .summary import LEAD, PLAIN, distance, distance_error

matplotlib.use("Agg")
from matplotlib import pyplot

SHOWN = (LEAD, PLAIN, "dpmpp_2m_sde", "dpmpp_sde", "unipc", "dpmpp_2m")
_HIGHEST = 3.0  # a distance above is drawn at the edge


def plot(results: Sequence[Result], guidance: float, file: Path) -> None:
    """The sliced distance of a guidance: a row for each schedule, a column for each problem."""
    lines: dict[tuple[str, str, str], list[tuple[int, float, float]]] = defaultdict(list)
    metric = METRICS[0]
    for r in results:
        if r.case.guidance == guidance and r.sampler in SHOWN:
            point = (
                r.calls,
                distance(r.squared[metric], r.floor[metric]),
                distance_error(r.squared[metric], r.floor[metric]),
            )
            lines[r.case.schedule, r.case.problem, r.sampler].append(point)
    schedules = list(dict.fromkeys(schedule for schedule, _, _ in lines))
    problems = list(dict.fromkeys(problem for _, problem, _ in lines))
    figure, axes = pyplot.subplots(
        len(schedules),
        len(problems),
        figsize=(3.2 * len(problems), 3 * len(schedules)),
        squeeze=False,
        layout="constrained",
    )
    for (schedule, problem, sampler), points in lines.items():
        panel = axes[schedules.index(schedule)][problems.index(problem)]
        calls, values, errors = np.array(sorted(points)).T
        style = {"linewidth": 2.4, "color": "black"} if sampler == LEAD else {"linewidth": 1.2}
        panel.errorbar(calls, np.minimum(values, _HIGHEST), errors, marker="o", markersize=3, label=sampler, **style)
        panel.set(title=f"{problem}, {schedule}", xscale="log", yscale="log", xlabel="model calls")
        panel.set_xticks(sorted(set(calls)), [f"{int(call)}" for call in sorted(set(calls))])
        panel.minorticks_off()
    for row in axes:
        row[0].set_ylabel("sliced Wasserstein distance")
    axes[0][0].legend(fontsize=7)
    figure.suptitle(f"Distance to the converged samples, guidance {guidance:g}, floor taken off; standard errors")
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
