"""The list, and how a scheduler is made from the model's own: from what stands for it in `config` alone."""

import copy
import inspect

from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler
from modules import shared
from modules.sd_samplers_common import SamplerData

_LEVELS = {"use_karras_sigmas": False, "use_exponential_sigmas": False, "use_beta_sigmas": False}
config = {
    "All": {
        "num_train_timesteps": 1000,
        "beta_start": 0.0001,
        "beta_end": 0.02,
        "beta_schedule": "linear",
        "prediction_type": "epsilon",
    },
    "Euler": {"steps_offset": 0, "timestep_spacing": "linspace", **_LEVELS},
    "Euler FlowMatch": {"shift": 1, "use_dynamic_shifting": False, "base_shift": 0.5, "max_shift": 1.15, **_LEVELS},
}
scheduler_overrides = {}


class DiffusionSampler:
    def __init__(self, name, constructor, model):
        chosen = {**config["All"], **{key: copy.copy(value) for key, value in config[name].items()}}
        given = model.default_scheduler.config
        chosen |= {key: given[key] for key in config["All"] if key in given}
        if "shift" in chosen:
            chosen["shift"] = shared.opts.schedulers_shift
        if "Flow" in name:
            chosen["prediction_type"] = "flow_prediction"
        known = inspect.signature(constructor, follow_wrapped=True).parameters
        self.sampler = constructor(**{key: value for key, value in chosen.items() if key in known})
        self.name = self.sampler.name = name


samplers_data_diffusers = [
    SamplerData("Default", None, [], {}),
    SamplerData("Euler", lambda model: DiffusionSampler("Euler", EulerDiscreteScheduler, model), [], {}),
    SamplerData(
        "Euler FlowMatch",
        lambda model: DiffusionSampler("Euler FlowMatch", FlowMatchEulerDiscreteScheduler, model),
        [],
        {},
    ),
    SamplerData("Same as primary", None, [], {}),
]
