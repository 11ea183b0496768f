"""What the page and a job ask for."""

import copy

all_samplers, all_samplers_map, samplers_map = [], {}, {}


def list_samplers():
    global all_samplers, all_samplers_map
    from modules import sd_samplers_diffusers

    all_samplers = [*sd_samplers_diffusers.samplers_data_diffusers]
    all_samplers_map = {row.name: row for row in all_samplers}
    return all_samplers


def set_samplers():
    samplers_map.clear()
    samplers_map.update({row.name.lower(): row.name for row in all_samplers})


def create_sampler(name, model):
    if getattr(model, "default_scheduler", None) is None:
        model.default_scheduler = copy.deepcopy(model.scheduler)
    if "FlowMatch" in type(model.default_scheduler).__name__ and "Flow" not in name:
        name = f"{name} FlowMatch"
    model.scheduler = all_samplers_map[name].constructor(model).sampler
    return model.scheduler
