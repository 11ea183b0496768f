"""The Rust core against its NumPy twin, over all options at once."""

import numpy as np
import pytest
from hypothesis import given

import oracle
from runs import MULTISTEP, Draws, cases, denoise, latent, same_bits
from sonar_sampler import NumericError, SonarConfig, Stepper, sample


def agree(ours, twins, config):
    """Equal bit for bit, but where the twin's sums or its library's logarithms are rounded in another way."""
    wide = twins.dtype == np.float64
    if not (config.momentum_mode == "lead" and config.lead_guard) and not (wide and config.sampler in MULTISTEP):
        same_bits(ours, twins)
        return
    bound = 1e-11 if wide else 1e-5
    np.testing.assert_allclose(ours, twins, rtol=bound, atol=bound * np.abs(twins).max())


def both(case, own_noise):
    x, sigmas, config, reference, history = case
    noises = [None if own_noise else Draws(5, x.shape, x.dtype) for _ in range(2)]
    seen = []

    def watched(x, sigma):
        seen.append((x.copy(), sigma))
        return denoise(x, sigma)

    with np.errstate(all="ignore"):
        twin = oracle.run(denoise, x, sigmas, config, reference=reference, noise=noises[0], history=history)
    if not np.isfinite(twin.out).all():
        with pytest.raises(NumericError):
            sample(watched, x, sigmas, config, reference=reference, noise=noises[1], history=history)
        return [], []
    out = sample(watched, x, sigmas, config, reference=reference, noise=noises[1], history=history)
    if not own_noise:
        np.testing.assert_allclose(noises[0].asked, noises[1].asked, rtol=1e-15)
    np.testing.assert_allclose([float(sigma) for _, sigma in twin.seen], [sigma for _, sigma in seen], rtol=1e-15)
    return [*(x for x, _ in seen), out], [*(x for x, _ in twin.seen), twin.out]


@given(case=cases(guided=False))
def test_without_guidance_every_latent_is_the_twins_bit_for_bit(case):
    for ours, twins in zip(*both(case, own_noise=False), strict=True):
        agree(ours, twins, case[2])


@given(case=cases(guided=True))
def test_with_guidance_every_latent_is_the_twins_within_the_rounding_of_sums(case):
    for ours, twins in zip(*both(case, own_noise=False), strict=True):
        bound = 1e-12 if twins.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(ours, twins, rtol=bound, atol=bound * np.abs(twins).max())


@given(case=cases(guided=False))
def test_with_its_own_noise_every_latent_is_the_twins(case):
    # Logarithms of two libraries may differ in the last bit.
    for ours, twins in zip(*both(case, own_noise=True), strict=True):
        bound = 1e-12 if twins.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(ours, twins, rtol=bound, atol=bound * np.abs(twins).max())


@given(case=cases(guided=False))
def test_history_and_corrected_derivative_are_the_twins_after_every_step(case):
    x, sigmas, config, _, history = case
    with np.errstate(all="ignore"):
        twin = oracle.run(denoise, x, sigmas, config, noise=Draws(5, x.shape, x.dtype), history=history)
    if not np.isfinite(twin.out).all():
        return
    stepper, noise = Stepper(config, sigmas, x, history=history), Draws(5, x.shape, x.dtype)
    after, corrected = [], iter(twin.corrected)
    while type(request := stepper.request()).__name__ != "Done":
        step = stepper.step
        is_noise = type(request).__name__ == "Noise"
        answer = noise(request.sigma, request.sigma_next) if is_noise else denoise(request.x, request.sigma)
        stepper.feed(answer)
        if stepper.step == step:
            continue
        after.append(stepper.history)
        exact = config.exact_last_step and sigmas[step + 1] == 0
        if not exact:
            agree(stepper.momentum_d, next(corrected), config)
    momenta = [oracle.momentum_at(config, step, len(after)) for step in range(len(after))]
    for ours, twins in zip(after, twin.histories, strict=True):
        if twins is None or (ours is None and all(momentum == 1 for momentum in momenta)):
            assert ours is None
        elif config.momentum_hist_init == "rand_new" and history is None:
            np.testing.assert_allclose(ours, twins, rtol=1e-5, atol=1e-6 * np.abs(twins).max())
        else:
            agree(ours, twins, config)


def test_rand_init_takes_the_initial_latent_and_not_the_churned_one():
    x = latent()
    config = SonarConfig(sampler="euler", momentum_hist_init="rand_init", s_churn=2.0)
    twin = oracle.run(denoise, x, [14.0, 5.0, 1.0, 0.0], config, noise=Draws(1, x.shape))
    same_bits(sample(denoise, x, [14.0, 5.0, 1.0, 0.0], config, noise=Draws(1, x.shape)), twin.out)
    same_bits(Stepper(config, [14.0, 5.0], x).history, x)


def test_the_twin_has_a_history_of_its_own_to_disagree_with():
    x = latent()
    outs = [
        oracle.run(denoise, x, [14.0, 5.0, 1.0, 0.0], SonarConfig(momentum=momentum), noise=Draws(1, x.shape)).out
        for momentum in (1.0, 0.95)
    ]
    assert np.abs(outs[0] - outs[1]).max() > 0.1
