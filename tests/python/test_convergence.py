"""Laws that need no twin: order of convergence, closed forms, limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import denoise, karras, latent, same_bits
from sonar_sampler import SonarConfig, Stepper, ancestral_step, momentum_step, sample

DEVIATION, MEAN = 0.7, 0.2


def exact(x, sigma_from, sigma_to):
    """The ODE's solution for data that are normal: distances from the mean shrink with the total deviation."""
    return MEAN + (x - MEAN) * np.sqrt((DEVIATION**2 + sigma_to**2) / (DEVIATION**2 + sigma_from**2))


def error(steps, sampler="euler", **options):
    x = latent(0, (1, 1, 8, 8), np.float64)
    sigmas = np.linspace(10, 0.1, steps + 1)
    out = sample(denoise, x, sigmas, SonarConfig(sampler=sampler, **options))
    return np.abs(out - exact(x, sigmas[0], sigmas[-1])).max()


@pytest.mark.parametrize("options", [{"momentum": 1.0}, {"momentum": 1.0, "sampler": "euler_a", "eta": 0.0}])
def test_euler_converges_with_order_1_to_the_exact_solution(options):
    errors = [error(steps, **options) for steps in (100, 200, 400, 800)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.1)


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("heun", {}),
        ("dpmpp_2m", {}),
        ("dpmpp_2m_sde", {"eta": 0.0}),
        ("dpmpp_sde", {"eta": 0.0}),
        ("euler", {"momentum_mode": "lead", "momentum": 0.5, "momentum_hist": 0.0, "lead_guard": 0.0}),
    ],
)
def test_the_others_converge_with_order_2(sampler, options):
    def error(steps):
        x = latent(0, (1, 1, 8, 8), np.float64)
        sigmas = np.geomspace(10, 0.1, steps + 1)
        out = sample(denoise, x, sigmas, SonarConfig(sampler=sampler, **{"momentum": 1.0} | options))
        return np.abs(out - exact(x, sigmas[0], sigmas[-1])).max()

    errors = [error(steps) for steps in (50, 100, 200, 400)]
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 2.0, atol=0.2)


def test_flow_converges_with_order_1_to_the_exact_solution():
    def velocity_denoise(x, sigma):
        left = 1 - sigma
        kept = left * DEVIATION**2 / (left**2 * DEVIATION**2 + sigma**2)
        return MEAN + kept * (x - left * MEAN)

    def error(steps):
        x = latent(0, (1, 1, 8, 8), np.float64, scale=1.0)
        sigmas = np.linspace(1, 0, steps + 1)
        out = sample(velocity_denoise, x, sigmas, SonarConfig(sampler="euler_a", eta=0.0, momentum=1.0, flow=True))
        return np.abs(out - (MEAN + DEVIATION * x)).max()

    errors = [error(steps) for steps in (50, 100, 200, 400)]
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 1.0, atol=0.15)


def test_with_pos_momentum_euler_converges_too():
    """The lag of the history is a number of steps, so that it vanishes with their length."""
    errors = [error(steps, momentum=0.9, momentum_hist=0.5) for steps in (200, 400, 800, 1600)]
    orders = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(orders, 1.0, atol=0.15)


def test_euler_there_and_back_is_an_inversion():
    x = latent(0, (1, 1, 8, 8), np.float64, scale=0.7)
    up = np.linspace(0.1, 10, 2001)
    config = SonarConfig(sampler="euler", momentum=1.0)
    noised = sample(denoise, x, up, config)
    assert np.abs(noised - exact(x, 0.1, 10)).max() < 0.02 * np.abs(noised).max()
    assert np.abs(sample(denoise, noised, up[::-1], config) - x).max() < 0.02


@given(momentum=st.floats(0, 0.999), momentum_hist=st.floats(0, 1), steps=st.integers(1, 12))
def test_the_history_of_a_constant_derivative_has_its_closed_form(momentum, momentum_hist, steps):
    """`h` goes to `d` in a geometric series: `d (1 - p r^(n-1))` after n steps, with `r = 1 - q (1 - p)`."""
    p, q = 1 - momentum, 1 - momentum_hist
    d = latent(0, (1, 2, 3, 3), np.float64, scale=1.0)
    h = None
    for _ in range(steps):
        _m, h = momentum_step(d, h, momentum=momentum, momentum_hist=momentum_hist, sign="pos")
    ratio = 1 - q * (1 - p)
    np.testing.assert_allclose(h, d * (1 - p * ratio ** (steps - 1)), rtol=1e-12, atol=1e-13)


