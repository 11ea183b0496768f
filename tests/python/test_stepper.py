"""The run turned inside out: what it asks for, in which order, and what it refuses."""

import re

import numpy as np
import pytest
from hypothesis import given

from runs import Draws, cases, denoise, latent, reply, same_bits
from sonar_sampler import (
    Denoise,
    Done,
    DtypeError,
    LatentError,
    Noise,
    NumericError,
    ProtocolError,
    SonarConfig,
    Stepper,
    sample,
)

X = latent()
EULER, EULER_A, CHURN = SonarConfig(sampler="euler"), SonarConfig(), SonarConfig(sampler="euler", s_churn=1.0)


def finish(stepper, noise=None):
    asked = []
    while not isinstance(request := stepper.request(), Done):
        asked.append(type(request).__name__)
        if isinstance(request, Noise):
            stepper.draw() if noise is None else reply(stepper, noise(request.sigma, request.sigma_next))
        else:
            reply(stepper, denoise(request.x, request.sigma))
    return asked


def state(stepper):
    arrays = [stepper.x, stepper.history, stepper.momentum_d]
    return stepper.step, repr(stepper.request()), [None if array is None else array.tobytes() for array in arrays]


@given(case=cases())
def test_a_stepper_makes_the_run_that_sample_makes(case):
    x, sigmas, config, reference, history = case
    outs = []
    for own_noise in (True, False):
        noises = [None if own_noise else Draws(5, x.shape, x.dtype) for _ in range(2)]
        try:
            out = sample(denoise, x, sigmas, config, reference=reference, history=history, noise=noises[0])
        except NumericError:
            return
        stepper = Stepper(config, sigmas, x, reference=reference, history=history)
        finish(stepper, noises[1])
        same_bits(stepper.result, out)
        assert stepper.step == len(sigmas) - 1
        outs.append(out)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (EULER, ["Denoise", "Denoise"]),
        (EULER_A, ["Denoise", "Noise", "Denoise"]),
        (CHURN, ["Noise", "Denoise", "Noise", "Denoise"]),
        (SonarConfig(sampler="naive"), ["Denoise", "Noise", "Denoise", "Noise"]),
        (SonarConfig(sampler="heun"), ["Denoise", "Denoise", "Denoise"]),
        (SonarConfig(sampler="heun", s_churn=1.0), ["Noise", "Denoise", "Denoise", "Noise", "Denoise"]),
        (SonarConfig(sampler="heun", exact_last_step=True), ["Denoise", "Denoise", "Denoise"]),
        (SonarConfig(sampler="dpmpp_2m"), ["Denoise", "Denoise"]),
        (SonarConfig(sampler="dpmpp_2m_sde"), ["Denoise", "Noise", "Denoise"]),
        (SonarConfig(sampler="dpmpp_2m_sde", eta=0.0), ["Denoise", "Denoise"]),
        (SonarConfig(sampler="dpmpp_sde"), ["Denoise", "Noise", "Denoise", "Noise", "Denoise"]),
        (SonarConfig(sampler="dpmpp_sde", eta=0.0), ["Denoise", "Noise", "Denoise", "Noise", "Denoise"]),
    ],
)
def test_it_asks_for_what_the_method_needs_in_order(config, expected):
    assert finish(Stepper(config, [4.0, 2.0, 0.0], X)) == expected


def test_a_request_says_what_and_at_which_noise_level():
    stepper = Stepper(EULER_A, [4.0, 2.0, 1.0], X)
    request = stepper.request()
    assert isinstance(request, Denoise)
    assert (request.sigma, repr(request)) == (4.0, "Denoise(sigma=4)")
    same_bits(request.x, X)
    reply(stepper, X)
    request = stepper.request()
    assert isinstance(request, Noise)
    assert (request.sigma, request.sigma_next, repr(request)) == (4.0, 2.0, "Noise(sigma=4, sigma_next=2)")
    finish(stepper)
    assert repr(stepper.request()) == "Done()"


def test_asking_twice_changes_nothing():
    stepper = Stepper(EULER_A, [4.0, 2.0], X)
    before = state(stepper)
    assert state(stepper) == before
    same_bits(stepper.request().x, stepper.request().x)


def test_step_counts_and_result_waits_for_the_end():
    stepper = Stepper(EULER_A, [4.0, 2.0, 0.0], X)
    steps = []
    while stepper.result is None:
        steps.append(stepper.step)
        stepper.draw() if isinstance(stepper.request(), Noise) else reply(stepper, X)
    assert steps == [0, 0, 1]
    assert stepper.step == 2
    same_bits(stepper.result, stepper.x)


