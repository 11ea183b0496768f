"""What a model or a callback may do to a run, and what is promised then."""

import gc
import sys
import threading
import weakref

import numpy as np
import pytest

from runs import SAMPLERS, Draws, denoise, karras, latent, reply, same_bits
from sonar_sampler import LatentError, Noise, NumericError, ProtocolError, SonarConfig, Stepper, sample

X, SIGMAS = latent(), karras(5)
DTYPES = pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
ALL = pytest.mark.parametrize("sampler", SAMPLERS)


def run(model, sampler="euler_a", dtype=np.float32, **arguments):
    config = SonarConfig(sampler=sampler, s_churn=1.0, ref_factor=0.1)
    x, reference = X.astype(dtype), latent(1, dtype=dtype)
    return sample(model, x, SIGMAS, config, noise=Draws(3, X.shape, dtype), reference=reference, **arguments)


@ALL
@DTYPES
def test_a_model_may_answer_with_its_own_input(sampler, dtype):
    same_bits(run(lambda x, s: x, sampler, dtype), run(lambda x, s: x.copy(), sampler, dtype))


VIEWS = {
    "all": lambda x: x[:],
    "batch backwards": lambda x: x[::-1],
    "width backwards": lambda x: x[..., ::-1],
    "one image for all": lambda x: np.broadcast_to(x[:1], x.shape),
    "reshaped": lambda x: x.reshape(1, -1).reshape(x.shape),
    "transposed": lambda x: x.swapaxes(2, 3),
}


@ALL
@DTYPES
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_model_may_answer_with_a_view_of_its_input(sampler, dtype, view):
    same_bits(run(lambda x, s: view(x), sampler, dtype), run(lambda x, s: view(x).copy(), sampler, dtype))


@ALL
def test_a_model_may_answer_with_the_input_of_an_earlier_step(sampler):
    def recalling(copies):
        kept = []

        def model(x, sigma):
            kept.append(x.copy() if copies else x)
            return kept[max(0, len(kept) - 2)]

        return model

    same_bits(run(recalling(False), sampler), run(recalling(True), sampler))


@ALL
def test_a_model_may_answer_with_the_same_array_each_time(sampler):
    answer = np.empty_like(X)

    def reusing(x, sigma):
        answer[:] = denoise(x, sigma)
        return answer

    same_bits(run(reusing, sampler), run(denoise, sampler))


@ALL
def test_noise_and_answer_may_be_one_array(sampler):
    one = latent(7)
    config = SonarConfig(sampler=sampler, s_churn=1.0)
    same_bits(
        sample(lambda *_: one, X, SIGMAS, config, noise=lambda *_: one),
        sample(lambda *_: one.copy(), X, SIGMAS, config, noise=lambda *_: one.copy()),
    )


@ALL
def test_noise_may_be_the_latent_itself(sampler):
    config, last = SonarConfig(sampler=sampler, s_churn=1.0), []

    def model(x, sigma):
        last[:] = [x]
        return denoise(x, sigma)

    def noise(copies):
        return lambda *_: last[0].copy() if copies and last else (last[0] if last else np.zeros_like(X))

    outs = []
    for copies in (True, False):
        last.clear()
        outs.append(sample(model, X, SIGMAS, config, noise=noise(copies)))
    same_bits(*outs)


@ALL
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_that_writes_into_its_input_gets_numpys_error(sampler, dtype):
    def scribbling(x, sigma):
        x *= 0.5
        return x

    with pytest.raises(ValueError, match="read-only"):
        run(scribbling, sampler, dtype)


def test_a_float16_model_has_a_copy_to_write_into():
    def scribbling(x, sigma):
        x *= 0
        return np.zeros_like(x)

    same_bits(run(scribbling, dtype=np.float16), run(lambda x, s: np.zeros_like(x), dtype=np.float16))


@ALL
@DTYPES
@pytest.mark.parametrize("keep", [lambda x: x, lambda x: x[1:, ::2], memoryview, lambda x: x.T.reshape(-1)[:7]])
def test_what_a_model_keeps_is_never_written_to_again(sampler, dtype, keep):
    kept = []

    def model(x, sigma):
        kept.append((keep(x), np.array(keep(x))))
        return denoise(x, sigma)

    plain = run(denoise, sampler, dtype)
    same_bits(run(model, sampler, dtype), plain)
    for held, then in kept:
        same_bits(np.asarray(held), then)


@ALL
def test_what_a_callback_keeps_is_never_written_to_again(sampler):
    kept = []
    run(denoise, sampler, callback=lambda s: kept.append((s, s["x"].copy(), s["denoised"].copy())))
    for state, x, denoised in kept:
        same_bits(state["x"], x)
        same_bits(state["denoised"], denoised)


def test_what_a_stepper_handed_out_is_never_written_to_again():
    stepper = Stepper(SonarConfig(sampler="euler"), SIGMAS, X)
    kept = []
    while stepper.result is None:
        kept.extend((array, array.copy()) for array in (stepper.request().x, stepper.x))
        reply(stepper, denoise(stepper.x, stepper.request().sigma))
    for held, then in kept:
        same_bits(held, then)


