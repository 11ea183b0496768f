"""Distance against model calls, one panel a problem."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from .distances import METRICS
from .experiment import Result
from .summary import LEAD, LEAD_ODE, PLAIN, PLAIN_ODE, distance, distance_error

matplotlib.use("Agg")
from matplotlib import pyplot

SHOWN = (LEAD, LEAD_ODE, PLAIN, PLAIN_ODE, "dpmpp_2m_sde", "dpmpp_sde", "dpmpp_2m", "unipc")
_OURS = {LEAD: "-", LEAD_ODE: "--"}
_ACROSS = 4
_HIGHEST = 3.0  # a distance above is drawn at the edge


def plot(results: Sequence[Result], guidance: float, schedule: str, file: Path) -> None:
    """The sliced distances of a guidance and schedule; the legend has the last place."""
    lines: dict[str, dict[str, list[tuple[int, float, float]]]] = defaultdict(lambda: defaultdict(list))
    metric = METRICS[0]
    for r in results:
        if (r.case.guidance, r.case.schedule) == (guidance, schedule) and r.sampler in SHOWN:
            squared, floor = r.squared[metric], r.floor[metric]
            point = r.case.calls, distance(squared, floor), distance_error(squared, floor)
            lines[r.case.problem][r.sampler].append(point)
    rows = -(-(len(lines) + 1) // _ACROSS)
    figure, axes = pyplot.subplots(rows, _ACROSS, figsize=(12, 2.9 * rows), squeeze=False, layout="constrained")
    panels = list(axes.flat)
    for panel, (problem, samplers) in zip(panels, lines.items(), strict=False):
        for sampler, points in samplers.items():
            calls, values, errors = np.array(sorted(points)).T
            style: dict[str, Any] = {"linewidth": 1.2}
            if sampler in _OURS:
                style = {"linewidth": 2.4, "color": "black", "linestyle": _OURS[sampler], "zorder": 3}
            shown = np.minimum(values, _HIGHEST)
            panel.errorbar(calls, shown, errors, marker="o", markersize=3, label=sampler, **style)
        panel.set(title=problem, xscale="log", yscale="log", xlabel="model calls")
        panel.set_xticks(sorted(set(calls)), [f"{int(call)}" for call in sorted(set(calls))])
        panel.minorticks_off()
    for row in axes:
        row[0].set_ylabel("sliced Wasserstein distance")
    for panel in panels[len(lines) :]:
        panel.axis("off")
    panels[-1].legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False)
    figure.suptitle(
        f"Distance to the converged samples, floor taken off: guidance {guidance:g}, schedule “{schedule}”, "
        "bars are standard errors"
    )
    figure.savefig(file, dpi=100)
    pyplot.close(figure)
