"""Schedules and options that change from step to step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import SAMPLERS, Draws, cases, denoise, flow_sigmas, karras, latent, reply, same_bits
from sonar_sampler import NumericError, SonarConfig, Stepper, sample


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_one_sigma_is_no_step_and_x_comes_back_unchanged(sampler, dtype, sigma):
    x = latent(dtype=dtype)

    def never(*_):
        raise AssertionError("no step, no call")

    out = sample(never, x, [sigma], SonarConfig(sampler=sampler), callback=never, noise=never)
    same_bits(out, x)
    assert not np.shares_memory(out, x)
    same_bits(Stepper(SonarConfig(sampler=sampler), [sigma], x).result, x)


@given(case=cases(guided=False), cut=st.integers(0, 6))
def test_a_schedule_can_be_split_where_the_history_goes_along(case, cut):
    """Host noise and no option that counts steps: two runs with the history between them are one run."""
    x, sigmas, _, _, _ = case
    sampler = "naive" if any(np.diff(sigmas) > 0) or max(sigmas) > 20 else "euler_a"
    config = SonarConfig(sampler=sampler, momentum=0.8, momentum_hist=0.3, momentum_sign="neg")
    noise = Draws(3, x.shape, x.dtype)
    try:
        whole = sample(denoise, x, sigmas, config, noise=noise)
    except NumericError:
        return
    cut = min(cut, len(sigmas) - 1)
    noise, history = Draws(3, x.shape, x.dtype), None
    for part in (sigmas[: cut + 1], sigmas[cut:]):
        stepper = Stepper(config, part, x, history=history)
        while stepper.result is None:
            request = stepper.request()
            is_noise = type(request).__name__ == "Noise"
            reply(stepper, noise(None, None) if is_noise else denoise(request.x, request.sigma))
        x, history = stepper.result, stepper.history
    same_bits(x, whole)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_equal_neighbours_leave_the_latent_where_it_is(sampler):
    """`dt` is 0; euler_a replaces as much noise as it keeps, which is none where sigma does not fall."""
    x = latent()
    out = sample(denoise, x, [3.0, 3.0], SonarConfig(sampler=sampler), noise=lambda *_: np.ones_like(x))
    same_bits(out, x + np.float32(1e-5) if sampler == "naive" else x)


@pytest.mark.parametrize("sampler", ["euler", "naive"])
def test_a_rising_schedule_is_an_inversion(sampler):
    out = sample(denoise, latent(scale=0.7), [0.1, 1.0, 10.0], SonarConfig(sampler=sampler, momentum=1.0))
    assert out.std() > 5


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_schedule_need_not_end_at_0(sampler):
    x, asked = latent(), []

    def noise(*span):
        asked.append(span)
        return np.zeros_like(x)

    sample(denoise, x, [4.0, 2.0, 1.0], SonarConfig(sampler=sampler), noise=noise)
    assert asked == ([] if sampler == "euler" else [(4.0, 2.0), (2.0, 1.0)])


def test_noise_is_asked_for_only_where_it_is_used():
    x = latent()
    for sampler, options, sigmas, expected in (
        ("euler", {}, [4.0, 2.0, 0.0], []),
        ("euler", {"s_churn": 1.0}, [4.0, 2.0, 0.0], [(4.0, 2.0), (2.0, 0.0)]),
        ("euler", {"s_churn": 1.0, "s_tmax": 3.0}, [4.0, 2.0, 0.0], [(2.0, 0.0)]),
        ("euler", {"s_churn": 1.0, "s_tmin": 3.0}, [4.0, 2.0, 0.0], [(4.0, 2.0)]),
        ("euler", {"s_churn": 1.0, "s_tmin": 2.0, "s_tmax": 2.0}, [4.0, 2.0, 0.0], [(2.0, 0.0)]),
        ("euler_a", {}, [4.0, 2.0, 0.0], [(4.0, 2.0)]),
        ("euler_a", {"eta": 0.0}, [4.0, 2.0, 0.0], [(4.0, 2.0)]),  # k-diffusion draws it too
        ("euler_a", {"flow": True}, [1.0, 0.5, 0.0], [(1.0, 0.5)]),
        ("naive", {}, [4.0, 2.0, 0.0], [(4.0, 2.0), (2.0, 0.0)]),
        ("naive", {"exact_last_step": True}, [4.0, 2.0, 0.0], [(4.0, 2.0)]),
    ):
        draws = Draws(0, x.shape)
        sample(denoise, x, sigmas, SonarConfig(sampler=sampler, **options), noise=draws)
        assert draws.asked == expected, (sampler, options)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_exact_last_step_takes_the_denoised_latent_as_it_is(sampler):
    x, answers = latent(), []

    def model(x, sigma):
        answers.append(denoise(x, sigma))
        return answers[-1]

    config = SonarConfig(sampler=sampler, exact_last_step=True, ref_factor=0.3, ref_stop=1.0)
    out = sample(model, x, karras(4), config, reference=latent(1))
    same_bits(out, answers[-1])
    assert not np.shares_memory(out, answers[-1])


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_exact_last_step_changes_only_the_step_to_0(sampler):
    x = latent()
    configs = [SonarConfig(sampler=sampler, exact_last_step=exact) for exact in (False, True)]
    same_bits(*(sample(denoise, x, karras(4)[:-1], config) for config in configs))
    ended = [sample(denoise, x, karras(4), config) for config in configs]
    assert not np.array_equal(*ended)


def test_one_number_per_step_is_that_number_at_that_step():
    x, sigmas = latent(), [8.0, 4.0, 2.0, 1.0]
    for option, values in (("momentum", (0.9, 0.5, 0.7)), ("momentum_hist", (0.2, 0.9, 0.4))):
        stepper = Stepper(SonarConfig(sampler="euler", **{option: values}), sigmas, x)
        for step, value in enumerate(values):
            single = SonarConfig(sampler="euler", **{option: value})
            one = Stepper(single, sigmas[step : step + 2], stepper.x, history=stepper.history)
            one.feed(latent(step))
            reply(stepper, latent(step))
            same_bits(one.result, stepper.x)
            same_bits(one.history, stepper.history)


def test_one_sign_per_step_is_that_sign_for_all_images():
    x, sigmas = latent(), [8.0, 4.0, 2.0]
    pos, neg = (sample(denoise, x, sigmas, SonarConfig(sampler="euler", momentum_sign=s)) for s in ("pos", "neg"))
    same_bits(sample(denoise, x, sigmas, SonarConfig(sampler="euler", momentum_sign=["pos", "pos"])), pos)
    same_bits(sample(denoise, x, sigmas, SonarConfig(sampler="euler", momentum_sign=["neg", "neg"])), neg)
    mixed = sample(denoise, x, sigmas, SonarConfig(sampler="euler", momentum_sign=["pos", "neg"]))
    assert not np.array_equal(mixed, pos)
    assert not np.array_equal(mixed, neg)


def test_momentum_1_inside_a_sequence_leaves_the_history_as_it_was():
    x, config = latent(), SonarConfig(sampler="euler", momentum=(0.8, 1.0, 0.8))
    stepper = Stepper(config, [8.0, 4.0, 2.0, 1.0], x)
    assert stepper.history is None
    reply(stepper, latent(1))
    kept = stepper.history
    before = stepper.x
    reply(stepper, latent(2))
    same_bits(stepper.history, kept)
    same_bits(stepper.x, before + (before - latent(2)) / np.float32(4) * np.float32(-2))
    reply(stepper, latent(3))
    assert not np.array_equal(stepper.history, kept)


def test_momentum_1_at_first_leaves_the_history_to_begin_later():
    x, config = latent(), SonarConfig(sampler="euler", momentum=(1.0, 0.8))
    stepper = Stepper(config, [8.0, 4.0, 2.0], x)
    reply(stepper, latent(1))
    assert stepper.history is None
    reply(stepper, latent(2))
    same_bits(stepper.history, stepper.momentum_d)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_flow_euler_a_scales_the_image_and_adds_the_missing_noise(eta):
    x, noise, denoised = latent(0, dtype=np.float64), latent(1, dtype=np.float64), latent(2, dtype=np.float64)
    config = SonarConfig(momentum=1.0, flow=True, eta=eta, s_noise=1.5)
    out = sample(lambda *_: denoised, x, [0.8, 0.5], config, noise=lambda *_: noise)
    down = 0.5 * (1 + (0.5 / 0.8 - 1) * eta)
    left = 0.5 / (1 - down)
    stepped = (x + (x - denoised) / 0.8 * (down - 0.8)) * left
    up = np.sqrt(max(0.25 - down**2 * left**2, 0))
    np.testing.assert_allclose(out, stepped + noise * 1.5 * up, rtol=1e-12)


def test_flow_changes_nothing_but_euler_a():
    x = latent(scale=1.0)
    for sampler in SAMPLERS:
        plain, flow = (
            sample(denoise, x, flow_sigmas(5), SonarConfig(sampler=sampler, flow=flow)) for flow in (False, True)
        )
        assert np.array_equal(plain, flow) == (sampler != "euler_a")


def test_flow_may_start_and_stay_at_1():
    x = latent(scale=1.0)
    out = sample(denoise, x, [1.0, 1.0, 0.5, 0.0], SonarConfig(flow=True))
    assert np.isfinite(out).all()
