"""Number types and numbers of axes."""

import numpy as np
import pytest

from runs import SAMPLERS, Draws, denoise, karras, latent, reply, same_bits
from sonar_sampler import NumericError, SonarConfig, Stepper, sample

SHAPES = [(3, 5), (2, 4, 6), (2, 4, 6, 7), (1, 3, 2, 4, 5), (1, 2, 1, 3, 2, 2)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_model_sees_and_the_caller_gets_the_dtype_of_x(dtype, sampler):
    seen, told = [], []

    def model(x, sigma):
        assert type(sigma) is float
        seen.append(x.dtype)
        return denoise(x, sigma)

    config = SonarConfig(sampler=sampler)
    out = sample(model, latent(dtype=dtype), karras(3), config, callback=lambda state: told.append(state["x"].dtype))
    assert {*seen, *told, out.dtype} == {np.dtype(dtype)}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_float16_stays_float32_between_the_steps(sampler):
    x = latent(dtype=np.float16)
    half = sample(denoise, x, karras(6), SonarConfig(sampler=sampler))
    single = sample(
        lambda x, sigma: denoise(x.astype(np.float16), sigma),
        x.astype(np.float32),
        karras(6),
        SonarConfig(sampler=sampler),
    )
    same_bits(half, single.astype(np.float16))


@pytest.mark.parametrize("grown", ["result", "input of the model"])
def test_a_latent_too_large_for_float16_is_an_error_and_not_infinity(grown):
    x, sigmas = np.full((2, 1, 2, 2), 60000.0, np.float16), [2.0, 4.0, 5.0]
    x[0] = 1
    with pytest.raises(NumericError, match=r"float16.*images \[1\]"):
        sample(
            lambda x, s: np.zeros_like(x), x, sigmas[:2] if grown == "result" else sigmas, SonarConfig(sampler="naive")
        )
    stepper = Stepper(SonarConfig(sampler="euler"), [2.0, 4.0], x)
    reply(stepper, np.zeros_like(x))
    with pytest.raises(NumericError):
        _ = stepper.result


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_answers_noise_reference_and_history_of_another_floating_type_are_converted(dtype):
    x, reference, history = latent(0), latent(1, dtype=dtype), latent(2, dtype=dtype)
    config, noise = SonarConfig(), Draws(3, x.shape, dtype)
    mixed = sample(
        lambda x, s: denoise(x, s).astype(dtype),
        x,
        karras(4),
        config,
        reference=reference,
        history=history,
        noise=noise,
    )
    noise = Draws(3, x.shape, dtype)
    plain = sample(
        lambda x, s: denoise(x, s).astype(dtype).astype(np.float32),
        x,
        karras(4),
        config,
        reference=reference.astype(np.float32),
        history=history.astype(np.float32),
        noise=lambda *span: noise(*span).astype(np.float32),
    )
    same_bits(mixed, plain)


def test_float64_is_computed_in_float64():
    x = latent(dtype=np.float64)
    out = sample(denoise, x, karras(6), SonarConfig(sampler="euler"))
    single = sample(denoise, x.astype(np.float32), karras(6), SonarConfig(sampler="euler"))
    assert 1e-9 < np.abs(out - single).max() < 1e-4


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_latents_have_two_axes_or_more_and_their_meaning_is_only_batch_channel_rest(sampler, shape):
    x, config = latent(0, shape), SonarConfig(sampler=sampler, momentum_sign="rand", momentum_hist_init="rand_new")
    out = sample(denoise, x, karras(4), config)
    assert out.shape == shape
    flat = sample(denoise, x.reshape(shape[0], -1), karras(4), config)
    same_bits(out, flat.reshape(shape))


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("method", ["linear", "euler"])
def test_a_reference_has_any_number_of_spatial_axes(shape, method):
    config = SonarConfig(ref_method=method, ref_factor=0.2)
    x, reference = latent(0, shape), latent(1, shape)
    out = sample(denoise, x, karras(4), config, reference=reference)
    flat = (*shape[:2], -1)
    flat_out = sample(denoise, x.reshape(flat), karras(4), config, reference=reference.reshape(flat))
    same_bits(out, flat_out.reshape(shape))
