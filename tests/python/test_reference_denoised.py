"""The pull of the model's answer: its laws, on every solver and both kinds of momentum."""

import copy
import pickle

import numpy as np
import pytest

import oracle
from runs import FLOWING, METHODS, SAMPLERS, Draws, denoise, flow_sigmas, karras, latent, same_bits
from sonar_sampler import ConfigError, LatentError, NumericError, SonarConfig, Stepper, guidance_step, sample

EACH = pytest.mark.parametrize(("sampler", "mode"), METHODS, ids=map("-".join, METHODS))
WHOLE = {"ref_method": "denoised", "ref_match": "none", "ref_fade": 0.0, "ref_stop": 1.0}


def pulled(sampler="euler", mode="classic", **options):
    return SonarConfig(sampler=sampler, momentum_mode=mode, momentum=0.6, **{"ref_method": "denoised", **options})


def blob(shape=(1, 4, 32, 32), seed=3):
    """A reference with coarse and fine parts of the size of a clean latent."""
    rows, columns = np.mgrid[: shape[-2], : shape[-1]] / np.array(shape[-2:])[:, None, None]
    coarse = np.stack([np.sin(2 * rows + channel) + np.cos(3 * columns) for channel in range(shape[1])])
    return (coarse + 0.3 * latent(seed, shape, scale=1)).astype(np.float32)


