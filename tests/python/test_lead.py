"""momentum_mode "lead": the laws of the denoised latent that runs ahead."""

import math

import numpy as np
import pytest
import torch

import k_sampling
from runs import LEADING, SAMPLERS, Draws, denoise, karras, latent, reply, same_bits
from sonar_sampler import ConfigError, Done, Noise, SonarConfig, Stepper, sample
from sonar_sampler.torch import sample_function

k_sampling = k_sampling.load()
EACH = pytest.mark.parametrize("sampler", LEADING)
X = latent(dtype=np.float64)
EQUAL = np.geomspace(14.6, 0.3, 8)  # equal steps in log sigma


def lead(sampler="euler", **options):
    return SonarConfig(sampler=sampler, momentum_mode="lead", **options)


def model(x, sigma):
    kept = 0.49 / (0.49 + sigma.reshape(-1, *[1] * (x.ndim - 1)) ** 2)
    return torch.tanh(x * kept) + 0.2  # not linear, so that the steps differ


def numpy_model(x, sigma):
    return model(torch.from_numpy(np.array(x)), torch.tensor([sigma], dtype=torch.float64)).numpy()


def walk(config, sigmas, x=X, history=None, noise=None):
    """The answers, and after each step the latent, the history and the derivative."""
    stepper, noise = Stepper(config, sigmas, x, history=history), noise or Draws(5, x.shape, x.dtype)
    answers, states = [], []
    while not isinstance(request := stepper.request(), Done):
        step, before = stepper.step, stepper.x
        if isinstance(request, Noise):
            stepper.feed(noise(request.sigma, request.sigma_next))
        else:
            answers.append(numpy_model(request.x, request.sigma))
            stepper.feed(answers[-1])
        if stepper.step > step:
            states.append((before, stepper.history, stepper.momentum_d))
    return answers, states, stepper.result


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("history", [False, True])
def test_momentum_1_is_the_plain_method(sampler, dtype, history):
    x = latent(1, dtype=dtype)
    given = latent(2, dtype=dtype) if history else None
    out = sample(denoise, x, karras(5), lead(sampler, momentum=1.0), history=given)
    same_bits(out, sample(denoise, x, karras(5), SonarConfig(sampler=sampler, momentum=1.0)))


