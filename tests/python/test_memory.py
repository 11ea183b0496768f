"""How much memory a run takes: one buffer for the latent, two if somebody may ask for the last one, and no more."""

import gc
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from runs import SAMPLERS, latent, reply
from sonar_sampler import NumericError, SonarConfig, Stepper, sample
from sonar_sampler.registry import SOLVERS

SHAPE = (1, 4, 128, 128)
STEPS = 12
SIGMAS = np.linspace(9, 1, STEPS + 1)


def address(array):
    return array.__array_interface__["data"][0]


def peak_of(size, work):
    """How many arrays of `size` bytes were there at most beside those there before."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        work()
        return round((tracemalloc.get_traced_memory()[1] - before) / size, 1)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("momentum", [1.0, 0.95])
@pytest.mark.parametrize("guided", [False, True])
def test_a_latent_that_nobody_keeps_is_stepped_in_place(sampler, dtype, momentum, guided):
    addresses, denoised = [], latent(2, SHAPE, dtype)

    def model(x, sigma):
        addresses.append(address(x))
        return denoised

    config = SonarConfig(sampler=sampler, momentum=momentum, s_churn=1.0)
    reference = latent(1, SHAPE, dtype) if guided else None
    out = sample(model, latent(0, SHAPE, dtype), SIGMAS, config, reference=reference)
    calls = SOLVERS[sampler].calls
    assert {*addresses[::calls]} == {address(out)}
    assert len({*addresses}) == calls  # a second call has an array of its own, always the same


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_latents_of_a_stepper_take_turns_in_two_buffers(sampler):
    addresses, denoised = [], latent(2, SHAPE)
    stepper = Stepper(SonarConfig(sampler=sampler, s_churn=1.0), SIGMAS, latent(0, SHAPE))
    while stepper.result is None:
        addresses.append(address(stepper.x))
        reply(stepper, denoised)
    assert len({*addresses, address(stepper.result)}) == 2


def test_an_answer_that_is_the_latent_itself_costs_a_second_buffer_and_no_more():
    x = latent(0, SHAPE)
    config = SonarConfig(sampler="euler", momentum=1.0)
    assert peak_of(x.nbytes, lambda: sample(lambda x, sigma: x[:, ::1], x, SIGMAS, config)) == 2


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("options", [{"momentum": 1.0}, {"momentum": 0.9}, {"momentum_hist_init": "rand_init"}])
def test_beside_latent_noise_and_what_a_second_call_needs_numpy_makes_no_array_of_that_size(sampler, options):
    x, denoised, noise = latent(0, SHAPE), latent(1, SHAPE), latent(2, SHAPE)
    config = SonarConfig(sampler=sampler, **options)
    draws = sampler not in ("euler", "heun", "dpmpp_2m")
    # The history and an older answer lie in the core's memory; a latent ahead of the present one is the model's to see.
    expected = 1 + (sampler in ("heun", "dpmpp_sde"))
    sample(lambda *_: denoised, x, SIGMAS, config)  # what is imported and cached at the first run
    own = peak_of(x.nbytes, lambda: sample(lambda *_: denoised, x, SIGMAS, config))
    hosts = peak_of(x.nbytes, lambda: sample(lambda *_: denoised, x, SIGMAS, config, noise=lambda *_: noise))
    assert hosts == expected
    assert own == expected + draws


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_after_the_first_steps_nothing_of_the_latents_size_is_allocated(sampler):
    x, denoised, used = latent(0, SHAPE), latent(1, SHAPE), []

    def model(x, sigma):
        used.append(tracemalloc.get_traced_memory()[0])
        return denoised

    tracemalloc.start()
    try:
        sample(model, x, SIGMAS, SonarConfig(sampler=sampler))
    finally:
        tracemalloc.stop()
    assert used[0] > 0.9 * x.nbytes  # the count sees what is allocated: a latent
    assert max(used[3:]) - used[2] < x.nbytes / 50


def test_a_model_that_keeps_its_inputs_costs_one_array_each_and_no_more():
    x, denoised, kept = latent(0, SHAPE), latent(1, SHAPE), []

    def model(x, sigma):
        kept.append(x)
        return denoised

    config = SonarConfig(sampler="euler", momentum=1.0)
    assert peak_of(x.nbytes, lambda: sample(model, x, SIGMAS, config)) == STEPS + 1
    assert len({address(array) for array in kept}) == STEPS


def test_a_stepper_allocates_nothing_of_the_latents_size_either():
    x, denoised, noise = latent(0, SHAPE), latent(1, SHAPE), latent(2, SHAPE)
    stepper = Stepper(SonarConfig(), SIGMAS, x, record=False)

    def step():
        stepper.request()
        reply(stepper, denoised)
        reply(stepper, noise)

    for _ in range(3):
        step()
    assert peak_of(x.nbytes, lambda: [step() for _ in range(STEPS - 3)]) < 0.1


@pytest.mark.parametrize("layout", ["contiguous", "strided"])
def test_answers_are_read_where_they_lie_if_they_can_be(layout):
    x = latent(0, SHAPE)
    wide = np.zeros((*SHAPE[:3], SHAPE[3] * 2), np.float32)
    answer = latent(1, SHAPE) if layout == "contiguous" else wide[..., ::2]
    stepper = Stepper(SonarConfig(sampler="euler", momentum=1.0), SIGMAS, x)
    for _ in range(3):
        reply(stepper, answer)
    assert peak_of(x.nbytes, lambda: reply(stepper, answer)) == (0 if layout == "contiguous" else 1)


def test_the_callback_is_told_the_models_own_array():
    denoised, told = latent(1, SHAPE), []
    sample(lambda *_: denoised, latent(0, SHAPE), SIGMAS, SonarConfig(), callback=lambda s: told.append(s["denoised"]))
    assert all(array is denoised for array in told)


def resident():
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of the process from /proc")
def test_ten_thousand_runs_leave_memory_where_it_was():
    x, denoised, reference = (latent(seed, (1, 4, 32, 32)) for seed in range(3))

    def fails(x, sigma):
        return x * np.nan

    def some(count):
        for k in range(count):
            config = SonarConfig(sampler=SAMPLERS[k % len(SAMPLERS)], seed=k)
            sample(lambda *_: denoised, x, SIGMAS[:4], config, reference=reference if k % 2 else None)
            if k % 10 == 0:
                with pytest.raises(NumericError):
                    sample(fails, x, SIGMAS, config)
                reply(Stepper(config, SIGMAS, x), denoised) if k % 3 else None

    some(500)
    gc.collect()
    before = resident()
    some(10_000)
    gc.collect()
    grown = resident() - before
    assert grown < 2_000_000, f"{grown} bytes in 10,000 runs"
