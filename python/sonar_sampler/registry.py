"""Every option once: name, type, default, label, kind, group, range and help.

The command line, the web UI, infotexts and the reference in the documentation are made from this table; the
values are checked by the Rust core (`src/config.rs`) when a `SonarConfig` is made.
"""

from __future__ import annotations

import difflib
import inspect
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from sonar_sampler import _core
from sonar_sampler.errors import UnknownOptionError, shown
from sonar_sampler.presets import LEAD, PRESETS

if TYPE_CHECKING:
    from sonar_sampler._core import _SamplerName


@dataclass(frozen=True)
class Solver:
    """What hosts want to know of a solver: see `sonar_sampler._core.samplers`."""

    label: str
    help: str
    calls: int
    options: tuple[str, ...]
    noise: str
    leads: bool
    flows: bool


SOLVERS: Mapping[str, Solver] = {name: Solver(**facts) for name, facts in _core.samplers().items()}
"""The solvers, by the names that `SonarConfig.sampler` takes."""

SAMPLERS: Mapping[str, str] = {name: solver.label for name, solver in SOLVERS.items()}
"""The same: name -> label in a user interface."""


GROUPS: Mapping[str, str] = {
    "sampler": "which sampler runs",
    "momentum": "how the history is mixed into the steps",
    "reference": "how a reference image pulls",
    "noise": "how much noise is added; hosts with controls of their own for it do not show it twice",
    "host": "what a host knows by itself, and a user is not asked for",
}
"""The groups of options: name -> what they have in common."""


@dataclass(frozen=True)
class Knob:
    """How an option is shown: the same words in every host.

    Attributes:
        label: its name in a user interface and in infotexts.
        help: one or two sentences that teach what it does.
        kind: what its values are: `choice`, `number`, `whole` (number), `step` (a step or a fraction of the steps),
            `flag`, `seed`; a host adds kinds of its own, such as `text` and `image`.
        group: what it belongs to, see `GROUPS`; a host adds groups of its own.
        low, high, step: the range and grain of its slider; None for an option without one.
        choices: the values of an option that is chosen from a list.
        needs: another option, and the value of it with which alone this one means something; without a value, any but
            0; empty if it always does.
    """

    label: str
    help: str
    kind: str
    group: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] = ()
    needs: tuple[()] | tuple[str] | tuple[str, str] = ()


def option(default: Any, kind: str, group: str, label: str, help: str, **shown: Any) -> Any:  # noqa: A002
    """A field of a dataclass of options, with its row of the table."""
    return field(default=default, metadata={"knob": Knob(label, help, kind, group, **shown)})


