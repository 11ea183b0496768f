"""What a host may put into a stepper: another latent in mid-run, its own elementary functions."""

import numpy as np
import pytest

from runs import SAMPLERS, denoise, karras, latent, reply, same_bits
from sonar_sampler import (
    Denoise,
    Done,
    DtypeError,
    LatentError,
    Noise,
    ProtocolError,
    SonarConfig,
    Stepper,
    sample,
)

X = latent()
EULER = SonarConfig(sampler="euler")


def finish(stepper):
    while not isinstance(request := stepper.request(), Done):
        stepper.draw() if isinstance(request, Noise) else stepper.feed(denoise(request.x, request.sigma))


def state(stepper):
    arrays = [stepper.x, stepper.history, stepper.momentum_d]
    return stepper.step, repr(stepper.request()), [None if array is None else array.tobytes() for array in arrays]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_replace_x_goes_on_from_the_new_latent(sampler):
    config, other = SonarConfig(sampler=sampler, momentum=1.0), latent(9)
    stepper = Stepper(config, karras(3), X)
    stepper.replace_x(other)
    same_bits(stepper.x, other)
    finish(stepper)
    same_bits(stepper.result, sample(denoise, other, karras(3), config))


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_sde"])
def test_replace_x_waits_for_the_second_answer_of_a_step(sampler):
    stepper = Stepper(SonarConfig(sampler=sampler), [4.0, 2.0, 1.0], X)
    while not (isinstance(request := stepper.request(), Denoise) and request.x.tobytes() != stepper.x.tobytes()):
        stepper.feed(X * 0.5)
    assert stepper.step == 0
    before = state(stepper)
    with pytest.raises(ProtocolError, match="at the start of a step"):
        stepper.replace_x(X)
    assert state(stepper) == before
    while stepper.step == 0:
        reply(stepper, X * 0.5)
    stepper.replace_x(X)
    same_bits(stepper.x, X)


def test_replace_x_takes_a_copy_and_refuses_what_is_no_latent():
    stepper, other = Stepper(EULER, [4.0, 2.0], X), latent(9)
    stepper.replace_x(other)
    other[:] = 0
    same_bits(stepper.x, latent(9))
    before = state(stepper)
    for wrong, error in (
        (X[:1], LatentError),
        (np.full_like(X, np.nan), LatentError),
        (X.astype(int), DtypeError),
        (None, DtypeError),
    ):
        with pytest.raises(error, match="x"):
            stepper.replace_x(wrong)
        assert state(stepper) == before


def test_replace_x_in_the_middle_keeps_the_history():
    stepper = Stepper(EULER, [4.0, 2.0, 1.0], X)
    reply(stepper, denoise(X, 4.0))
    history = stepper.history
    stepper.replace_x(latent(9))
    same_bits(stepper.history, history)


@pytest.mark.parametrize(
    ("sampler", "functions"),
    [
        ("euler_a", {"sqrt"}),
        ("heun", {"sqrt"}),
        ("dpmpp_2m", {"exp", "expm1", "log"}),
        ("dpmpp_2m_sde", {"exp", "expm1", "log", "sqrt"}),
        ("dpmpp_sde", {"exp", "expm1", "log", "sqrt"}),
    ],
)
def test_the_schedule_is_computed_with_the_hosts_elementary_functions(sampler, functions):
    config, asked = SonarConfig(sampler=sampler, s_churn=1.0, momentum=1.0), set()

    def out(elementary):
        stepper = Stepper(config, [9.0, 4.0, 1.0], X, elementary=elementary)
        finish(stepper)
        return stepper.result

    def own(name, value):
        asked.add(name)
        return float(getattr(np, name)(value))

    plain = out(None)
    np.testing.assert_allclose(out(own), plain, rtol=1e-5, atol=1e-5)
    assert asked == functions
    for spoilt in functions:

        def another(name, value, spoilt=spoilt):
            right = own(name, value)
            return 1.01 * right + 0.01 if name == spoilt else right

        assert np.abs(out(another) - plain).max() > 1e-4, spoilt


def test_what_the_hosts_elementary_function_raises_passes_through():
    def elementary(name, value):
        raise KeyError(name, value)

    with pytest.raises(KeyError):
        Stepper(SonarConfig(), [9.0, 4.0, 1.0, 0.0], X, elementary=elementary)