def test_what_it_keeps_is_handed_out_as_copies_and_the_latent_read_only():
    stepper = Stepper(EULER, [4.0, 2.0, 1.0], X)
    assert stepper.momentum_d is None
    assert stepper.history is None
    reply(stepper, denoise(X, 4.0))
    before = state(stepper)
    stepper.history[:] = 99
    stepper.momentum_d[:] = 99
    for array in (stepper.x, stepper.request().x):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 99
    assert state(stepper) == before


def test_the_corrected_derivative_is_the_one_of_the_last_step():
    stepper = Stepper(EULER, [4.0, 2.0, 1.0], X)
    before = stepper.x
    reply(stepper, denoise(X, 4.0))
    same_bits(stepper.x, before + stepper.momentum_d * np.float32(-2))


def test_what_corrects_no_derivative_leaves_the_last_one():
    config = SonarConfig(sampler="euler", s_churn=1.0, exact_last_step=True)
    stepper = Stepper(config, [4.0, 0.0], X)
    reply(stepper, X)  # churn
    assert stepper.momentum_d is None
    reply(stepper, X * 0.5)  # the exact step
    assert stepper.momentum_d is None
    stepper = Stepper(config, [4.0, 2.0, 0.0], X)
    for answer in (X, denoise(X, 4.0)):
        reply(stepper, answer)
    corrected = stepper.momentum_d
    for answer in (X, X * 0.5):
        reply(stepper, answer)
        same_bits(stepper.momentum_d, corrected)


def test_record_false_keeps_no_derivative():
    stepper = Stepper(EULER, [4.0, 2.0], X, record=False)
    reply(stepper, X)
    assert stepper.momentum_d is None


@pytest.mark.parametrize("config", [EULER_A, CHURN])
def test_feeding_the_wrong_thing_leaves_the_state(config):
    for when in range(3):
        stepper = Stepper(config, [4.0, 2.0, 1.0], X)
        for _ in range(when):
            stepper.draw() if isinstance(stepper.request(), Noise) else reply(stepper, denoise(X, 1.0))
        before = state(stepper)
        for wrong, error in (
            (X[:1], LatentError),
            (X.reshape(2, 4, 64), LatentError),
            (X[None], LatentError),
            (np.float32(3), DtypeError),
            (X.tolist(), DtypeError),
            (X.astype(int), DtypeError),
            (X.astype(complex), DtypeError),
            (X > 0, DtypeError),
            (X.astype(object), DtypeError),
            (None, DtypeError),
            ("noise", DtypeError),
        ):
            with pytest.raises(error):
                reply(stepper, wrong)
            assert state(stepper) == before
        finish(stepper)
        right = Stepper(config, [4.0, 2.0, 1.0], X)
        for _ in range(when):
            right.draw() if isinstance(right.request(), Noise) else reply(right, denoise(X, 1.0))
        finish(right)
        same_bits(stepper.result, right.result)


def test_out_of_order_is_refused_and_leaves_the_state():
    stepper = Stepper(EULER_A, [4.0, 2.0], X)
    before = state(stepper)
    with pytest.raises(ProtocolError, match="not asked for"):
        stepper.draw()
    assert state(stepper) == before
    reply(stepper, X)
    before = state(stepper)
    with pytest.raises(ProtocolError, match="only while the run asks for the denoised latent"):
        stepper.replace_x(X)
    assert state(stepper) == before
    stepper.draw()
    before = state(stepper)
    for late in (lambda: stepper.feed(X), stepper.draw, lambda: stepper.replace_x(X)):
        with pytest.raises(ProtocolError):
            late()
    assert state(stepper) == before
    assert isinstance(stepper.request(), Done)


@pytest.mark.parametrize("config", [EULER_A, CHURN, SonarConfig(sampler="heun"), SonarConfig(sampler="dpmpp_sde")])
def test_an_answer_counts_only_after_its_request(config):
    """What a host feeds twice, or feeds before it asks, is no answer to what the run needs next."""
    stepper = Stepper(config, [4.0, 2.0, 1.0], X)
    answers = {"feed": lambda: stepper.feed(X), "draw": stepper.draw}
    for done in range(len(finish(Stepper(config, [4.0, 2.0, 1.0], X)))):
        before = stepper.step, stepper.x.tobytes()
        assert stepper.result is None  # to look is not to ask
        for answer in answers.values():
            with pytest.raises(ProtocolError, match=r"before request\(\) asked for one"):
                answer()
        assert (stepper.step, stepper.x.tobytes()) == before
        noise = isinstance(stepper.request(), Noise)
        answers["draw" if noise and done % 2 else "feed"]()
    assert isinstance(stepper.request(), Done)
    for answer in answers.values():
        with pytest.raises(ProtocolError, match="the run is done"):
            answer()


