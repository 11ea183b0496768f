"""The schedulers' configs: of diffusers' own schedulers and back, saved, with their noise levels."""

import diffusers
import numpy as np
import pytest
import torch
from diffusers.schedulers import KarrasDiffusionSchedulers

from scheduler_runs import BOTH, made, noise, seeded, walk
from sonar_sampler import ConfigError
from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler


def test_a_sampler_with_two_calls_a_step_is_refused_with_those_that_fit():
    with pytest.raises(ConfigError, match=r"heun.*calls the model twice.*euler_a, euler, naive, dpmpp_2m"):
        made(SonarScheduler, sampler="heun")


@BOTH
def test_a_scheduler_is_the_same_after_it_was_saved(kind, tmp_path):
    options = {"momentum": (0.5, 0.6, 0.7, 0.8, 0.9, 1.0), "momentum_stop": 4, "seed": (7, 8), "eta": 0.5}
    scheduler = made(kind, **options)
    scheduler.save_pretrained(tmp_path)
    loaded = kind.from_pretrained(tmp_path)
    assert torch.equal(walk(loaded, noise()), walk(scheduler, noise()))
    changed = kind.from_pretrained(tmp_path, momentum=1.0)
    assert not torch.equal(walk(changed, noise()), walk(scheduler, noise()))
    assert kind.from_config(loaded.config, eta=0.25).config.eta == 0.25


@pytest.mark.parametrize(
    "name", [each.name for each in KarrasDiffusionSchedulers if each.name != "DPMSolverSDEScheduler"]
)
def test_the_config_of_any_common_scheduler_and_back(name, recwarn):
    other = getattr(diffusers, name)(**({} if name == "EDMEulerScheduler" else {"beta_end": 0.013}))
    scheduler = SonarScheduler.from_config(other.config, momentum=0.8)
    assert scheduler.config.momentum == 0.8
    if name != "EDMEulerScheduler":
        assert scheduler.config.beta_end == 0.013
        assert type(other).from_config(scheduler.config).config.beta_end == 0.013
    assert walk(scheduler, noise(), generator=seeded()).isfinite().all()


@pytest.mark.parametrize(
    "other",
    [
        diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        diffusers.FlowMatchHeunDiscreteScheduler(),
        diffusers.UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction"),
        diffusers.DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=2.0),
    ],
    ids=lambda other: type(other).__name__,
)
def test_a_config_goes_to_the_scheduler_of_its_kind_of_model(other):
    assert isinstance(SonarFlowScheduler.from_config(other.config), SonarFlowScheduler)
    with pytest.raises(ConfigError, match="use SonarFlowScheduler"):
        SonarScheduler.from_config(other.config)


def test_the_config_of_another_kind_of_model_is_refused():
    with pytest.raises(ConfigError, match="use SonarScheduler"):
        SonarFlowScheduler.from_config(diffusers.DDIMScheduler().config)
    with pytest.raises(ConfigError, match="prediction_type"):
        SonarScheduler(prediction_type="flow_prediction")
    with pytest.raises(ConfigError, match="prediction_type"):
        SonarFlowScheduler(prediction_type="epsilon")
    with pytest.raises(ConfigError, match="invert_sigmas"):
        SonarFlowScheduler(invert_sigmas=True)


def test_a_wrong_option_is_refused_when_the_scheduler_is_made():
    with pytest.raises(ConfigError, match="momentum = 2"):
        SonarScheduler(momentum=2)


def test_flow_shift_has_the_levels_of_the_scheduler_that_has_it():
    own = diffusers.UniPCMultistepScheduler(use_flow_sigmas=True, flow_shift=5.0, prediction_type="flow_prediction")
    scheduler = SonarFlowScheduler.from_config(own.config)
    own.set_timesteps(7, "cpu")
    scheduler.set_timesteps(7, "cpu")
    torch.testing.assert_close(scheduler.sigmas, own.sigmas, rtol=0, atol=2e-6)


def test_the_levels_may_be_given():
    scheduler = made(SonarScheduler)
    scheduler.set_timesteps(sigmas=[9.0, 3.0, 1.0, 0.0])
    assert scheduler.sigmas.tolist() == [9.0, 3.0, 1.0, 0.0]
    scheduler.set_timesteps(timesteps=[900, 500, 100])
    assert scheduler.timesteps.tolist() == [900, 500, 100]
    flow = SonarFlowScheduler(use_dynamic_shifting=True)
    own = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    for each in (flow, own):
        each.set_timesteps(sigmas=np.linspace(1, 0.2, 5), mu=0.9, device="cpu")
    assert torch.equal(flow.sigmas, own.sigmas)
    with pytest.raises(ValueError, match="mu"):
        flow.set_timesteps(4)
