"""The schedulers in the host's list of samplers, each with the options of its row."""

from __future__ import annotations

from typing import Any

from diffusers import SchedulerMixin  # noqa: F401 - a saved pipeline looks for it in the module of its scheduler
from modules import sd_samplers, sd_samplers_common, sd_samplers_diffusers

from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler
from sonar_sampler.listed import LISTED, Listed

_PREFIX = "Sonar "
_FLOW = " FlowMatch"
# The samplers of the host whose options of the schedule ours have, too.
_LIKE = {SonarScheduler: "Euler", SonarFlowScheduler: f"Euler{_FLOW}"}


class SonarFlowMatchScheduler(SonarFlowScheduler):
    """The same: the host tells schedulers for flow-matching models by the name of their class."""


def register() -> None:
    """Adds the samplers that call the model once a step, in place of those that an earlier load left there."""
    listed = sd_samplers_diffusers.samplers_data_diffusers
    listed[:] = [data for data in listed if not data.name.startswith(_PREFIX)]
    for sampler in LISTED.values():
        if sampler.facts.calls == 1:
            listed.append(_entry(sampler, SonarScheduler))
            if sampler.facts.flows:
                listed.append(_entry(sampler, SonarFlowScheduler))
    sd_samplers.list_samplers()
    sd_samplers.set_samplers()


def _entry(sampler: Listed, scheduler: type[Any]) -> Any:
    name, config = _PREFIX + sampler.label, sd_samplers_diffusers.config
    like, made = _LIKE[scheduler], scheduler
    if scheduler is SonarFlowScheduler:
        name, made = name + _FLOW, SonarFlowMatchScheduler
    # The host hands a scheduler only what stands here.
    config[name] = {**config.get(like, {}), "sampler": sampler.solver, **sampler.missing("")}

    def construct(model: Any) -> Any:
        return sd_samplers_diffusers.DiffusionSampler(name, made, model)

    return sd_samplers_common.SamplerData(name, construct, [], {})