def test_replacing_the_latent_does_not_answer_the_request():
    stepper = Stepper(EULER, [4.0, 2.0, 1.0], X)
    stepper.replace_x(latent(9))
    with pytest.raises(ProtocolError, match="before request"):
        stepper.feed(X)
    same_bits(stepper.request().x, latent(9))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_not_finite_ends_the_run_and_says_where(bad):
    stepper = Stepper(EULER, [4.0, 2.0, 1.0], X)
    reply(stepper, denoise(X, 4.0))
    wrong = denoise(stepper.x, 2.0)
    wrong[1, 3, 7, 7] = bad
    with pytest.raises(NumericError, match=r"step 1: the denoiser answered NaN .* at sigma 2 \(images \[1\]"):
        reply(stepper, wrong)
    for ended in (stepper.request, lambda: stepper.feed(X), stepper.draw, lambda: stepper.replace_x(X)):
        with pytest.raises(ProtocolError, match="ended with an error at step 1"):
            ended()


@pytest.mark.parametrize("config", [EULER_A, CHURN])
def test_noise_that_is_not_finite_ends_the_run_and_says_so(config):
    stepper = Stepper(config, [4.0, 2.0, 1.0], X)
    if config is EULER_A:
        reply(stepper, X)
    with pytest.raises(NumericError, match=r"step 0: the noise holds NaN .*images \[0, 1\]"):
        reply(stepper, np.full_like(X, np.nan))


def test_a_latent_that_grows_past_the_largest_number_is_said_to_have_grown():
    x = np.full((1, 1, 2, 2), 3e38, np.float32)
    stepper = Stepper(SonarConfig(sampler="euler", momentum_sign="neg"), [1.0, 3.0], x)
    with pytest.raises(NumericError, match="grew past the largest number"):
        reply(stepper, -x / 10)


def test_an_answer_to_a_latent_that_had_grown_is_laid_to_the_growth():
    """A model that gets numbers beyond its own range answers NaN: it is not the one to blame."""

    def answered(x, growth):
        stepper = Stepper(SonarConfig(sampler="euler", momentum_sign="neg"), [4.0, 2.0, 1.0], x)
        reply(stepper, x * growth)
        with pytest.raises(NumericError) as caught:
            reply(stepper, x * np.nan)
        return str(caught.value)

    grown = answered(X, 3000)
    assert "step 1: the denoiser answered NaN to a latent that had grown to " in grown
    assert "try a momentum nearer to 1, or fewer steps" in grown
    assert re.search(r"grown to [1-9]e[45] ", grown)
    for growth, scale in ((300, 1), (1, 1e-20), (1, 1e20)):
        assert "the denoiser answered NaN or infinite numbers" in answered(X * np.float32(scale), growth)


def test_what_was_fed_may_be_changed_once_the_step_is_made():
    outs = []
    for reuse in (False, True):
        stepper, answer = Stepper(EULER, [4.0, 2.0, 1.0], X), np.empty_like(X)
        for k in range(2):
            fed = answer if reuse else np.empty_like(X)
            fed[:] = latent(k)
            reply(stepper, fed)
        outs.append(stepper.result)
    same_bits(*outs)


def test_rand_new_has_its_history_from_the_start():
    stepper = Stepper(SonarConfig(sampler="euler", momentum_hist_init="rand_new"), [4.0, 2.0], X)
    assert abs(stepper.history.std() - 1) < 0.1


def test_a_given_history_overrides_the_init():
    history = latent(4)
    for init in ("zero", "rand_init", "rand_new"):
        stepper = Stepper(SonarConfig(sampler="euler", momentum_hist_init=init), [4.0, 2.0], X, history=history)
        same_bits(stepper.history, history)
        reply(stepper, denoise(X, 4.0))
        d = (X - denoise(X, 4.0)) / np.float32(4)
        np.testing.assert_allclose(stepper.momentum_d, 0.95 * d + 0.05 * history, rtol=1e-4, atol=1e-5)
