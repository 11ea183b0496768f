"""A stepper that waits for its latent, and copies of one in any state."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import SAMPLERS, cases, denoise, karras, latent, reply, same_bits
from sonar_sampler import (
    ConfigError,
    Denoise,
    Done,
    DtypeError,
    LatentError,
    Noise,
    NumericError,
    ProtocolError,
    ScheduleError,
    SonarConfig,
    Stepper,
    sample,
)

X = latent(shape=(2, 2, 4, 4))
WAYS = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda stepper: pickle.loads(pickle.dumps(stepper))}
EACH_WAY = pytest.mark.parametrize("way", WAYS)
EACH_SAMPLER = pytest.mark.parametrize("sampler", SAMPLERS)


def advance(stepper):
    request = stepper.request()
    stepper.draw() if isinstance(request, Noise) else stepper.feed(denoise(request.x, request.sigma))


def finish(stepper):
    while not isinstance(stepper.request(), Done):
        advance(stepper)
    return stepper.result


def state(stepper):
    arrays = [stepper.x, stepper.history, stepper.momentum_d]
    return stepper.step, repr(stepper.request()), [None if array is None else array.tobytes() for array in arrays]


def test_a_stepper_without_a_latent_waits_for_it():
    config, reference, history = SonarConfig(ref_factor=0.1), latent(1, X.shape), latent(2, X.shape)
    stepper = Stepper(config, karras(3))
    for early in (
        stepper.request,
        stepper.draw,
        lambda: stepper.feed(X),
        lambda: stepper.replace_x(X),
        lambda: stepper.x,
        lambda: stepper.step,
        lambda: stepper.result,
        lambda: stepper.history,
        lambda: stepper.momentum_d,
        lambda: stepper.draws_after_denoising,
    ):
        with pytest.raises(ProtocolError, match=r"no latent yet; call start\(x\)"):
            early()
    stepper.start(X, reference=reference, history=history)
    assert isinstance(stepper.request(), Denoise)
    same_bits(finish(stepper), sample(denoise, X, karras(3), config, reference=reference, history=history))


def test_a_stepper_starts_once_and_a_refused_latent_is_no_start():
    stepper = Stepper(SonarConfig(), karras(3))
    for wrong, error in ((X[0, 0, 0], LatentError), (X * np.nan, LatentError), (None, DtypeError)):
        with pytest.raises(error, match="x"):
            stepper.start(wrong)
    with pytest.raises(LatentError, match="history"):
        stepper.start(X, history=X[:1])
    stepper.start(X)
    before = state(stepper)
    with pytest.raises(ProtocolError, match="has a latent already"):
        stepper.start(X)
    assert state(stepper) == before


def test_what_can_be_refused_without_a_latent_is_refused_when_it_is_made():
    with pytest.raises(ScheduleError, match="rises"):
        Stepper(SonarConfig(), [1.0, 2.0])
    with pytest.raises(ConfigError, match="momentum"):
        Stepper(SonarConfig(momentum=(0.5, 0.5)), [3.0, 2.0, 1.0, 0.0])
    for array in ({"reference": X}, {"history": X}):
        with pytest.raises(ProtocolError, match=r"give all to start\(\)"):
            Stepper(SonarConfig(), karras(3), **array)


@EACH_WAY
@EACH_SAMPLER
def test_a_copy_goes_on_from_any_request_to_the_same_result(sampler, way):
    """Between both calls of a step too, and with all that a step needs of the one before."""
    config = SonarConfig(sampler=sampler, s_churn=1.0, momentum_sign="rand", ref_factor=0.1, seed=5)
    stepper = Stepper(config, karras(3), X, reference=latent(1, X.shape))
    twins = [WAYS[way](stepper)]
    while not isinstance(stepper.request(), Done):
        twins.append(WAYS[way](stepper))
        assert state(twins[-1]) == state(stepper)
        advance(stepper)
    twins.append(WAYS[way](stepper))
    result = finish(stepper)
    for twin in twins:
        same_bits(finish(twin), result)
        assert finish(twin) is not result
        same_bits(twin.momentum_d, stepper.momentum_d)
        same_bits(twin.history, stepper.history)


@EACH_WAY
@EACH_SAMPLER
def test_a_copy_and_its_original_share_nothing_that_changes(sampler, way):
    stepper = Stepper(SonarConfig(sampler=sampler), karras(4), X)
    advance(stepper)
    twin = WAYS[way](stepper)
    before = state(twin)
    finish(stepper)
    assert state(twin) == before
    stepper = WAYS[way](twin)
    twin.request()
    reply(twin, latent(7, X.shape))
    assert state(stepper) == before


@EACH_WAY
def test_a_copy_has_seen_the_request_that_its_original_has_seen(way):
    stepper = Stepper(SonarConfig(), karras(3), X)
    with pytest.raises(ProtocolError, match="before request"):
        WAYS[way](stepper).feed(X)
    stepper.request()
    WAYS[way](stepper).feed(X)


@EACH_WAY
def test_a_copy_of_a_stepper_without_a_latent_waits_too(way):
    stepper = Stepper(SonarConfig(seed=3), karras(3))
    twins = [WAYS[way](stepper) for _ in range(2)]
    twins[0].start(X)
    for unstarted in (stepper, twins[1]):
        with pytest.raises(ProtocolError, match="no latent yet"):
            unstarted.request()
    stepper.start(X)
    same_bits(finish(twins[0]), finish(stepper))


@EACH_WAY
def test_a_copy_of_a_failed_run_has_failed(way):
    stepper = Stepper(SonarConfig(sampler="euler"), karras(3), X)
    with pytest.raises(NumericError):
        reply(stepper, X * np.nan)
    with pytest.raises(ProtocolError, match="ended with an error at step 0"):
        WAYS[way](stepper).request()


@EACH_WAY
def test_a_copy_keeps_the_options_of_its_making(way):
    twin = WAYS[way](Stepper(SonarConfig(sampler="heun"), [9.0, 4.0, 1.0], X, record=False, elementary=doubled))
    plain = Stepper(SonarConfig(sampler="heun"), [9.0, 4.0, 1.0], X, elementary=doubled)
    same_bits(finish(twin), finish(plain))
    assert twin.momentum_d is None
    assert plain.momentum_d is not None
    churned = SonarConfig(sampler="heun", s_churn=1.0)
    stepper = Stepper(churned, [9.0, 4.0, 1.0], X, elementary=doubled)
    same_bits(finish(WAYS[way](stepper)), finish(stepper))
    assert not np.array_equal(stepper.result, finish(Stepper(churned, [9.0, 4.0, 1.0], X)))


def doubled(name, value):
    return 2 * float(getattr(np, name)(value))


@EACH_WAY
def test_a_copy_of_a_float16_run_keeps_float32_between_its_steps(way):
    stepper = Stepper(SonarConfig(sampler="heun"), karras(3), X.astype(np.float16))
    for _ in range(2):
        advance(stepper)
    twin = WAYS[way](stepper)
    assert twin.x.dtype == np.float16
    same_bits(finish(twin), finish(stepper))


@given(case=cases(), data=st.data())
def test_a_run_that_is_pickled_between_any_two_requests_is_the_same_run(case, data):
    x, sigmas, config, reference, history = case
    try:
        out = sample(denoise, x, sigmas, config, reference=reference, history=history)
    except NumericError:
        return
    stepper = Stepper(config, sigmas, x, reference=reference, history=history)
    places = data.draw(st.sets(st.integers(0, 12), max_size=3))
    for place in range(100):
        if place in places:
            stepper = WAYS["pickle"](stepper)
        if isinstance(stepper.request(), Done):
            break
        advance(stepper)
    same_bits(stepper.result, out)
