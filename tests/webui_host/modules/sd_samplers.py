"""The table of samplers; extensions append to `all_samplers` in place."""

import functools

from modules.sd_samplers_kdiffusion import samplers_data_k_diffusion, schedulers

all_samplers = [*samplers_data_k_diffusion]
all_samplers_map = {x.name: x for x in all_samplers}
samplers_map = {}


def create_sampler(name, model):
    config = all_samplers_map.get(name)
    assert config is not None, f"bad sampler name: {name}"
    sampler = config.constructor(model)
    sampler.config = config
    return sampler


def set_samplers():
    samplers_map.clear()
    for sampler in all_samplers:
        samplers_map.update({name.lower(): sampler.name for name in (sampler.name, *sampler.aliases)})


@functools.cache
def get_sampler_and_scheduler(sampler_name, scheduler_name):
    """A name may end with a scheduler's; what is not known becomes the first sampler. Cached: an early answer stays."""
    scheduler, name = scheduler_name or "Automatic", sampler_name or all_samplers[0].name
    for label, _ in schedulers.values():
        if name.endswith(f" {label}"):
            scheduler, name = label, name[: -len(label) - 1]
    return all_samplers_map.get(name, all_samplers[0]).name, scheduler


set_samplers()
