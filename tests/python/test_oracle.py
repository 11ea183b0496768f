"""The Rust core against its NumPy twin, over all options at once."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import oracle
from runs import METHODS, MULTISTEP, Draws, cases, denoise, latent, same_bits
from sonar_sampler import NumericError, SonarConfig, Stepper, sample

EACH = pytest.mark.parametrize("method", METHODS, ids="-".join)
FEWER = settings(max_examples=settings.default.max_examples // 4)


def agree(ours, twins, config, size=0.0):
    """Equal bit for bit, but where the twin's sums or its library's logarithms are rounded in another way.

    `size` is that of the numbers of which these are a difference.
    """
    wide = twins.dtype == np.float64
    if not (config.momentum_mode == "lead" and config.lead_guard) and not (wide and config.sampler in MULTISTEP):
        same_bits(ours, twins)
        return
    bound = 1e-11 if wide else 1e-5
    np.testing.assert_allclose(ours, twins, rtol=bound, atol=bound * max(size, np.abs(twins).max()))


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


@EACH
@FEWER
@given(data=st.data())
def test_without_guidance_every_latent_is_the_twins_bit_for_bit(method, data):
    case = data.draw(cases(guided=False, method=method))
    for ours, twins in zip(*both(case, own_noise=False), strict=True):
        agree(ours, twins, case[2])


@EACH
@FEWER
@given(data=st.data())
def test_with_guidance_every_latent_is_the_twins_within_the_rounding_of_sums(method, data):
    case = data.draw(cases(guided=True, method=method))
    for ours, twins in zip(*both(case, own_noise=False), strict=True):
        bound = 1e-12 if twins.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(ours, twins, rtol=bound, atol=bound * np.abs(twins).max())


@EACH
@FEWER
@given(data=st.data())
def test_with_its_own_noise_every_latent_is_the_twins(method, data):
    case = data.draw(cases(guided=False, method=method))
    # Logarithms of two libraries may differ in the last bit.
    for ours, twins in zip(*both(case, own_noise=True), strict=True):
        bound = 1e-12 if twins.dtype == np.float64 else 1e-5
        np.testing.assert_allclose(ours, twins, rtol=bound, atol=bound * np.abs(twins).max())


@EACH
@FEWER
@given(data=st.data())
def test_history_and_corrected_derivative_are_the_twins_after_every_step(method, data):
    case = data.draw(cases(guided=False, method=method))
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
            agree(stepper.momentum_d, next(corrected), config, np.abs(x).max())
    momenta = [oracle.momentum_at(config, step, len(after)) for step in range(len(after))]
    for ours, twins in zip(after, twin.histories, strict=True):
        if twins is None or (ours is None and all(momentum == 1 for momentum in momenta)):
            assert ours is None
        elif config.momentum_hist_init == "rand_new" and history is None:
            np.testing.assert_allclose(ours, twins, rtol=1e-5, atol=1e-6 * np.abs(twins).max())
        else:
            agree(ours, twins, config, np.abs(x).max())


def test_the_cases_reach_what_there_is():
    seen = Counter()

    @FEWER
    @given(data=st.data())
    def look(method, data):
        _, sigmas, config, reference, history = data.draw(cases(method=method))
        steps = len(sigmas) - 1
        momenta = [oracle.momentum_at(config, step, steps) for step in range(steps)]
        acts = any(momentum < 1 for momentum in momenta)
        assert (config.sampler, config.momentum_mode) == method
        for what, is_there in {
            "acts in three steps": sum(momentum < 1 for momentum in momenta) > 2,
            "begins later": acts and momenta[0] == 1,
            "ends earlier": acts and momenta[-1] == 1,
            "is plain": steps > 1 and not acts,
            "has no step": steps == 0,
            "is guarded": acts and config.momentum_mode == "lead" and config.lead_guard > 0,
            "is for a flow model": config.flow,
            "is guided": reference is not None,
            "has a history": acts and history is not None,
            "has no seed": config.seed is None,
        }.items():
            seen[method, what] += bool(is_there)
        seen[method] += 1

    for method in METHODS:
        look(method=method)
        assert seen[method, "acts in three steps"] > 2, (method, seen)
    for what in ("begins later", "ends earlier", "is plain", "has no step", "is guarded", "is for a flow model"):
        assert sum(seen[method, what] for method in METHODS) > 4, (what, seen)
    for what in ("is guided", "has a history", "has no seed"):
        assert sum(seen[method, what] for method in METHODS) > 20, (what, seen)


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
