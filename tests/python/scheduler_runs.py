"""What tests of the schedulers for diffusers need: noise, some network, and a pipeline's loop."""

import pytest
import torch

from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SHAPE = (2, 4, 8, 8)
BOTH = pytest.mark.parametrize("kind", [SonarScheduler, SonarFlowScheduler])


def made(kind, **options):
    return kind(**({} if kind is SonarFlowScheduler else SD), **options)


def noise(shape=SHAPE, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def answer(x, timestep):
    """What some network says."""
    return torch.sin(3 * x + timestep / 300).to(x.dtype)


def walk(scheduler, x, steps=6, generator=None, given=True, first=0):
    """A pipeline's loop; `given` says whether it gives its generator to the scheduler."""
    scheduler.set_timesteps(steps)
    scheduler.set_begin_index(first)
    for timestep in scheduler.timesteps[first:]:
        seen = scheduler.scale_model_input(x, timestep) if hasattr(scheduler, "scale_model_input") else x
        more = {"generator": generator} if given else {}
        x = scheduler.step(answer(seen, timestep), timestep, x, **more, return_dict=False)[0]
    return x


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)
