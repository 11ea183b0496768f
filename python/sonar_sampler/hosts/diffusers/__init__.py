"""Sonar as schedulers for diffusers' pipelines.

`SonarScheduler` is for models in units of sigma (SD1, SDXL), `SonarFlowScheduler` for flow matching (SD3, Flux, Wan,
LTX, Qwen): `pipe.scheduler = SonarScheduler.from_config(pipe.scheduler.config, momentum=0.85)`. A reference image
comes from `encode_reference`.
"""

# A saved pipeline names this module, and diffusers loads from it what is a `SchedulerMixin` by the name of that class.
from diffusers import SchedulerMixin

from sonar_sampler.hosts.diffusers.flow_scheduler import SonarFlowScheduler
from sonar_sampler.hosts.diffusers.reference import encode_reference
from sonar_sampler.hosts.diffusers.scheduler import SonarScheduler

for _class in (SonarScheduler, SonarFlowScheduler):
    _class.__module__ = __name__

__all__ = ["SchedulerMixin", "SonarFlowScheduler", "SonarScheduler", "encode_reference"]
