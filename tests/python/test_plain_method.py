"""Momentum 1 switches the mechanism off: the plain method, and k-diffusion's own bits."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import k_sampling
from runs import SAMPLERS, Draws, denoise, karras, latent, same_bits, schedules, shapes
from sonar_sampler import SonarConfig, sample
from sonar_sampler.torch import sample_sonar_euler, sample_sonar_euler_a, sample_sonar_naive

k_sampling = k_sampling.load()
PLAIN = SonarConfig(momentum=1.0, momentum_sign="neg", momentum_hist=0.1, momentum_hist_init="rand_init")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


def model(x, sigma, **kwargs):
    kept = 0.49 / (0.49 + sigma**2)
    return x * kept.reshape(-1, *[1] * (x.ndim - 1)) + 0.2


def tensors(dtype, steps=11, ends_at_zero=True):
    sigmas = torch.tensor(karras(steps), dtype=torch.float32).to(dtype)
    return torch.from_numpy(latent(3)).to(dtype), sigmas if ends_at_zero else sigmas[:-1]


@DTYPES
@pytest.mark.parametrize("ends_at_zero", [True, False])
def test_euler_is_k_diffusions_bit_for_bit(dtype, ends_at_zero):
    x, sigmas = tensors(dtype, ends_at_zero=ends_at_zero)
    theirs = k_sampling.sample_euler(model, x, sigmas, disable=True)
    assert torch.equal(sample_sonar_euler(model, x, sigmas, disable=True, config=PLAIN), theirs)


@DTYPES
@pytest.mark.parametrize("churn", [{"s_churn": 3.0}, {"s_churn": 40.0, "s_noise": 1.007, "s_tmax": 9.0}])
def test_euler_with_churn_is_k_diffusions_on_the_same_draws(dtype, churn):
    x, sigmas = tensors(dtype)
    torch.manual_seed(5)
    theirs = k_sampling.sample_euler(model, x, sigmas, disable=True, **churn)
    torch.manual_seed(5)
    draws = {float(sigma): torch.randn_like(x) for sigma in sigmas[:-1]}  # it draws at every step, used or not
    asked = []

    def noise_sampler(sigma, sigma_next):
        asked.append(float(sigma))
        return draws[float(sigma)]

    ours = sample_sonar_euler(model, x, sigmas, disable=True, config=PLAIN, noise_sampler=noise_sampler, **churn)
    assert asked
    assert torch.equal(ours, theirs)


@DTYPES
@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("ends_at_zero", [True, False])
def test_euler_a_is_k_diffusions_on_the_same_draws(dtype, eta, ends_at_zero):
    x, sigmas = tensors(dtype, ends_at_zero=ends_at_zero)
    outs = []
    for sampler, kwargs in ((k_sampling.sample_euler_ancestral, {}), (sample_sonar_euler_a, {"config": PLAIN})):
        torch.manual_seed(5)
        noise_sampler = k_sampling.default_noise_sampler(x)
        outs.append(
            sampler(model, x, sigmas, disable=True, eta=eta, s_noise=1.01, noise_sampler=noise_sampler, **kwargs)
        )
        outs.append(torch.randn(4))  # as many draws have been made
    assert torch.equal(outs[0], outs[2])
    assert torch.equal(outs[1], outs[3])


@DTYPES
@given(data=st.data())
def test_any_schedule_has_k_diffusions_bits(dtype, data):
    values = data.draw(schedules("euler_a"))
    x, sigmas = torch.from_numpy(latent(3, (1, 2, 3, 3))).to(dtype), torch.tensor(values, dtype=dtype)
    for theirs, ours in (
        (k_sampling.sample_euler, sample_sonar_euler),
        (k_sampling.sample_euler_ancestral, sample_sonar_euler_a),
    ):
        outs = []
        for sampler, kwargs in ((theirs, {}), (ours, {"config": PLAIN})):
            torch.manual_seed(5)
            if sampler in (k_sampling.sample_euler_ancestral, sample_sonar_euler_a):
                kwargs = kwargs | {"noise_sampler": k_sampling.default_noise_sampler(x)}
            outs.append(sampler(model, x, sigmas, disable=True, **kwargs))
        assert torch.equal(*outs)


@DTYPES
def test_naive_is_k_diffusions_euler_with_a_jitter(dtype):
    x, sigmas = tensors(dtype)
    torch.manual_seed(5)
    ours = sample_sonar_naive(
        model, x, sigmas, disable=True, config=PLAIN, noise_sampler=lambda *_: torch.randn_like(x)
    )
    torch.manual_seed(5)
    theirs = x
    for i in range(len(sigmas) - 1):
        theirs = k_sampling.sample_euler(model, theirs, sigmas[i : i + 2], disable=True)
        torch.manual_seed(5)
        jitter = [torch.randn_like(x) for _ in range(i + 1)][-1]
        theirs = theirs + jitter * 1e-5
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("sampler", SAMPLERS)
@given(data=st.data())
def test_momentum_1_is_the_plain_method_whatever_the_other_momentum_options_say(sampler, data):
    shape = data.draw(shapes())
    sigmas = data.draw(schedules(sampler))
    x = latent(1, shape, scale=sigmas[0])
    options = {
        "momentum_hist": data.draw(st.floats(0, 1)),
        "momentum_sign": data.draw(st.sampled_from(["pos", "neg", "rand"])),
        "momentum_hist_init": data.draw(st.sampled_from(["zero", "rand_init", "rand_new"])),
    }
    plain = sample(denoise, x, sigmas, SonarConfig(sampler=sampler, momentum=1.0), noise=Draws(1, shape))
    config = SonarConfig(sampler=sampler, momentum=[1.0] * (len(sigmas) - 1), **options)
    same_bits(sample(denoise, x, sigmas, config, noise=Draws(1, shape), history=latent(2, shape)), plain)


def test_plain_euler_is_the_textbooks_step():
    x, sigmas = latent(1, dtype=np.float64), [3.0, 1.0, 0.25]
    expected = x
    for sigma, sigma_next in itertools.pairwise(sigmas):
        expected = expected + (expected - denoise(expected, sigma)) / sigma * (sigma_next - sigma)
    same_bits(sample(denoise, x, sigmas, SonarConfig(sampler="euler", momentum=1.0)), expected)
