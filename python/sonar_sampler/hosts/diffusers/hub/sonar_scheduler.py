"""Sonar's schedulers for a model on a hub: put this file into the model's folder `scheduler`.

`model_index.json` then says `"scheduler": ["sonar_scheduler", "SonarScheduler"]` (or `"SonarFlowScheduler"`), and
`DiffusionPipeline.from_pretrained(..., trust_remote_code=True)` loads it where the package sonar-sampler is installed.
"""

from diffusers import SchedulerMixin

from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler

__all__ = ["SchedulerMixin", "SonarFlowScheduler", "SonarScheduler"]