@ALL
@pytest.mark.parametrize("spoilt", ["churn or first answer", "last"])
def test_a_stepper_whose_step_failed_still_has_the_latent_it_started_from(sampler, spoilt):
    stepper = Stepper(SonarConfig(sampler=sampler, s_churn=1.0, ref_factor=0.1), SIGMAS, X, reference=latent(1))
    while spoilt == "last" and stepper.step < 4:
        asked = stepper.request()
        reply(stepper, latent(2) if isinstance(asked, Noise) else denoise(asked.x, asked.sigma))
        del asked
    before = stepper.x.copy()
    with pytest.raises(NumericError):
        for _ in range(3):
            reply(stepper, X * np.nan)
    same_bits(stepper.x, before)


def test_what_was_kept_and_released_may_be_reused():
    held, plain = [], run(denoise)

    def model(x, sigma):
        held.append(x)
        if len(held) == 3:
            held.clear()
        return denoise(x, sigma)

    same_bits(run(model), plain)


@ALL
@pytest.mark.parametrize("step", [0, 1, 4])
def test_a_model_that_changes_shape_in_mid_run_is_told_so(sampler, step):
    calls = []

    def model(x, sigma):
        calls.append(sigma)
        return x[..., :4] if len(calls) == step + 1 else denoise(x, sigma)

    with pytest.raises(LatentError, match=r"the denoiser's answer has shape \[2, 4, 8, 4\]"):
        run(model, sampler)
    assert len(calls) == step + 1


def test_a_model_that_resizes_its_input_gets_numpys_error():
    def model(x, sigma):
        x.resize((1, 1))
        return x

    with pytest.raises(ValueError, match=r"resize|own its data|refcheck"):
        run(model)


def test_a_model_that_locks_the_buffer_behind_its_input_gets_an_error_of_ours_at_worst():
    def model(x, sigma):
        x.base.flags.writeable = False
        return denoise(x, sigma)

    try:
        same_bits(run(model), run(denoise))
    except Exception as error:
        assert type(error).__name__ == "ProtocolError"


def test_a_model_that_calls_sample_with_the_latent_it_was_given_changes_nothing():
    def model(x, sigma):
        sample(lambda x, s: x * 0, x, [2.0, 1.0, 0.0], SonarConfig(sampler="naive"), history=x)
        return denoise(x, sigma)

    same_bits(run(model), run(denoise))


def test_a_callback_that_deletes_what_it_can_changes_nothing():
    def model(x, sigma):
        model.x = x
        return denoise(x, sigma)

    def callback(state):
        state.clear()
        del model.x
        gc.collect()

    same_bits(run(model, callback=callback), run(denoise))


def test_a_model_deleted_in_mid_run_is_kept_alive_by_the_run():
    class Model:
        def __call__(self, x, sigma):
            box.clear()
            gc.collect()
            return denoise(x, sigma)

    box = [Model()]
    alive = weakref.ref(box[0])
    same_bits(run(box.pop()), run(denoise))
    gc.collect()
    assert alive() is None


def test_a_run_keeps_nothing_alive():
    class Mine(np.ndarray):
        pass

    answers = []

    def model(x, sigma):
        answer = denoise(x, sigma).view(Mine)
        answers.append(weakref.ref(answer))
        return answer

    out = run(model)
    gc.collect()
    assert all(answer() is None for answer in answers)
    # The name, the call's argument: a result is nobody else's.
    assert sys.getrefcount(out) == 2


def test_an_error_keeps_nothing_alive():
    class Model:
        def __call__(self, x, sigma):
            return None

    model = Model()
    alive = weakref.ref(model)
    with pytest.raises(TypeError):
        run(model)
    del model
    gc.collect()
    assert alive() is None


def test_a_stepper_shared_by_threads_makes_right_steps_or_refuses():
    """Eight threads feed one stepper: each feeding is a whole step or an error, and all steps are the right ones."""
    steps, refused = 400, []
    sigmas = np.linspace(10, 1, steps + 1)
    zeros = np.zeros((1, 4, 64, 64), np.float32)
    config = SonarConfig(sampler="euler")
    stepper = Stepper(config, sigmas, zeros + 1)

    def feed_until_done():
        done = False
        while not done:
            try:
                reply(stepper, zeros)
                done = stepper.step == steps
            except ProtocolError as error:  # noqa: PERF203
                refused.append(str(error))
                done = "done" in str(error)

    threads = [threading.Thread(target=feed_until_done) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("in use" in message or "done" in message for message in refused)
    same_bits(stepper.result, sample(lambda *_: zeros, zeros + 1, sigmas, config))


def test_a_dtype_that_changes_in_mid_run_is_converted():
    calls = []

    def model(x, sigma):
        calls.append(sigma)
        return denoise(x, sigma).astype([np.float16, np.float32, np.float64][len(calls) % 3])

    calls_again = []

    def converted(x, sigma):
        calls_again.append(sigma)
        dtype = [np.float16, np.float32, np.float64][len(calls_again) % 3]
        return denoise(x, sigma).astype(dtype).astype(np.float32)

    same_bits(run(model), run(converted))