@EACH
def test_with_all_the_weight_the_model_is_not_listened_to(sampler, mode):
    x, reference = latent(0, dtype=np.float64), latent(1, dtype=np.float64, scale=1)
    config = pulled(sampler, mode, ref_factor=1.0, **WHOLE)
    out = sample(denoise, x, karras(6), config, reference=reference, noise=Draws(1, x.shape, x.dtype))
    told = sample(lambda *_: reference, x, karras(6), config, noise=Draws(1, x.shape, x.dtype))
    np.testing.assert_allclose(out, told, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("mode", ["classic", "lead"])
def test_with_all_the_weight_to_the_end_the_result_is_the_reference(mode):
    x, reference = latent(0), latent(1, scale=1)
    config = SonarConfig(momentum_mode=mode, momentum=1.0 if mode == "classic" else 0.5, ref_factor=1.0, **WHOLE)
    np.testing.assert_allclose(sample(denoise, x, karras(6), config, reference=reference), reference, atol=1e-6)


@EACH
def test_where_the_mask_is_0_no_bit_changes(sampler, mode):
    x, mask = latent(0), np.zeros((1, 1, 8, 8), np.float32)
    mask[..., :3] = 0.7
    plain = sample(denoise, x, karras(6), pulled(sampler, mode))
    out = sample(denoise, x, karras(6), pulled(sampler, mode, ref_factor=0.3), reference=latent(1), reference_mask=mask)
    if mode == "classic":  # the guard of lead looks at the whole image
        same_bits(out[..., 3:], plain[..., 3:])
    assert np.abs(out[..., :3] - plain[..., :3]).mean() > 0.05
    nothing = sample(
        denoise, x, karras(6), pulled(sampler, mode, ref_detail=0.3), reference=latent(1), reference_mask=mask * 0
    )
    same_bits(nothing, plain)


@EACH
def test_a_mask_and_every_image_are_its_own(sampler, mode):
    x, reference = latent(0, (3, 4, 8, 8)), latent(1, (3, 4, 8, 8))
    mask = np.random.default_rng(2).uniform(0, 1, (3, 1, 8, 8)).astype(np.float32)
    config = pulled(sampler, mode, ref_factor=0.4, ref_detail=0.4)
    batch = sample(denoise, x, karras(5), config, reference=reference, reference_mask=mask, threads=1)
    for k in range(3):
        one = slice(k, k + 1)
        single = SonarConfig(**{**vars(config), "seed": k})
        alone = sample(denoise, x[one], karras(5), single, reference=reference[one], reference_mask=mask[one])
        same_bits(alone, batch[one])


def test_threads_change_no_bit():
    shape = (1, 4, 272, 256)
    x, reference, mask = latent(0, shape), latent(1, shape), np.full((1, 1, *shape[2:]), 0.5, np.float32)
    config = pulled("euler_a", "lead", ref_factor=0.3, ref_detail=0.2)
    runs = [
        sample(denoise, x, karras(3), config, reference=reference, reference_mask=mask, threads=threads)
        for threads in (1, 2)
    ]
    same_bits(*runs)


@EACH
def test_every_latent_is_the_twins_with_a_mask_too(sampler, mode):
    x, reference = latent(0, (2, 3, 9, 6)), latent(1, (1, 3, 9, 6), scale=2)
    mask = np.random.default_rng(2).uniform(0, 1, (2, 1, 9, 6)).astype(np.float32)
    config = pulled(sampler, mode, ref_factor=0.4, ref_detail=0.2, ref_start=0.1, ref_stop=0.8)
    out = sample(denoise, x, karras(6), config, reference=reference, reference_mask=mask, noise=Draws(1, x.shape))
    twin = oracle.run(denoise, x, karras(6), config, reference=reference, reference_mask=mask, noise=Draws(1, x.shape))
    np.testing.assert_allclose(out, twin.out, rtol=1e-4, atol=1e-5 * np.abs(twin.out).max())


def simple(steps, high=14.6, low=0.03):
    return np.append(np.geomspace(high, low, steps), 0.0)


@pytest.mark.parametrize("schedule", [karras, simple])
def test_many_steps_have_a_limit_and_come_to_it_with_order_1(schedule):
    x, reference = latent(0, dtype=np.float64), latent(1, dtype=np.float64, scale=1)
    config = SonarConfig(sampler="euler", momentum=1.0, ref_method="denoised", ref_factor=0.3)
    runs = {n: sample(denoise, x, schedule(n), config, reference=reference) for n in (25, 50, 100, 200, 6400)}
    errors = [np.sqrt(np.mean((runs[n] - runs[6400]) ** 2)) for n in (25, 50, 100, 200)]
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert (orders > 0.8).all() and (orders < 1.35).all(), (errors, orders)


@pytest.mark.parametrize("schedule", [karras, simple])
def test_the_strength_hardly_depends_on_the_number_of_steps(schedule):
    x, reference = latent(0, dtype=np.float64), latent(1, dtype=np.float64, scale=1)

    def share(steps, factor):
        config = SonarConfig(sampler="euler", momentum=1.0, ref_method="denoised", ref_factor=factor, ref_match="none")
        plain = sample(denoise, x, schedule(steps), SonarConfig(sampler="euler", momentum=1.0))
        out = sample(denoise, x, schedule(steps), config, reference=reference)
        return np.sum((out - plain) * (reference - plain)) / np.sum((reference - plain) ** 2)

    shares = [share(steps, 0.3) for steps in (10, 50, 1000)]
    assert max(shares) / min(shares) < 1.2, shares
    assert 1.3 < share(50, 0.6) / shares[1] < 2.1


def test_on_a_gaussian_the_result_is_the_closed_form():
    """dx/ds = (x - (1-w) D - w R) / s, with D the posterior mean under N(0.2, 0.7^2), is linear in x."""
    w, first, last = 0.3, 14.6, 0.03
    x, reference = latent(0, dtype=np.float64), latent(1, dtype=np.float64, scale=1)
    config = SonarConfig(sampler="heun", momentum=1.0, ref_factor=w, **WHOLE)
    sigmas = np.geomspace(first, last, 400)
    out = sample(denoise, x, sigmas, config, reference=reference)

    def homogeneous(s):
        return s**w * (0.49 + s * s) ** ((1 - w) / 2)

    s = np.geomspace(first, last, 200_001)
    integrals = []
    for drive in ((1 - w) * 0.2 * s / (0.49 + s * s), w / s):
        values = -drive / homogeneous(s)
        integrals.append(np.sum((values[1:] + values[:-1]) / 2 * np.diff(s)))
    exact = homogeneous(last) * (x / homogeneous(first) + integrals[0] + reference * integrals[1])
    np.testing.assert_allclose(out, exact, atol=2e-4)


def test_with_little_detail_the_coarse_part_comes_near_and_the_fine_part_stays_free():
    reference = blob()
    x = latent(0, reference.shape)
    smooth = oracle.gaussian(32, 0.1)

    def parts(image):
        coarse = smooth @ image @ smooth.T
        return coarse, image - coarse

    def distances(image):
        return [np.sqrt(np.mean((mine - its) ** 2)) for mine, its in zip(parts(image), parts(reference), strict=True)]

    options = {"sampler": "euler", "momentum": 1.0, "ref_match": "none"}
    plain = distances(sample(denoise, x, karras(20), SonarConfig(**options)))
    config = SonarConfig(**options, ref_method="denoised", ref_factor=0.5, ref_detail=0.1)
    coarse, fine = np.divide(distances(sample(denoise, x, karras(20), config, reference=reference)), plain)
    assert coarse < 0.6 and 0.9 < fine < 1.1, (coarse, fine)


@pytest.mark.parametrize("sampler", FLOWING)
def test_a_flow_model_is_pulled_by_its_own_progress(sampler):
    x, reference = latent(0, scale=1), latent(1, scale=1)
    config = SonarConfig(
        sampler=sampler, momentum=1.0, flow=True, ref_method="denoised", ref_factor=0.4, ref_start=0.3, ref_stop=0.6
    )
    twin = oracle.run(denoise, x, flow_sigmas(9), config, reference=reference, noise=Draws(1, x.shape))
    out = sample(denoise, x, flow_sigmas(9), config, reference=reference, noise=Draws(1, x.shape))
    np.testing.assert_allclose(out, twin.out, rtol=1e-4, atol=1e-5)


def test_the_window_is_in_progress_and_fades():
    x, reference = latent(0, scale=1), latent(1, scale=1)
    config = SonarConfig(
        sampler="euler", momentum=1.0, flow=True, ref_method="denoised", ref_match="none", ref_factor=0.5,
        ref_start=0.3, ref_stop=0.6, ref_fade=0.2,
    )  # fmt: skip
    weights = []
    for step in range(10):
        sigmas = [1.0, 1 - step / 10, 0.95 - step / 10]
        plain = sample(lambda *_: x * 0, x, sigmas, SonarConfig(**{**vars(config), "ref_factor": 0.0}))
        out = sample(lambda *_: x * 0, x, sigmas, config, reference=reference)
        # What a step takes on of a reference, beside an answer of 0.
        per_step = (out - plain) / (reference * (1 - sigmas[2] / sigmas[1]))
        weights.append(float(np.median(per_step)))
    expected = [0, 0, 0.25, 0.5, 0.5, 0.5, 0.5, 0.25, 0, 0]
    np.testing.assert_allclose(weights, expected, atol=2e-3)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_one_frame_is_the_reference_of_all_frames(sampler):
    x, frame = latent(0, (1, 3, 4, 6, 5)), latent(1, (1, 3, 1, 6, 5))
    mask = np.random.default_rng(2).uniform(0, 1, (1, 1, 1, 6, 5)).astype(np.float32)
    config = pulled(sampler, ref_factor=0.3, ref_detail=0.5)
    same_bits(
        sample(denoise, x, karras(5), config, reference=frame, reference_mask=mask),
        sample(denoise, x, karras(5), config, reference=frame.repeat(4, 2), reference_mask=mask.repeat(4, 2)),
    )


def test_colours_of_a_matched_reference_do_not_count():
    x, reference = latent(0, dtype=np.float64), latent(1, dtype=np.float64)
    scaled = reference * np.array([2.0, 0.5, 3.0, 7.0]).reshape(1, 4, 1, 1) + 5
    for match, is_equal in (("channel", True), ("none", False)):
        config = pulled(ref_factor=0.3, ref_match=match)
        runs = [sample(denoise, x, karras(6), config, reference=given) for given in (reference, scaled)]
        assert np.allclose(*runs, rtol=1e-9, atol=1e-9) == is_equal


@pytest.mark.parametrize("masked", [False, True])
def test_a_copy_goes_on_with_the_same_bits_from_every_request(masked):
    x, reference = latent(0), latent(1, (1, 4, 8, 8))
    mask = np.random.default_rng(2).uniform(0, 1, (2, 1, 8, 8)).astype(np.float32) if masked else None
    config = pulled("dpmpp_2m_sde", ref_factor=0.3, ref_detail=0.5)

    def finish(stepper):
        while stepper.result is None:
            request = stepper.request()
            if type(request).__name__ == "Noise":
                stepper.draw()
            else:
                stepper.feed(denoise(request.x, request.sigma))
        return stepper.result

    stepper = Stepper(config, karras(5), x, reference=reference, reference_mask=mask)
    expected = finish(Stepper(config, karras(5), x, reference=reference, reference_mask=mask))
    while stepper.result is None:
        request = stepper.request()
        for twin in (copy.deepcopy(stepper), pickle.loads(pickle.dumps(stepper))):
            same_bits(finish(twin), expected)
        if type(request).__name__ == "Noise":
            stepper.draw()
        else:
            stepper.feed(denoise(request.x, request.sigma))


def test_what_the_model_answered_is_not_written_to():
    x, answers = latent(0), []

    def keeping(x, sigma):
        answers.append((answer := denoise(x, sigma), answer.copy()))
        return answer

    sample(keeping, x, karras(5), pulled(ref_factor=0.3), reference=latent(1))
    assert len(answers) == 5
    for answer, as_it_was in answers:
        same_bits(answer, as_it_was)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"ref_detail": 0.0}, r"ref_detail = 0.0: must be in \[0.01, 1\]"),
        ({"ref_detail": float("nan")}, "ref_detail = NaN"),
        ({"ref_fade": -0.1}, r"ref_fade = -0.1: must be in \[0, 1\]"),
        ({"ref_start": 3}, "ref_start = 3: must be a fraction"),
        ({"ref_stop": 12}, "ref_stop = 12: must be a fraction"),
        ({"ref_start": 0.8, "ref_stop": 0.5}, "ref_start = 0.8: must not be after ref_stop"),
        ({"ref_start": 0.2, "ref_stop": 0}, "ref_start = 0.2: must not be after ref_stop"),
        ({"ref_match": "colour"}, "ref_match = 'colour': must be one of channel, none"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        SonarConfig(ref_method="denoised", **options)


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (np.zeros((2, 4, 8, 8), np.float32), r"reference_mask has shape \[2, 4, 8, 8\]: must be \[2, 1, 8, 8\]"),
        (np.zeros((1, 1, 4, 8), np.float32), "reference_mask has shape"),
        (np.zeros((8, 8), np.float32), "reference_mask has shape"),
        (np.full((1, 1, 8, 8), 1.5, np.float32), r"reference_mask: holds 1.5; must be in \[0, 1\]"),
        (np.full((1, 1, 8, 8), -1, np.float32), "reference_mask: holds -1"),
        (np.full((1, 1, 8, 8), np.nan, np.float32), "reference_mask: holds NaN"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, text):
    with pytest.raises(LatentError, match=text):
        sample(denoise, latent(0), karras(3), pulled(), reference=latent(1), reference_mask=mask)


def test_a_mask_where_none_is_used_is_refused():
    mask = np.ones((1, 1, 8, 8), np.float32)
    with pytest.raises(ConfigError, match="needs ref_method = denoised"):
        sample(denoise, latent(0), karras(3), SonarConfig(), reference=latent(1), reference_mask=mask)
    with pytest.raises(ConfigError, match="give a reference, too"):
        sample(denoise, latent(0), karras(3), pulled(), reference_mask=mask)


def test_a_reference_that_cannot_be_matched_says_which_channel():
    reference = latent(1)
    reference[1, 2] = 3.0
    with pytest.raises(LatentError, match=r"channel 2 of image 1 is constant where it counts.*ref_match = none"):
        sample(denoise, latent(0), karras(3), pulled(), reference=reference)
    sample(denoise, latent(0), karras(3), pulled(ref_match="none"), reference=reference)
    mask = np.zeros((1, 1, 8, 8), np.float32)
    mask[..., 0, 0] = 1
    with pytest.raises(LatentError, match="channel 0 of image 0 is constant where it counts"):
        sample(denoise, latent(0), karras(3), pulled(), reference=latent(1), reference_mask=mask)


def test_other_mistakes_say_what_to_do():
    with pytest.raises(ConfigError, match="details need two spatial axes"):
        flat = latent(0, (1, 4, 8))
        sample(denoise, flat, karras(3), pulled(ref_detail=0.5), reference=latent(1, flat.shape))
    with pytest.raises(NumericError, match="the pull towards the reference grew past the largest number"):
        sample(denoise, latent(0), karras(3), pulled(ref_factor=1e39, ref_match="none"), reference=latent(1))
    with pytest.raises(NumericError, match="the denoiser answered NaN"):
        sample(lambda x, _: x * np.nan, latent(0), karras(3), pulled(ref_factor=0.3), reference=latent(1))
    with pytest.raises(ConfigError, match="method = denoised: must be linear or euler"):
        guidance_step(latent(0), latent(1), latent(2), 4.0, 2.0, factor=0.1, method="denoised")
