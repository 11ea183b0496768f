"""What classic momentum mixes in each solver, from the formulas of the papers: the direction that it finally takes."""

import itertools
import math

import numpy as np
import pytest

from runs import SAMPLERS, latent
from sonar_sampler import Denoise, Done, SonarConfig, Stepper, sample

SIGMAS = [9.0, 5.0, 2.0, 1.5, 0.4]
X = latent(dtype=np.float64)
P, Q, ETA = 0.3, 0.4, 0.6  # 1 - momentum, 1 - momentum_hist


def model(x, sigma):
    return np.tanh(x / (0.5 + sigma)) + 0.2


def denoised_of(sampler, x, sigma, sigma_next, before):
    """The combined answer, the level to which the step goes without its noise, and the answer that is kept."""
    answer = model(x, sigma)
    if sampler == "heun":
        ahead = x + (x - answer) / sigma * (sigma_next - sigma)
        mean = ((x - answer) / sigma + (ahead - model(ahead, sigma_next)) / sigma_next) / 2
        return x - sigma * mean, sigma_next, answer
    if sampler == "euler_a":
        return answer, down(sigma, sigma_next), answer
    if sampler == "dpmpp_sde":
        middle = math.sqrt(sigma * sigma_next)
        kept = down(sigma, middle) / sigma
        return model(kept * x + (1 - kept) * answer, middle), down(sigma, sigma_next), answer
    h, combined = math.log(sigma / sigma_next), answer
    if before is not None and sampler in ("dpmpp_2m", "dpmpp_2m_sde"):
        sigma_before, older = before
        combined = answer + h / (2 * math.log(sigma_before / sigma)) * (answer - older)
    return combined, sigma_next * (math.exp(-ETA * h) if sampler == "dpmpp_2m_sde" else 1), answer


def down(sigma, sigma_next):
    up = min(sigma_next, ETA * math.sqrt(sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2))
    return math.sqrt(sigma_next**2 - up**2)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("sign", ["pos", "neg"])
def test_the_step_is_the_mixed_direction_of_the_combined_answer(sampler, sign):
    config = SonarConfig(sampler=sampler, momentum=1 - P, momentum_hist=1 - Q, momentum_sign=sign, eta=ETA, s_noise=0.0)
    stepper, h, before, k = Stepper(config, SIGMAS, X), None, None, 1 if sign == "pos" else -1
    for sigma, sigma_next in itertools.pairwise(SIGMAS):
        x, step = stepper.x, stepper.step
        combined, sigma_to, answer = denoised_of(sampler, x, sigma, sigma_next, before)
        d, before = (x - combined) / sigma, (sigma, answer)
        m = (1 - k * P) * d + k * P * (0 if h is None else h)
        h = m if h is None else (1 - k * Q) * h + k * Q * m
        while stepper.step == step:
            request = stepper.request()
            stepper.feed(model(request.x, request.sigma) if isinstance(request, Denoise) else np.zeros_like(X))
        np.testing.assert_allclose(stepper.momentum_d, m, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(stepper.history, h, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(stepper.x, x + m * (sigma_to - sigma), rtol=1e-9, atol=1e-9)
    assert isinstance(stepper.request(), Done)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_outside_of_its_range_the_steps_are_the_plain_solvers_and_the_history_rests(sampler):
    noise = {"noise": lambda *_: np.ones_like(X)}
    config = SonarConfig(sampler=sampler, momentum=0.5, momentum_start=2, momentum_stop=2)
    stepper, plain = Stepper(config, SIGMAS, X), Stepper(SonarConfig(sampler=sampler, momentum=1.0), SIGMAS, X)
    histories, equal = [], []
    while not isinstance(stepper.request(), Done):
        step = stepper.step
        for each in (stepper, plain):
            while each.step == step:
                request = each.request()
                each.feed(model(request.x, request.sigma) if isinstance(request, Denoise) else np.ones_like(X))
        histories.append(stepper.history)
        equal.append(np.array_equal(stepper.x, plain.x))
    assert equal == [True, True, False, False]
    assert histories[:2] == [None, None]
    np.testing.assert_array_equal(histories[2], histories[3])
    always = SonarConfig(sampler=sampler, momentum=(1.0, 1.0, 0.5, 1.0))
    np.testing.assert_array_equal(sample(model, X, SIGMAS, always, **noise), stepper.result)