def test_half_ahead_of_the_last_answer_is_dpmpp_2m_on_equal_steps():
    sigmas = np.append(EQUAL, 0.0)
    ours = sample(numpy_model, X, sigmas, lead(momentum=0.5, momentum_hist=0.0, lead_guard=0.0))
    theirs = k_sampling.sample_dpmpp_2m(model, torch.from_numpy(X), torch.from_numpy(sigmas), disable=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    plain = sample(numpy_model, X, sigmas, SonarConfig(sampler="euler", momentum=1.0))
    assert np.abs(ours - plain).max() > 1e-3


@pytest.mark.parametrize("ends_at_zero", [False, True])
def test_half_ahead_of_the_last_answer_is_dpmpp_2m_sde_on_equal_steps(ends_at_zero):
    sigmas = np.append(EQUAL, 0.0) if ends_at_zero else EQUAL
    noise = Draws(5, X.shape, np.float64)
    ours = sample(numpy_model, X, sigmas, lead("euler_a", momentum=0.5, momentum_hist=0.0, lead_guard=0.0), noise=noise)
    again = Draws(5, X.shape, np.float64)
    theirs = k_sampling.sample_dpmpp_2m_sde(
        model,
        torch.from_numpy(X),
        torch.from_numpy(sigmas),
        disable=True,
        eta=1.0,
        s_noise=1.0,
        noise_sampler=lambda *span: torch.from_numpy(again(*(float(sigma) for sigma in span))),
    )
    assert noise.asked == again.asked
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@EACH
def test_the_history_is_an_average_of_the_answers(sampler):
    k = 0.6
    answers, states, _ = walk(lead(sampler, momentum=0.7, momentum_hist=k), EQUAL)
    for step, (_, history, _) in enumerate(states):
        weights = [k**step] + [(1 - k) * k ** (step - i) for i in range(1, step + 1)]
        assert math.isclose(sum(weights), 1)
        expected = sum(weight * answer for weight, answer in zip(weights, answers, strict=False))
        np.testing.assert_allclose(history, expected, rtol=1e-12, atol=1e-12)


@EACH
def test_a_step_goes_along_the_derivative_of_what_is_ahead(sampler):
    answers, states, _ = walk(lead(sampler, momentum=0.7, momentum_hist=0.5, lead_guard=0.0), np.append(EQUAL, 0.0))
    older = [None, *(history for _, history, _ in states)]
    for step, (x, _, derivative) in enumerate(states):
        # Neither the first step nor the one to sigma 0 leads.
        e = 0.3 * (answers[step] - older[step]) if 0 < step < len(EQUAL) - 1 else 0.0
        np.testing.assert_allclose(derivative, (x - answers[step] - e) / EQUAL[step], rtol=1e-10, atol=1e-10)


@EACH
@pytest.mark.parametrize("guard", [0.001, 0.05, 0.25, 2.0])
def test_the_guard_bounds_the_lead_by_the_answers_deviation_per_image(sampler, guard):
    sigmas = np.geomspace(14.6, 0.05, 16)
    x = X * np.array([1.0, 0.001]).reshape(2, 1, 1, 1)
    answers, states, _ = walk(lead(sampler, momentum=0.2, momentum_hist=0.5, lead_guard=guard), sigmas, x)
    older, acted = [None, *(history for _, history, _ in states)], set()
    for step, (before, _, derivative) in enumerate(states):
        e = before - sigmas[step] * derivative - answers[step]
        if step == 0:
            np.testing.assert_allclose(e, 0, atol=1e-11)
            continue
        free = 0.8 * (answers[step] - older[step])
        for image in range(2):
            size, limit = (math.sqrt(np.square(free[image]).mean()), guard * answers[step][image].std(ddof=1))
            acted.add(size > limit)
            np.testing.assert_allclose(e[image], free[image] * min(1, limit / size), rtol=1e-6, atol=1e-11)
            if size > limit:
                assert math.isclose(math.sqrt(np.square(e[image]).mean()), limit, rel_tol=1e-9)
    assert (True in acted) or guard > 0.05
    assert (False in acted) or guard < 2


@EACH
def test_a_given_history_is_a_denoised_latent(sampler):
    history = latent(4, dtype=np.float64, scale=1.0)
    config = lead(sampler, momentum=0.6, momentum_hist=0.25, lead_guard=0.0)
    answers, states, _ = walk(config, EQUAL, history=history)
    before, after, derivative = states[0]
    e = 0.4 * (answers[0] - history)
    np.testing.assert_allclose(derivative, (before - answers[0] - e) / EQUAL[0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(after, 0.25 * history + 0.75 * answers[0], rtol=1e-12)
    assert Stepper(config, EQUAL, X).history is None
    same_bits(Stepper(config, EQUAL, X, history=history).history, history)


@EACH
def test_the_history_is_kept_outside_of_the_range_too(sampler):
    """So that the first step with momentum has something to lead."""
    config = lead(sampler, momentum=0.5, momentum_hist=0.0, lead_guard=0.0, momentum_start=3, momentum_stop=4)
    answers, states, _ = walk(config, EQUAL)
    for step, (before, history, derivative) in enumerate(states):
        same_bits(history, answers[step])
        e = 0.5 * (answers[step] - answers[step - 1]) if step in (3, 4) else 0.0
        np.testing.assert_allclose(derivative, (before - answers[step] - e) / EQUAL[step], rtol=1e-10, atol=1e-10)


@EACH
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_it_runs_in_lower_precisions(sampler, dtype):
    x = latent(dtype=dtype)
    out = sample(denoise, x, karras(6), lead(sampler, momentum=0.5, momentum_hist=0.0))
    assert out.dtype == dtype
    wide = sample(denoise, x.astype(np.float64), karras(6), lead(sampler, momentum=0.5, momentum_hist=0.0))
    if sampler != "euler_a":  # its noise is of the same seeds
        np.testing.assert_allclose(out, wide, rtol=0.02, atol=0.02)
    np.testing.assert_allclose(out.astype(np.float64).std(), wide.std(), rtol=0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@EACH
def test_the_torch_functions_lead_too(sampler, dtype):
    x = torch.from_numpy(latent()).to(dtype)
    sigmas = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])
    outs = [
        sample_function(sampler)(
            lambda x, s: (x * 0.5).tanh(), x, sigmas, disable=True, seed=0, momentum=0.5, momentum_mode=mode
        )
        for mode in ("lead", "classic")
    ]
    assert outs[0].dtype == dtype
    assert not torch.equal(*outs)


@pytest.mark.parametrize("sampler", sorted({*SAMPLERS} - {*LEADING}))
def test_solvers_of_higher_order_refuse_it_with_a_reason(sampler):
    reason = f"^momentum_mode = lead: must be classic with sampler = {sampler}: .* second order"
    with pytest.raises(ConfigError, match=reason):
        lead(sampler)


@EACH
@pytest.mark.parametrize("option", [{"momentum_sign": "neg"}, {"momentum_sign": "rand"}, {"momentum_sign": ["pos"]}])
def test_it_has_no_sign(sampler, option):
    with pytest.raises(ConfigError, match=r"^momentum_sign = .*momentum_mode = lead"):
        lead(sampler, **option)


@EACH
@pytest.mark.parametrize("init", ["rand_init", "rand_new"])
def test_its_history_begins_with_an_answer(sampler, init):
    with pytest.raises(ConfigError, match=r"^momentum_hist_init = .*momentum_mode = lead"):
        lead(sampler, momentum_hist_init=init)


def test_a_history_given_to_a_stepper_goes_on_where_another_run_ended():
    config = lead(momentum=0.5, momentum_hist=0.3)
    whole = sample(numpy_model, X, EQUAL, config)
    first = Stepper(config, EQUAL[:4], X)
    while not isinstance(request := first.request(), Done):
        first.feed(numpy_model(request.x, request.sigma))
    rest = sample(numpy_model, first.result, EQUAL[3:], config, history=first.history)
    same_bits(rest, whole)
    second = Stepper(config, EQUAL[3:], first.result, history=first.history)
    reply(second, numpy_model(first.result, EQUAL[3]))
    assert second.step == 1
