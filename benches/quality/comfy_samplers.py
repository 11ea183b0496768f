"""ComfyUI's own samplers, from a checkout that the environment variable COMFYUI_PATH names.

Its file `comfy/k_diffusion/sampling.py` asks the rest of ComfyUI only whether the model is a flow model and which level
belongs to a share of the schedule; two stand-in modules answer that.
"""

from __future__ import annotations

import importlib
import os
import sys
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from .samplers import Model, Noise, Sampler
from .schedules import TRAINED

_IN_DIFFUSERS_TOO = ("sa_solver", "ipndm", "deis")


class _Levels:
    """The part of ComfyUI's `ModelSamplingDiscrete` that the samplers call."""

    def percent_to_sigma(self, percent: float) -> float:
        """The level at a share of the schedule, counted from its noisy end."""
        return float(TRAINED[round((1 - percent) * (len(TRAINED) - 1))])


class _Host:
    """A model as ComfyUI's samplers expect it."""

    def __init__(self, model: Model) -> None:
        levels = _Levels()
        self._model = model
        self.inner_model = SimpleNamespace(
            inner_model=SimpleNamespace(model_sampling=levels),
            model_patcher=SimpleNamespace(get_model_object=lambda _name: levels),
        )

    def __call__(self, x: Tensor, sigma: Tensor, **_more: Any) -> Tensor:
        return self._model(x, sigma)


def _load(root: Path) -> ModuleType:
    package = ModuleType("comfy")
    package.__path__ = [str(root / "comfy")]
    sampling = ModuleType("comfy.model_sampling")
    sampling.CONST = type("CONST", (), {})  # flow models; this benchmark has none
    patcher = ModuleType("comfy.model_patcher")
    sys.modules.update({"comfy": package, "comfy.model_sampling": sampling, "comfy.model_patcher": patcher})
    package.model_sampling, package.model_patcher = sampling, patcher
    return importlib.import_module("comfy.k_diffusion.sampling")


def _run(model: Model, x: Tensor, sigmas: Tensor, seed: int, *, function: Any, noisy: bool) -> Tensor:
    options = {"noise_sampler": Noise(x, seed)} if noisy else {}
    with torch.no_grad():
        return function(_Host(model), x, sigmas, disable=True, **options)


def comfyui() -> tuple[Sampler, ...]:
    """ComfyUI's samplers; none where COMFYUI_PATH is not set."""
    root = os.environ.get("COMFYUI_PATH")
    if not root:
        return ()
    module = _load(Path(root))

    def of(name: str, process: str, per_step: int = 1) -> Sampler:
        function = getattr(module, f"sample_{name}")
        own = f"{name}_comfyui" if name in _IN_DIFFUSERS_TOO else name
        return Sampler(own, "ComfyUI", process, partial(_run, function=function, noisy=process != "ode"), per_step)

    return (
        of("res_multistep", "ode"),
        of("res_multistep_ancestral", "sde"),
        of("gradient_estimation", "ode"),
        of("er_sde", "between"),
        of("sa_solver", "between"),
        of("seeds_2", "sde", 2),
        of("ipndm", "ode"),
        of("deis", "ode"),
    )
