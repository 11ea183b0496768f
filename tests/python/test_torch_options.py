"""The torch functions' arguments: k-diffusion's, and every option by name."""

import inspect
import re

import numpy as np
import pytest
import torch

import k_sampling
from runs import SAMPLERS as NAMES
from runs import denoise as numpy_denoise
from runs import karras, latent
from sonar_sampler import SonarConfig, UnknownOptionError, sample
from sonar_sampler.registry import SOLVERS, default, knobs
from sonar_sampler.torch import sample_function, sample_sonar_euler, sample_sonar_euler_a

SAMPLERS = {name: sample_function(name) for name in NAMES}
ALL = pytest.mark.parametrize("name", SAMPLERS)
X, SIGMAS = torch.from_numpy(latent()), torch.tensor(karras(4), dtype=torch.float32)


def model(x, sigma):
    return torch.from_numpy(numpy_denoise(x.numpy(), float(sigma[0])))


def close(ours, numpys):
    """Equal but for torch's square roots of the schedule, which on some processors differ in the last bit."""
    np.testing.assert_allclose(ours.numpy(), numpys, rtol=1e-5, atol=1e-5 * np.abs(numpys).max())


def test_the_signatures_begin_as_k_diffusions():
    shape = ["model", "x", "sigmas", "extra_args", "callback", "disable"]
    for function in SAMPLERS.values():
        parameters = inspect.signature(function).parameters
        assert list(parameters)[:6] == shape
        assert {"config", "noise_sampler", "reference", "history"} <= set(parameters)
        assert all(p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters.values())


def test_arguments_override_the_config_and_keep_its_rest():
    config = SonarConfig(eta=0.0, s_noise=0.5, momentum=0.5, seed=3)
    given = sample_sonar_euler_a(model, X, SIGMAS, disable=True, eta=0.7, config=config)
    expected = SonarConfig(sampler="euler_a", eta=0.7, s_noise=0.5, momentum=0.5, seed=3)
    close(given, sample(numpy_denoise, X.numpy(), SIGMAS.numpy(), expected))
    given = sample_sonar_euler(model, X, SIGMAS, None, None, True, 2.0, 0.1, 9.0, 1.1, seed=0)
    expected = SonarConfig(sampler="euler", s_churn=2.0, s_tmin=0.1, s_tmax=9.0, s_noise=1.1)
    close(given, sample(numpy_denoise, X.numpy(), SIGMAS.numpy(), expected))


@ALL
def test_there_is_a_function_for_each_solver_and_its_doc_says_what_it_is(name):
    import sonar_sampler.torch as ours

    function = getattr(ours, f"sample_sonar_{name}")
    assert function is sample_function(name)
    assert function.__name__ == f"sample_sonar_{name}"
    assert function.__name__ in ours.__all__
    assert SOLVERS[name].label in function.__doc__
    parameters = list(inspect.signature(function).parameters)
    shared = ["model", "x", "sigmas", "extra_args", "callback", "disable"]
    assert parameters[: 6 + len(SOLVERS[name].options)] == [*shared, *SOLVERS[name].options]
    assert {*knobs()} - {"sampler"} <= {*parameters}


@ALL
def test_every_option_of_the_config_is_a_keyword_that_overrides_it(name):
    options = {option: default(option) for option in knobs() if option != "sampler"} | {
        "momentum": 0.6,
        "momentum_hist": 0.5,
        "momentum_hist_init": "rand_init",
        "momentum_sign": "neg",
        "momentum_start": 0,
        "momentum_stop": 2,
        "lead_guard": 0.1,
        "ref_method": "euler",
        "ref_factor": 0.05,
        "ref_start": 0,
        "ref_stop": 1,
        "eta": 0.8,
        "s_churn": 1.0,
        "s_tmin": 0.1,
        "s_tmax": 9.0,
        "s_noise": 1.1,
        "flow": False,
        "exact_last_step": True,
        "seed": 3,
    }
    reference = torch.from_numpy(latent(1))

    def out(**given):
        return SAMPLERS[name](model, X, SIGMAS, disable=True, reference=reference, **given)

    by_config = out(config=SonarConfig(**options))
    assert torch.equal(out(**options), by_config)
    assert torch.equal(out(**options, config=SonarConfig(momentum=0.2, seed=9)), by_config)
    assert torch.equal(out(config=SonarConfig(**options), momentum=None, seed=None), by_config)
    assert not torch.equal(out(**options | {"momentum": 0.9}), by_config)


@ALL
@pytest.mark.parametrize(("option", "hint"), [("momentun", "did you mean momentum?"), ("sampler", "sampler")])
def test_an_option_that_there_is_not_is_named(name, option, hint):
    with pytest.raises(UnknownOptionError, match=f"{option} = .*no such option.*{re.escape(hint)}"):
        SAMPLERS[name](model, X, SIGMAS, disable=True, **{option: "euler"})


def test_the_order_of_the_options_is_k_diffusions():
    """Hosts give them by position too."""
    k_diffusion = k_sampling.load()
    for name in {*NAMES} - {"naive"}:
        theirs = getattr(k_diffusion, "sample_euler_ancestral" if name == "euler_a" else f"sample_{name}")
        known = [option for option in inspect.signature(theirs).parameters if option not in ("solver_type", "r")]
        assert list(inspect.signature(SAMPLERS[name]).parameters)[: len(known)] == known
