"""The samplers that hosts list: solvers, and solvers with a preset."""

import pytest
import torch

from runs import SAMPLERS, latent
from sonar_sampler import SonarConfig
from sonar_sampler.listed import LISTED
from sonar_sampler.presets import PRESETS
from sonar_sampler.registry import SOLVERS
from sonar_sampler.torch import sample_function, sample_sonar_lead, sample_sonar_lead_ode

X, SIGMAS = torch.from_numpy(latent()), torch.tensor([14.6, 8.0, 4.0, 2.0, 1.0, 0.5, 0.0])
EACH = pytest.mark.parametrize(("led", "solver"), [(sample_sonar_lead, "euler_a"), (sample_sonar_lead_ode, "euler")])


def model(x, sigma):
    return (x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)).tanh()


def run(function, **options):
    return function(model, X, SIGMAS, disable=True, seed=3, **options)


def test_every_solver_is_listed_and_names_are_different():
    assert list(LISTED)[: len(SAMPLERS)] == list(SAMPLERS) == list(SOLVERS)
    assert len({listed.label for listed in LISTED.values()}) == len(LISTED)
    assert all(listed.solver in SOLVERS and listed.preset in ("", *PRESETS) for listed in LISTED.values())


@EACH
def test_a_led_sampler_is_its_solver_with_the_preset(led, solver):
    plain = sample_function(solver)
    assert torch.equal(run(led), run(plain, config=SonarConfig.lead()))
    assert torch.equal(run(led), run(plain, momentum_mode="lead", momentum=0.5, momentum_hist=0.0))
    assert not torch.equal(run(led), run(plain))


@EACH
def test_what_the_caller_says_comes_first(led, solver):
    plain = sample_function(solver)
    assert torch.equal(run(led, momentum=0.7), run(plain, config=SonarConfig.lead(momentum=0.7)))
    own = SonarConfig.lead(momentum=0.8, lead_guard=0.1)
    assert torch.equal(run(led, config=own), run(plain, config=own))
    assert torch.equal(run(led, momentum_mode="classic", momentum=0.9), run(plain, momentum=0.9, momentum_hist=0.0))


@EACH
def test_a_config_of_the_other_mode_gets_the_preset(led, solver):
    """The whole of it: also of a sign, which has no meaning in the mode lead, and of a range of steps."""
    config = SonarConfig(
        momentum=0.9, momentum_sign="neg", momentum_hist_init="rand_init", momentum_start=2, lead_guard=0.1, s_noise=0.9
    )
    assert torch.equal(run(led, config=config), run(sample_function(solver), config=SonarConfig.lead(s_noise=0.9)))


def test_lead_is_a_configuration_with_more():
    assert SonarConfig.lead(sampler="naive", momentum=0.75, momentum_hist=0.5) == SonarConfig(
        sampler="naive", momentum_mode="lead", momentum=0.75, momentum_hist=0.5
    )