@given(momentum=st.floats(0, 0.999), momentum_hist=st.floats(0, 1), steps=st.integers(1, 12))
def test_the_history_of_neg_has_its_closed_form(momentum, momentum_hist, steps):
    """It grows with the pole `1 + q (1 + p)` around the fixed point `d`."""
    p, q = 1 - momentum, 1 - momentum_hist
    d = latent(0, (1, 2, 3, 3), np.float64, scale=1.0)
    h = None
    for _ in range(steps):
        _m, h = momentum_step(d, h, momentum=momentum, momentum_hist=momentum_hist, sign="neg")
    pole = 1 + q * (1 + p)
    np.testing.assert_allclose(h, d * (1 + p * pole ** (steps - 1)), rtol=1e-12, atol=1e-12 * pole**steps)


def test_the_history_of_a_run_is_the_weighted_sum_of_its_derivatives():
    momentum, momentum_hist = 0.8, 0.6
    q = 1 - momentum_hist
    stepper = Stepper(
        SonarConfig(sampler="euler", momentum=momentum, momentum_hist=momentum_hist),
        karras(8),
        latent(0, dtype=np.float64),
    )
    corrected = []
    while stepper.result is None:
        request = stepper.request()
        stepper.feed(denoise(request.x, request.sigma))
        corrected.append(stepper.momentum_d)
    weights = [(1 - q) ** (7 - k) * (q if k else 1) for k in range(8)]
    expected = sum(weight * m for weight, m in zip(weights, corrected, strict=True))
    np.testing.assert_allclose(stepper.history, expected, rtol=1e-12)


def test_zero_scales_the_first_step_by_the_momentum():
    x, sigmas = latent(0, dtype=np.float64), [4.0, 3.0]
    plain = sample(denoise, x, sigmas, SonarConfig(sampler="euler", momentum=1.0)) - x
    for sign, factor in (("pos", 0.75), ("neg", 1.25)):
        config = SonarConfig(sampler="euler", momentum=0.75, momentum_sign=sign)
        np.testing.assert_allclose(sample(denoise, x, sigmas, config) - x, factor * plain, rtol=1e-12)


def test_momentum_hist_1_never_learns_and_0_remembers_only_the_last_step():
    d, h = latent(0), latent(1)
    same_bits(momentum_step(d, h, momentum=0.5, momentum_hist=1.0, sign="pos")[1], h)
    m, forgot = momentum_step(d, h, momentum=0.5, momentum_hist=0.0, sign="pos")
    same_bits(forgot, m)


@given(sigma=st.floats(0.01, 100), fraction=st.floats(0, 1), eta=st.floats(0, 3))
def test_an_ancestral_step_keeps_the_variance(sigma, fraction, eta):
    sigma_next = sigma * fraction
    down, up, rescale = ancestral_step(sigma, sigma_next, eta)
    assert rescale == 1
    assert 0 <= up <= sigma_next
    np.testing.assert_allclose(down**2 + up**2, sigma_next**2, rtol=1e-9)


@given(sigma=st.floats(0.01, 1), fraction=st.floats(0, 0.999), eta=st.floats(0, 1))
def test_an_ancestral_flow_step_keeps_signal_and_variance(sigma, fraction, eta):
    sigma_next = sigma * fraction
    down, up, rescale = ancestral_step(sigma, sigma_next, eta, flow=True)
    np.testing.assert_allclose((1 - down) * rescale, 1 - sigma_next, rtol=1e-9)
    np.testing.assert_allclose((down * rescale) ** 2 + up**2, sigma_next**2, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("flow", [False, True])
def test_euler_a_samples_the_distribution_it_denoises(flow):
    """Many pixels from pure noise: their mean and deviation are those of the data."""

    def posterior(x, sigma):
        left = 1 - sigma if flow else 1.0
        kept = left * DEVIATION**2 / (left**2 * DEVIATION**2 + sigma**2)
        return (MEAN + kept * (x - left * MEAN)).astype(x.dtype)

    sigmas = np.linspace(1, 0, 101) if flow else karras(100)
    x = latent(0, (1, 1, 64, 64), scale=1.0) * np.float32(sigmas[0])
    out = sample(posterior, x, sigmas, SonarConfig(momentum=1.0, flow=flow))
    assert abs(out.mean() - MEAN) < 0.05
    assert abs(out.std() - DEVIATION) < 0.05