@dataclass(frozen=True)
class SonarConfig:
    """All options of a run: frozen, hashable, and checked when it is made (`ConfigError`).

    `momentum`, `momentum_hist`, `ref_factor` and `momentum_sign` also take a sequence with one entry per step.
    """

    sampler: _SamplerName = option(  # noqa: RUF009 - a field, as the others
        "euler_a",
        "choice",
        "sampler",
        "Sampler",
        " ".join(f"{solver.label}: {solver.help}" for solver in SOLVERS.values()),
        choices=tuple(SAMPLERS),
    )
    momentum: float | Sequence[float] = option(
        0.95,
        "number",
        "momentum",
        "Momentum current",
        "How much of each step follows the model's present direction; the rest follows the history. "
        "1 switches momentum off, lower values search further away.",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    momentum_hist: float | Sequence[float] = option(
        0.75,
        "number",
        "momentum",
        "Momentum history",
        "How much of the history survives each step. 0 remembers only the last step; 1 never learns from new steps.",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    momentum_hist_init: Literal["zero", "rand_init", "rand_new"] = option(
        "zero",
        "choice",
        "momentum",
        "Momentum history init",
        "What the history is before the first step. zero: nothing, which weakens the first step by Momentum "
        "current; rand_init: the initial noise, a strong effect by design; rand_new: a fresh draw from the seed.",
        choices=("zero", "rand_init", "rand_new"),
        needs=("momentum_mode", "classic"),
    )
    momentum_sign: Literal["pos", "neg", "rand"] | Sequence[Literal["pos", "neg"]] = option(
        "pos",
        "choice",
        "momentum",
        "Momentum sign",
        "pos adds the history and smooths; neg subtracts it and sharpens, but grows with the number of steps "
        "(use few steps or a high Momentum history); rand tosses a coin per step, from the image's seed.",
        choices=("pos", "neg", "rand"),
        needs=("momentum_mode", "classic"),
    )
    momentum_start: int | float = option(
        0.0,
        "step",
        "momentum",
        "Momentum start",
        "First step with momentum: a step number such as 3, or a fraction such as 25% or 0.25.",
    )
    momentum_stop: int | float = option(
        1.0,
        "step",
        "momentum",
        "Momentum stop",
        "Last step with momentum, inclusive: a step number, or a fraction of the steps.",
    )
    momentum_mode: Literal["classic", "lead"] = option(
        "classic",
        "choice",
        "momentum",
        "Momentum mode",
        "classic: the original's momentum, on the direction of the steps. lead: runs ahead on the denoised image, for "
        "the picture of more steps; of second order where 1 - Momentum current is half of 1 - Momentum history, as "
        "with 0.5 and 0 (the preset Lead) or 0.75 and 0.5.",
        choices=("classic", "lead"),
    )
    lead_guard: float = option(
        0.25,
        "number",
        "momentum",
        "Lead guard",
        "lead: how far it may run ahead in one step, in spreads of the denoised image, and whether it holds back where "
        "the model's answer cannot be trusted; 0 for neither.",
        low=0.0,
        high=1.0,
        step=0.01,
        needs=("momentum_mode", "lead"),
    )
    ref_method: Literal["linear", "euler", "denoised"] = option(
        "linear",
        "choice",
        "reference",
        "Reference method",
        "How a reference image pulls. linear: blends the latent with it after each step; euler: takes a small "
        "step towards it; denoised: blends what the model sees in the noise with it, nearly as strongly at 10 steps "
        "as at 50.",
        choices=("linear", "euler", "denoised"),
    )
    ref_factor: float | Sequence[float] = option(
        0.02,
        "number",
        "reference",
        "Reference factor",
        "How strongly the reference pulls at each step; negative pushes away, 0 is off. About 0.02 for linear and "
        "euler (used as it stands: the original extension divided it by 10), 0.3 for denoised.",
        low=-1.0,
        high=1.0,
        step=0.01,
    )
    ref_start: int | float = option(
        0.0,
        "step",
        "reference",
        "Reference start",
        "First step at which the reference pulls: a step number such as 3, or a fraction such as 25% or 0.25. "
        "denoised: how much of the noise is gone by then, as a fraction.",
    )
    ref_stop: int | float = option(
        0.75,
        "step",
        "reference",
        "Reference stop",
        "Last step at which the reference pulls, inclusive: a step number, or a fraction of the steps. "
        "denoised: how much of the noise is gone by then, as a fraction.",
    )
    ref_fade: float = option(
        0.1,
        "number",
        "reference",
        "Reference fade",
        "denoised: how gently the pull comes before Reference start and goes after Reference stop, as a fraction.",
        low=0.0,
        high=1.0,
        step=0.01,
        needs=("ref_method", "denoised"),
    )
    ref_match: Literal["channel", "none"] = option(
        "channel",
        "choice",
        "reference",
        "Reference match",
        "denoised: what of the reference is first made like the picture. channel: colours and contrast, so that only "
        "its composition counts; none: nothing, so that its colours count, too.",
        choices=("channel", "none"),
        needs=("ref_method", "denoised"),
    )
    ref_detail: float = option(
        1.0,
        "number",
        "reference",
        "Reference detail",
        "denoised: how fine the details are that the reference has a say in. 1: all; 0.1: composition and light, and "
        "the prompt has the rest to itself.",
        low=0.01,
        high=1.0,
        step=0.01,
        needs=("ref_method", "denoised"),
    )
    eta: float = option(
        1.0,
        "number",
        "noise",
        "Eta",
        "Euler a and the SDE solvers: how much of each step is replaced by fresh noise; 0 makes Euler a Euler.",
        low=0.0,
        high=1.0,
        step=0.01,
    )
    s_churn: float = option(
        0.0,
        "number",
        "noise",
        "Sigma churn",
        "Euler and Heun: how much noise is added before each step.",
        low=0.0,
        high=100.0,
        step=0.1,
    )
    s_tmin: float = option(
        0.0,
        "number",
        "noise",
        "Sigma tmin",
        "Euler and Heun: lowest sigma at which churn acts.",
        low=0.0,
        high=10.0,
        step=0.01,
    )
    s_tmax: float = option(
        math.inf, "number", "noise", "Sigma tmax", "Euler and Heun: highest sigma at which churn acts."
    )
    s_noise: float = option(
        1.0,
        "number",
        "noise",
        "Sigma noise",
        "Factor on the noise that is added.",
        low=0.0,
        high=1.1,
        step=0.001,
    )
    flow: bool = option(
        False,
        "flag",
        "host",
        "Flow matching",
        "For models such as SD3 and Flux, whose sigmas are in [0, 1]; hosts set it from the model.",
    )
    exact_last_step: bool = option(
        False,
        "flag",
        "host",
        "Exact last step",
        "The step to sigma 0 takes the denoised image as it is; hosts set it where a mask is blended in.",
    )
    seed: int | Sequence[int] | None = option(
        None,
        "seed",
        "host",
        "Seed",
        "Image k of a batch uses seed + k; a sequence has one seed per image. None leaves the noise to the host.",
    )

    def __new__(cls, *_values: Any, **options: Any) -> SonarConfig:
        """Refuses a misspelt option with a hint, where a dataclass would raise a bare TypeError."""
        for name, value in options.items():
            if name not in knobs():
                raise unknown_option(name, value, list(knobs()))
        return super().__new__(cls)

    @classmethod
    def lead(cls, **options: Any) -> SonarConfig:
        """The options of the preset Lead; `options` are further ones, or others in their place."""
        return cls(**{**PRESETS[LEAD].options, **options})

    def __post_init__(self) -> None:
        for name, value in _core.normalize_config(self).items():
            object.__setattr__(self, name, value)


def knobs(table: Any = SonarConfig) -> Mapping[str, Knob]:
    """A table of options, made of fields by `option`: option name -> how it is shown, in order."""
    return {one.name: one.metadata["knob"] for one in fields(table) if "knob" in one.metadata}


def default(name: str, table: Any = SonarConfig) -> Any:
    """The default value of an option."""
    return next(one.default for one in fields(table) if one.name == name)


def is_used(knob: Knob, chosen: Mapping[str, Any]) -> bool:
    """Whether an option means something beside these others; what is not among them is no hindrance."""
    if len(knob.needs) == 1:
        return bool(chosen.get(knob.needs[0], True))
    return not knob.needs or chosen.get(knob.needs[0], knob.needs[1]) == knob.needs[1]


def unused(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The options that mean nothing beside these, with their defaults."""
    return {name: default(name) for name, knob in knobs().items() if not is_used(knob, chosen)}


def suggest(name: str, known: Sequence[str]) -> str:
    """A hint for a misspelt name: the nearest known one, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


_OF_GRADIENTS = (
    "is an option of sonar_sampler.gradients.Gradients, which the torch functions take as gradients=; a numpy model "
    "has no gradient"
)


def unknown_option(name: str, value: object, known: Sequence[str]) -> UnknownOptionError:
    """The error for an option that there is not, with a hint."""
    hint = _OF_GRADIENTS if name.startswith("grad_") else f"no such option; {suggest(name, known)}"
    return UnknownOptionError(f"{name} = {shown(value)}: {hint}")


def _documentation() -> str:
    """The class's documentation, with every option of the table."""
    lines = [inspect.cleandoc(SonarConfig.__doc__ or ""), "", "Options:"]
    for name, knob in knobs().items():
        allowed = f" One of {', '.join(knob.choices)}." if knob.choices else ""
        text = f"{name} (default {default(name)!r}): {knob.help}{allowed}"
        lines += textwrap.wrap(text, 110, initial_indent="    ", subsequent_indent="        ")
    return "\n".join(lines)


SonarConfig.__doc__ = _documentation()
