"""The samplers that hosts list: every solver, and solvers with the options of a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from sonar_sampler.presets import LEAD, PRESETS
from sonar_sampler.registry import SOLVERS, Solver, default, knobs


@dataclass(frozen=True)
class Listed:
    """A sampler in a host's list.

    Attributes:
        label: its name there, after "Sonar".
        solver: the solver that it runs, by the core's name.
        preset: the preset whose options it has, unless the job's own momentum is of the same mode; "" for none.
        help: what it does.
    """

    label: str
    solver: str
    preset: str
    help: str

    @property
    def facts(self) -> Solver:
        """Of its solver."""
        return SOLVERS[self.solver]

    def missing(self, mode: str) -> Mapping[str, Any]:
        """The options that it adds to a job whose `momentum_mode` is `mode`."""
        options = PRESETS[self.preset].options if self.preset else {}
        if options.get("momentum_mode", mode) == mode:
            return {}
        # All of momentum, as the preset itself: what was set for the other mode means nothing here.
        return {**_momentum(), **options}


@cache
def _momentum() -> Mapping[str, Any]:
    """The options of the group "momentum" with their defaults."""
    return {name: default(name) for name, knob in knobs().items() if knob.group == "momentum"}


LISTED: Mapping[str, Listed] = {
    **{name: Listed(solver.label, name, "", solver.help) for name, solver in SOLVERS.items()},
    "lead": Listed("Lead", "euler_a", LEAD, "Euler a, each step led by how the answer changed; for 5 to 20 steps."),
    "lead_ode": Listed("Lead ODE", "euler", LEAD, "Euler, led in the same way: no fresh noise; for 5 to 20 steps."),
}
"""Name in functions and requests -> the sampler, in the order in which hosts show them."""
