"""The pull towards a reference: on which steps, how strongly, on every method."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle
from runs import SAMPLERS, denoise, karras, latent, reply, same_bits
from sonar_sampler import ConfigError, SonarConfig, Stepper, guidance_step, normalize_reference, sample

METHODS = ("linear", "euler")


def pulled_steps(steps, **options):
    """The steps at which a run with a reference is not just `x + m dt`."""
    x, sigmas = latent(0), np.linspace(14, 1, steps + 1).astype(np.float32)
    stepper = Stepper(SonarConfig(sampler="euler", ref_factor=0.3, **options), sigmas, x, reference=latent(1))
    found = []
    for step in range(steps):
        before = stepper.x
        reply(stepper, np.zeros_like(x))
        after = before + stepper.momentum_d * (sigmas[step + 1] - sigmas[step])
        if not np.array_equal(after, stepper.x):
            found.append(step)
    return found


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, 2, [0, 1, 2]),
        (3, 3, [3]),
        (0.0, 0.0, [0]),
        (0, 0, [0]),
        (1, 100, [*range(1, 10)]),
        (9, 9, [9]),
        (10, 10, []),
        (0.0, 1.0, [*range(10)]),
        (1.0, 1.0, []),
        (1, 1.0, [*range(1, 10)]),
        (0.25, 0.75, [*range(2, 9)]),  # 2.5 and 7.5: half to even, as Python rounds
        (0.35, 0.45, [4]),  # 3.5 -> 4, 4.5 -> 4
        (np.int64(3), np.float32(0.5), [3, 4, 5]),
    ],
)
def test_the_steps_from_start_to_stop_are_pulled_and_no_others(start, stop, expected):
    for method in METHODS:
        assert pulled_steps(10, ref_start=start, ref_stop=stop, ref_method=method) == expected


@pytest.mark.parametrize(("start", "stop"), [(5, 4), (0.5, 0.25), (0.8, 0.75)])
@pytest.mark.parametrize("what", ["ref", "momentum"])
def test_a_range_that_ends_before_it_begins_is_refused(what, start, stop):
    with pytest.raises(ConfigError, match=rf"^{what}_start = {start}: must not be after {what}_stop \({stop}\)"):
        SonarConfig(**{f"{what}_start": start, f"{what}_stop": stop})


@given(fraction=st.floats(0, 1), steps=st.integers(1, 40))
def test_a_fraction_of_the_steps_is_rounded_as_python_rounds(fraction, steps):
    expected = round(fraction * steps)
    assert pulled_steps(steps, ref_start=fraction, ref_stop=expected) == [expected] * (expected < steps)


def test_an_int_1_is_the_second_step_and_a_float_1_is_all_of_them():
    assert pulled_steps(4, ref_start=1, ref_stop=1) == [1]
    assert pulled_steps(4, ref_start=0.0, ref_stop=1.0) == [0, 1, 2, 3]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("method", METHODS)
def test_the_pull_comes_after_the_step_and_before_the_noise(sampler, method):
    x, reference, denoised, noise = (latent(seed) for seed in range(4))
    config = SonarConfig(sampler=sampler, ref_method=method, ref_factor=0.2, momentum=1.0)
    out = sample(lambda *_: denoised, x, [4.0, 2.0], config, reference=reference, noise=lambda *_: noise)
    down, up = oracle.ancestral(np.float32(4), np.float32(2), 1.0) if sampler == "euler_a" else (np.float32(2), 0)
    up = np.float32(1e-5) if sampler == "naive" else up
    stepped = x + (x - denoised) / np.float32(4) * (down - np.float32(4))
    pulled = oracle.pull(stepped, denoised, oracle.normalize(reference), np.float32(4), np.float32(2), 0.2, method)
    np.testing.assert_allclose(out, pulled + noise * up, rtol=1e-5, atol=1e-5)
    assert np.abs(pulled - stepped).max() > 0.05


def test_linear_with_factor_1_is_the_reference_in_the_colours_of_the_latent():
    x, reference = latent(0, dtype=np.float64), latent(1, dtype=np.float64)
    out = guidance_step(x, x, normalize_reference(reference), 2.0, 1.0, factor=1.0, method="linear")
    for image, source in zip(out, x, strict=True):
        np.testing.assert_allclose(image.mean(), source.mean(), atol=1e-12)
    assert np.corrcoef(out[0, 0].ravel(), reference[0, 0].ravel())[0, 1] > 0.999999


def test_a_negative_factor_pushes_away():
    x, r = latent(0, dtype=np.float64), normalize_reference(latent(1, dtype=np.float64))
    alike = [
        np.corrcoef(guidance_step(x, x, r, 2.0, 1.0, factor=f, method="linear").ravel(), r.ravel())[0, 1]
        for f in (-0.3, 0.0, 0.3)
    ]
    assert alike[0] < alike[1] < alike[2]


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 4, 6, 7), (1, 4, 3, 5, 6)])
def test_a_normalised_reference_has_mean_0_and_deviation_1_per_image_and_channel(shape):
    r = normalize_reference(latent(0, shape, np.float64) + 5)
    axes = tuple(range(2, len(shape)))
    np.testing.assert_allclose(r.mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(r.std(axes, ddof=1), 1, rtol=1e-12)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("method", METHODS)
def test_one_reference_serves_a_whole_batch(sampler, method):
    x, one, config = latent(0), latent(1, (1, 4, 8, 8)), SonarConfig(sampler=sampler, ref_method=method)
    same_bits(
        sample(denoise, x, karras(5), config, reference=one),
        sample(denoise, x, karras(5), config, reference=np.repeat(one, 2, 0)),
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_scale_and_offset_of_a_reference_do_not_matter(sampler):
    x, reference, config = latent(0, dtype=np.float64), latent(1, dtype=np.float64), SonarConfig(sampler=sampler)
    runs = [sample(denoise, x, karras(5), config, reference=r) for r in (reference, reference * 7 + 3)]
    np.testing.assert_allclose(*runs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_without_effect_a_reference_changes_no_bit(sampler):
    x, reference = latent(0), latent(1)
    plain = sample(denoise, x, karras(6), SonarConfig(sampler=sampler))
    for options in ({"ref_factor": 0.0}, {"ref_factor": [0.0] * 6}, {"ref_start": 50, "ref_stop": 60}):
        config = SonarConfig(sampler=sampler, **options)
        same_bits(sample(denoise, x, karras(6), config, reference=reference), plain)


def test_a_schedule_of_factors_pulls_where_it_is_not_0():
    assert pulled_steps(4, ref_stop=1.0) == [0, 1, 2, 3]
    x, sigmas = latent(0), [8.0, 4.0, 2.0]
    config = SonarConfig(sampler="euler", ref_factor=(0.0, 0.4), ref_stop=1.0, momentum=1.0)
    stepper = Stepper(config, sigmas, x, reference=latent(1))
    plain = Stepper(config, sigmas, x)
    for step, equal in enumerate((True, False)):
        reply(stepper, latent(step + 5))
        reply(plain, latent(step + 5))
        assert np.array_equal(stepper.x, plain.x) == equal


@pytest.mark.parametrize("method", METHODS)
def test_the_piece_is_what_a_run_does(method):
    x, denoised, reference = latent(0), latent(1), latent(2)
    config = SonarConfig(sampler="euler", momentum=1.0, ref_method=method, ref_factor=0.25)
    out = sample(lambda *_: denoised, x, [4.0, 2.0], config, reference=reference)
    stepped = x + (x - denoised) / np.float32(4) * np.float32(-2)
    same_bits(
        guidance_step(stepped, denoised, normalize_reference(reference), 4.0, 2.0, factor=0.25, method=method), out
    )
