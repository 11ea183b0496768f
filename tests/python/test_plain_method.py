"""Momentum 1 switches the mechanism off; that it is k-diffusion's function then: test_k_diffusion.py."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import SAMPLERS, Draws, denoise, latent, same_bits, schedules, shapes
from sonar_sampler import SonarConfig, sample


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
