import dataclasses
from typing import Any

import k_diffusion.sampling


@dataclasses.dataclass
class Scheduler:
    name: str
    label: str
    function: Any
    need_inner_model: bool = False
    aliases: list = None


schedulers = [
    Scheduler("automatic", "Automatic", None),
    Scheduler(
        "uniform", "Uniform", lambda n, sigma_min, sigma_max, inner_model, device: inner_model.get_sigmas(n), True
    ),
    Scheduler("karras", "Karras", k_diffusion.sampling.get_sigmas_karras),
    Scheduler("exponential", "Exponential", k_diffusion.sampling.get_sigmas_exponential),
]
schedulers_map = {**{x.name: x for x in schedulers}, **{x.label: x for x in schedulers}}
