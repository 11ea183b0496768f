"""Where and how an array lies in memory does not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs import Draws, cases, denoise, karras, latent, reply, same_bits
from sonar_sampler import NumericError, SonarConfig, Stepper, guidance_step, momentum_step, normalize_reference, sample


def fortran(x):
    return np.asfortranarray(x)


def strided(x):
    wide = np.full((*x.shape[:-1], x.shape[-1] * 2), np.nan, x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


def backwards(x):
    """Negative strides."""
    return np.ascontiguousarray(x[:, ::-1])[:, ::-1]


def channels_last(x):
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def swapped(x):
    """The other byte order."""
    return x.astype(x.dtype.newbyteorder())


def unaligned(x):
    memory = np.empty(x.nbytes + 1, np.uint8)
    odd = memory[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    assert not odd.flags.aligned
    return odd


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def subclass(x):
    return x.view(type("Mine", (np.ndarray,), {}))


LAYOUTS = [fortran, strided, backwards, channels_last, swapped, unaligned, read_only, subclass]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_layout_of_every_array_does_not_matter(layout, dtype):
    x, reference, history = (latent(seed, (2, 4, 6, 10), dtype, scale=3.0) for seed in range(3))
    config = SonarConfig(sampler="euler_a", ref_factor=0.1)

    def run(change):
        noise = Draws(7, x.shape, dtype)
        return sample(
            lambda x, sigma: change(denoise(x, sigma)),
            change(x),
            karras(4),
            config,
            reference=change(reference),
            noise=lambda *span: change(noise(*span)),
            history=change(history),
        )

    same_bits(np.asarray(run(layout)).astype(dtype), run(lambda x: x))


@given(case=cases(), layouts=st.lists(st.sampled_from(LAYOUTS), min_size=5, max_size=5))
def test_layouts_mixed_in_one_run_do_not_matter(case, layouts):
    x, sigmas, config, reference, history = case

    def optional(change, array):
        return None if array is None else change(array)

    def run(changes):
        return sample(
            lambda x, sigma: changes[0](denoise(x, sigma)),
            changes[1](x),
            sigmas,
            config,
            reference=optional(changes[2], reference),
            history=optional(changes[3], history),
            noise=(lambda draws: lambda *span: changes[4](draws(*span)))(Draws(1, x.shape, x.dtype)),
        )

    try:
        plain = run([lambda x: x] * 5)
    except NumericError:
        with pytest.raises(NumericError):
            run(layouts)
        return
    same_bits(run(layouts), plain)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_pieces_take_any_layout_too(layout):
    d, h, r = (latent(seed, (2, 3, 4, 5)) for seed in range(3))
    options = {"momentum": 0.7, "momentum_hist": 0.4, "sign": "neg"}
    for ours, plain in zip(momentum_step(layout(d), layout(h), **options), momentum_step(d, h, **options), strict=True):
        same_bits(ours, plain)
    same_bits(normalize_reference(layout(r)), normalize_reference(r))
    for method in ("linear", "euler"):
        pulled = guidance_step(layout(d), layout(h), layout(r), 2.0, 1.0, factor=0.2, method=method)
        same_bits(pulled, guidance_step(d, h, r, 2.0, 1.0, factor=0.2, method=method))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stepper_takes_any_layout_too(layout):
    x, config = latent(), SonarConfig(sampler="euler")
    steppers = [Stepper(config, [3.0, 1.0, 0.5], x), Stepper(config, [3.0, 1.0, 0.5], layout(x))]
    for change, stepper in zip((lambda x: x, layout), steppers, strict=True):
        stepper.replace_x(change(latent(5)))
        while (request := stepper.request()) and stepper.result is None:
            reply(stepper, change(denoise(request.x, request.sigma)))
    same_bits(steppers[1].result, steppers[0].result)


def test_broadcast_answers_are_read_as_what_they_show():
    x = latent()
    plain = sample(lambda x, sigma: np.full_like(x, 0.25), x, karras(3), SonarConfig(sampler="euler"))
    spread = sample(
        lambda x, sigma: np.broadcast_to(np.float32(0.25), x.shape), x, karras(3), SonarConfig(sampler="euler")
    )
    same_bits(spread, plain)


def test_inputs_are_never_modified():
    x, reference, history, sigmas = latent(), latent(1), latent(2), karras(5)
    denoised, noise = latent(3), latent(4)
    given_arrays = [x, reference, history, sigmas, denoised, noise]
    before = [array.copy() for array in given_arrays]
    for sampler in ("euler", "euler_a", "naive"):
        config = SonarConfig(sampler=sampler, s_churn=2.0, momentum_hist_init="rand_init", ref_factor=0.3)
        sample(lambda *_: denoised, x, sigmas, config, reference=reference, history=history, noise=lambda *_: noise)
        stepper = Stepper(config, sigmas, x, reference=reference, history=history)
        reply(stepper, denoised)
        reply(stepper, noise)
    for array, copy in zip(given_arrays, before, strict=True):
        same_bits(array, copy)


@pytest.mark.parametrize("change", [strided, swapped, unaligned, read_only, fortran])
def test_the_schedule_takes_any_layout_too(change):
    config = SonarConfig(sampler="euler")
    same_bits(sample(denoise, latent(), change(karras(4)), config), sample(denoise, latent(), karras(4), config))


@pytest.mark.parametrize("make", [list, tuple, np.float32, lambda s: np.array(s, np.longdouble)])
def test_a_schedule_is_any_sequence_of_numbers(make):
    sigmas = [3.0, 1.0, 0.5]
    same_bits(
        sample(denoise, latent(), make(sigmas), SonarConfig()),
        sample(denoise, latent(), np.array(sigmas), SonarConfig()),
    )
