"""One problem at one guidance, in a process of its own; what it measured is kept and not measured again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from .ablation import ABLATION
from .comfy_samplers import comfyui
from .diffusers_samplers import DIFFUSERS
from .experiment import Case, Converged, Result, Size, measure
from .k_samplers import EULER, EULER_A, K_DIFFUSION
from .package_samplers import LEAD, LEAD_ODE
from .problems import problem
from .samplers import Sampler

_ALWAYS = (LEAD, EULER_A, LEAD_ODE, EULER)
# Files that do not change what is measured.
_AFTERWARDS = {"run.py", "report.py", "figures.py", "summary.py", "plots.py", "strip.py", "train.py"}


@dataclass(frozen=True)
class Part:
    """What is to be measured."""

    problem: str
    guidance: float
    schedules: tuple[str, ...]
    calls: tuple[int, ...]
    samplers: tuple[str, ...]
    size: Size
    folder: Path


def every_sampler() -> dict[str, Sampler]:
    """All of them by name."""
    return {one.name: one for one in (LEAD, LEAD_ODE, *K_DIFFUSION, *DIFFUSERS, *comfyui(), *ABLATION)}


def measured(part: Part) -> list[Result]:
    """The results of a part, those that are kept included."""
    torch.set_num_threads(1)
    task = problem(part.problem)
    known = every_sampler()
    wanted = dict.fromkeys([*_ALWAYS, *(known[name] for name in part.samplers)])
    file = part.folder / f"{part.problem}_{part.guidance:g}_{_fingerprint(part, task.fingerprint)}.json"
    kept = [Result.from_json(row) for row in json.loads(file.read_text())] if file.exists() else []
    there = {(result.case, result.sampler) for result in kept}
    converged = Converged(task, part.guidance, part.size, part.folder)
    for schedule in part.schedules:
        for calls in part.calls:
            case = Case(part.problem, part.guidance, schedule, calls)
            missing = [sampler for sampler in wanted if (case, sampler.name) not in there]
            kept += measure(task, converged, case, missing, part.size)
        file.write_text(json.dumps([result.to_json() for result in kept]))
    names = {sampler.name for sampler in wanted}
    return [r for r in kept if r.sampler in names and r.case.schedule in part.schedules and r.case.calls in part.calls]


def _fingerprint(part: Part, answers: str) -> str:
    """Of everything that the results depend on."""
    sources = sorted(file for file in Path(__file__).parent.glob("*.py") if file.name not in _AFTERWARDS)
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in sources))
    digest.update(json.dumps([asdict(part.size), answers]).encode())
    return digest.hexdigest()[:16]
