"""What a host is told and asked during a run, and that its exceptions pass."""

import _thread
import threading
import traceback

import numpy as np
import pytest

from runs import SAMPLERS, Draws, denoise, karras, latent, reply, same_bits
from sonar_sampler import SonarConfig, Stepper, sample
from sonar_sampler.registry import SOLVERS

X = latent()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_callback_is_told_all_five_once_per_step_before_x_changes(sampler):
    config, told, called, calls = SonarConfig(sampler=sampler, s_churn=1.0), [], [], SOLVERS[sampler].calls

    def model(x, sigma):
        called.append((x.copy(), sigma, denoise(x, sigma)))
        return called[-1][2]

    def callback(state):
        assert len(called) == calls * len(told) + 1
        told.append({**state, "x": state["x"].copy()})

    sigmas = karras(4).astype(np.float32)
    sample(model, X, sigmas, config, callback=callback)
    assert len(called) == (7 if calls == 2 else 4)  # the step to sigma 0 is Euler's
    assert [state["i"] for state in told] == [0, 1, 2, 3]
    for state, sigma, (x, sigma_hat, denoised) in zip(told, sigmas[:-1], called[::calls], strict=True):
        assert sorted(state) == ["denoised", "i", "sigma", "sigma_hat", "x"]
        assert type(state["sigma"]) is type(state["sigma_hat"]) is float
        assert (state["sigma"], state["sigma_hat"]) == (sigma, sigma_hat)
        assert (sigma_hat > sigma) == (sampler in ("euler", "heun"))
        same_bits(state["x"], x)
        assert state["denoised"] is denoised


def test_a_callback_changes_nothing():
    config = SonarConfig()
    plain = sample(denoise, X, karras(4), config)
    same_bits(sample(denoise, X, karras(4), config, callback=lambda state: state), plain)


def test_a_callback_may_delete_what_it_was_told():
    def callback(state):
        for key in list(state):
            del state[key]

    same_bits(
        sample(denoise, X, karras(4), SonarConfig(), callback=callback), sample(denoise, X, karras(4), SonarConfig())
    )


def test_noise_is_a_callable_of_the_two_sigmas():
    spans = []

    def noise(sigma, sigma_next):
        assert type(sigma) is type(sigma_next) is float
        spans.append((sigma, sigma_next))
        return latent(len(spans))

    same_bits(
        sample(denoise, X, [4.0, 2.0, 1.0, 0.0], SonarConfig(), noise=noise),
        sample(
            denoise, X, [4.0, 2.0, 1.0, 0.0], SonarConfig(), noise=lambda sigma, _: latent(spans.index((sigma, _)) + 1)
        ),
    )
    assert spans[:2] == [(4.0, 2.0), (2.0, 1.0)]


class Odd(BaseException):
    pass


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3), Odd("base"), MemoryError()])
@pytest.mark.parametrize("where", ["denoise", "noise", "callback"])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_an_exception_of_the_host_passes_unchanged_at_any_step(error, where, step):
    calls = {"denoise": 0, "noise": 0, "callback": 0}
    draws = Draws(0, X.shape)

    def tick(name):
        if name == where and calls[name] == step:
            raise error
        calls[name] += 1

    def model(x, sigma):
        tick("denoise")
        return denoise(x, sigma)

    def noise(*span):
        tick("noise")
        return draws(*span)

    with pytest.raises(BaseException) as caught:
        sample(model, X, karras(5), SonarConfig(), noise=noise, callback=lambda _: tick("callback"))
    assert caught.value is error
    assert calls[where] == step
    assert any(frame.name == "tick" for frame in traceback.extract_tb(error.__traceback__))
    error.__traceback__ = None


def test_a_run_that_was_left_by_an_exception_can_be_made_again():
    def broken(x, sigma):
        raise OSError("gone")

    plain = sample(denoise, X, karras(4), SonarConfig())
    for _ in range(3):
        with pytest.raises(OSError, match="gone"):
            sample(broken, X, karras(4), SonarConfig())
    same_bits(sample(denoise, X, karras(4), SonarConfig()), plain)


def test_exceptions_of_lookups_are_not_mistaken_for_protocol():
    for error in (StopIteration("x"), GeneratorExit("x"), AttributeError("x"), TypeError("x"), KeyError("x")):

        def model(x, sigma, error=error):
            raise error

        with pytest.raises(type(error)) as caught:
            sample(model, X, karras(2), SonarConfig())
        assert caught.value is error


def test_an_interrupt_from_another_thread_ends_a_run_between_two_steps(interruptible):
    steps = []

    def model(x, sigma):
        if not steps:
            thread = threading.Thread(target=_thread.interrupt_main)
            thread.start()
            thread.join()
        steps.append(sigma)
        return np.zeros_like(x)

    with pytest.raises(KeyboardInterrupt):
        sample(model, X, np.linspace(10, 1, 1000), SonarConfig())
    assert len(steps) < 1000


def test_an_interrupt_ends_a_run_whose_model_is_no_python_code(interruptible):
    """A model in C never gives Python a chance to look at signals: the loop does."""
    timer = threading.Timer(0.05, _thread.interrupt_main)
    sigmas = np.linspace(10, 1, 2_000_000)
    with pytest.raises(KeyboardInterrupt):
        timer.start()
        sample(np.multiply, X[:, :1, :1], sigmas, SonarConfig(sampler="euler", momentum=1.0))


def test_a_model_may_sample_itself():
    config = SonarConfig()

    def inner(x, sigma):
        return sample(denoise, x, [sigma, sigma / 2], config)

    stored = {}

    def recorded(x, sigma):
        stored.setdefault(sigma, inner(x, sigma))
        return stored[sigma]

    nested = sample(inner, X, [4.0, 2.0, 1.0], config, callback=lambda s: sample(denoise, s["x"], [1.0, 0.0], config))
    same_bits(nested, sample(recorded, X, [4.0, 2.0, 1.0], config))


def test_a_stepper_fed_from_inside_its_own_feeding_is_refused_or_left_alone():
    """An array whose conversion calls back: the stepper is not free, and says so."""
    stepper, seen = Stepper(SonarConfig(sampler="euler"), [4.0, 2.0], X), []

    class Sly(np.ndarray):
        def __array_finalize__(self, source):
            try:
                reply(stepper, X)
            except Exception as error:
                seen.append(type(error).__name__)

    sly = np.asfortranarray(X).view(Sly)
    seen.clear()
    try:
        reply(stepper, sly)
    except Exception as error:
        seen.append(type(error).__name__)
    assert set(seen) <= {"ProtocolError"}
    same_bits(stepper.result, sample(lambda *_: X, X, [4.0, 2.0], SonarConfig(sampler="euler")))
