"""The embedded model: an exact denoiser, steered by words, the same bits every time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from sonar_sampler.toy import SCHEDULES, Prompt, ToyModel, sigmas, vocabulary
from sonar_sampler.toy.canvas import SIZE
from sonar_sampler.toy.codec import CHROMA_GAIN, LUMA_GAIN, colours_to_planes, halve, split_blocks
from sonar_sampler.toy.gaussian import EXPOSURE, NOISE, TINT, Layout, to_planes
from sonar_sampler.toy.mixture import Mixture
from sonar_sampler.toy.scene import Scene
from sonar_sampler.toy.schedule import SIGMA_MAX

MODEL = ToyModel()


def noise(seed: int, batch: int = 1) -> np.ndarray:
    rng = np.random.Generator(np.random.Philox(seed))
    return rng.standard_normal((batch, *MODEL.latent_shape), dtype=np.float32)


def sample(prompt: str, seed: int, *, negative: str = "", scale: float = 7.0, momentum: float = 1.0, steps: int = 12):
    """Plain Euler with `pos` momentum (history 0.75)."""
    denoise, levels = MODEL.denoiser(prompt, negative, scale), sigmas(steps)
    x, history = noise(seed) * levels[0], None
    for here, after in pairwise(levels):
        slope = (x - denoise(x, float(here))) / here
        slope = momentum * slope + (0.0 if history is None else (1 - momentum) * history)
        history = slope if history is None else 0.75 * history + 0.25 * slope
        x = (x + slope * (after - here)).astype(np.float32)
    return x


def picture(latent: np.ndarray) -> np.ndarray:
    return np.asarray(MODEL.decode(latent)[0], dtype=np.float64)


def subject_of(latent: np.ndarray) -> str:
    """The subject of the most likely component."""
    names = [name for name in vocabulary.SUBJECTS for _ in vocabulary.layouts(name)]
    mixture = Mixture([layout for name in vocabulary.SUBJECTS for layout in vocabulary.layouts(name)])
    planes = to_planes(latent)
    planes[0] += 1.0
    best = [part.max() for part in mixture.log_likelihoods(planes, mixture.coordinates(planes), 0.05)]
    return names[int(np.argmax(best))]


# The denoiser is exact.


def small_scene(rng: np.random.Generator, modes: int) -> Scene:
    """Overlapping fields on a patch of 8 x 8 pixels: small enough for dense matrices."""
    scene = Scene(tuple(frozenset({str(mode)}) for mode in range(modes)))
    for index in range(4):
        field = np.zeros((SIZE, SIZE))
        field[40:48, 60:68] = rng.random((8, 8))
        scene.add(field, rng.random((modes, 3)), 0.02 * (index + 1), 0.03, base=index < 2)
    return scene


def dense(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means and covariance of a scene on the numbers its fields touch, and which these are: by definition."""
    fields = np.array(scene.fields)
    luma, chroma = split_blocks(fields).reshape(4, -1), halve(fields).reshape(4, -1)
    blank = np.zeros_like(luma), np.zeros_like(chroma)
    planes = (
        np.hstack([luma, blank[1], blank[1]]),
        np.hstack([blank[0], chroma, blank[1]]),
        np.hstack([blank[0], blank[1], chroma]),
    )
    colours = colours_to_planes(np.array(scene.means))  # (fields, modes, 3)
    means = sum(colours[:, :, plane].T @ planes[plane] for plane in range(3))
    bases = np.outer(scene.bases, scene.bases)
    touched = np.flatnonzero(np.abs(np.vstack(planes)).sum(axis=0))
    covariance = NOISE**2 * np.eye(len(touched))
    for plane, (gain, shared, column) in enumerate(
        ((LUMA_GAIN, EXPOSURE, 0), (CHROMA_GAIN, TINT, 1), (CHROMA_GAIN, TINT, 1))
    ):
        spread = np.array(scene.spreads)[:, column]
        prior = gain**2 * (np.diag(spread**2) + shared**2 * bases)
        part = planes[plane][:, touched]
        covariance += part.T @ prior @ part
    return np.asarray(means)[:, touched], covariance, touched


@pytest.mark.parametrize("sigma", [0.003, 0.05, 0.3, 2.0])
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_denoiser_equals_the_dense_posterior_mean(sigma: float, scale: float):
    rng = np.random.default_rng(3)
    scenes = [small_scene(rng, 3), small_scene(rng, 2)]
    positive = [np.log([0.2, 0.3, 0.1]), np.log([0.3, 0.1])]
    negative = [np.log([0.1, 0.1, 0.4]), np.log([0.2, 0.2])]
    latent = (rng.standard_normal(MODEL.latent_shape) * 0.01).astype(np.float32)
    latent[:4] -= 1.0  # black
    latent[:, 20:24, 30:34] += (0.4 * rng.standard_normal((6, 4, 4)) * (0.3 + sigma) + 0.4).astype(np.float32)
    x = latent.astype(np.float64)
    x[:4] += 1.0
    x = x.ravel()

    parts = [dense(scene) for scene in scenes]
    touched = parts[0][2]
    answers = []
    for priors in (positive, negative):
        logs, means = [], []
        for (centres, covariance, _), prior in zip(parts, priors, strict=True):
            noisy = covariance + sigma**2 * np.eye(len(touched))
            for centre, log_weight in zip(centres, prior, strict=True):
                solved = np.linalg.solve(noisy, x[touched] - centre)
                logs.append(log_weight - 0.5 * (x[touched] - centre) @ solved - 0.5 * np.linalg.slogdet(noisy)[1])
                means.append(centre + covariance @ solved)
        shares = np.exp(np.array(logs) - max(logs))
        answers.append(shares / shares.sum() @ np.array(means))
    expected = x * NOISE**2 / (NOISE**2 + sigma**2)
    expected[touched] = answers[1] + scale * (answers[0] - answers[1])
    expected = expected.reshape(MODEL.latent_shape)
    expected[:4] -= 1.0

    mixture = Mixture([Layout(scene) for scene in scenes])
    actual = mixture.denoise(latent, sigma, positive, negative, scale)
    # float32 projections move log weights by some 1e-3 where sigma is small; components differ by about 0.5.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=3e-3 * scale)


def test_denoiser_follows_tweedie():
    """`(D(x) - x) / sigma^2` is the gradient of the log density that the responsibilities come from."""
    layouts = vocabulary.layouts("sea")
    mixture, sigma = Mixture(layouts), 3.0
    priors = [np.log(np.full(len(layout.centres), 1.0 / len(layout.centres))) for layout in layouts]
    x = (sample("sea sunset", 1) + sigma * noise(2))[0]
    direction = (sample("sea night", 3) - sample("sea day", 4))[0]

    def log_density(latent: np.ndarray) -> float:
        planes = to_planes(latent.astype(np.float32))
        planes[0] += 1.0
        logs = mixture.log_likelihoods(planes, mixture.coordinates(planes), sigma)
        return float(np.logaddexp.reduce(np.concatenate([a + b for a, b in zip(logs, priors, strict=True)])))

    slope = (log_density(x + 0.05 * direction) - log_density(x - 0.05 * direction)) / 0.1
    score = (mixture.denoise(x, sigma, priors, None, 1.0) - x) / sigma**2
    assert slope == pytest.approx(float((score.astype(np.float64) * direction).sum()), rel=0.01)


def test_guidance_is_linear_in_the_scale():
    x = noise(5) * 8
    positive = MODEL.denoiser("city night", cfg_scale=1.0)(x, 8.0)
    everything = MODEL.denoiser("", cfg_scale=1.0)(x, 8.0)
    guided = MODEL.denoiser("city night", cfg_scale=6.0)(x, 8.0)
    np.testing.assert_allclose(guided, everything + 6.0 * (positive - everything), atol=1e-3)
    same = MODEL.denoiser("city night", "storm", 1.0)(x, 8.0)
    assert np.array_equal(same, positive)


def test_a_clear_picture_stays():
    x = sample("hills day", 7)
    for scale, negative in ((1.0, ""), (7.0, ""), (7.0, "night")):
        np.testing.assert_allclose(MODEL.denoiser("hills day", negative, scale)(x, 0.01), x, atol=0.05)


# The same bits.


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_an_image_of_a_batch_is_the_image_alone(dtype: type):
    denoise = MODEL.denoiser("lake sunset")
    for sigma in (SIGMA_MAX, 2.0, 0.1):
        batch = (noise(1, batch=3) * sigma).astype(dtype)
        together = denoise(batch, sigma)
        assert together.dtype == dtype
        for image in range(3):
            assert np.array_equal(denoise(batch[image : image + 1], sigma)[0], together[image])


def test_memory_layout_does_not_matter_and_the_input_is_kept():
    denoise, x = MODEL.denoiser("forest"), noise(4)
    turned = np.asfortranarray(x)
    assert np.array_equal(denoise(turned, 1.0), denoise(x, 1.0))
    assert np.array_equal(x, noise(4))


def test_built_anew_the_model_is_the_same():
    x = noise(9) * 5
    first = MODEL.denoiser("planet red", cfg_scale=1.0)(x, 5.0)
    vocabulary.layouts.cache_clear()
    assert np.array_equal(MODEL.denoiser("planet red", cfg_scale=1.0)(x, 5.0), first)


def test_an_empty_batch_is_fine():
    assert MODEL.denoiser("sea", cfg_scale=1.0)(noise(0, batch=0), 1.0).shape == (0, *MODEL.latent_shape)
    assert MODEL.decode(noise(0, batch=0)) == []


# Words steer.


@pytest.mark.parametrize("subject", list(vocabulary.SUBJECTS))
def test_each_subject_is_drawn(subject: str):
    latent = sample(subject, 0, steps=8)[0]
    assert subject_of(latent) == subject
    assert np.abs(latent).max() < 6.0


def test_a_negative_prompt_pushes_away():
    def light(negative: str) -> float:
        return float(np.mean([picture(sample("city", seed, negative=negative, steps=8)).mean() for seed in range(3)]))

    assert light("night aurora") > light("day dawn") + 30


def test_momentum_changes_pictures():
    changes = [
        np.abs(picture(sample("mountains", seed, momentum=0.75)) - picture(sample("mountains", seed))).mean()
        for seed in range(3)
    ]
    assert np.mean(changes) > 2.0


@pytest.mark.parametrize(
    ("text", "subjects", "modifiers", "unknown"),
    [
        ("", {}, {}, ()),
        ("Mountains at the SUNSET", {"mountains": 1}, {"sunset": 1}, ()),
        ("mountain, peaks; snowy", {"mountains": 1}, {"winter": 1}, ()),
        ("(sea:1.3) ((night)) [misty]", {"sea": 1.3}, {"night": 1.21, "misty": 1 / 1.1}, ()),
        ("(dawn, desert:0.5)", {"desert": 0.5}, {"dawn": 0.5}, ()),
        ("(forest:0) hills", {"hills": 1}, {}, ()),
        ("cat, lake, a cat, 4k <lora:cat:1>", {"lake": 1}, {}, ("cat", "4k")),
        ("space", {"nebula": 1, "planet": 1}, {}, ()),
        ("((city) ]) :1.2 (", {"city": 1.0}, {}, ("1", "2")),
        ("(" * 9000 + "sea" + ")" * 9000, {"sea": 1e6}, {}, ()),
    ],
)
def test_prompts_are_read(text: str, subjects: dict, modifiers: dict, unknown: tuple):
    prompt = MODEL.parse(text)
    assert prompt.subjects == pytest.approx(subjects)
    assert prompt.modifiers == pytest.approx(modifiers)
    assert prompt.unknown == unknown


def chosen(text: str) -> dict[str, set[frozenset[str]]]:
    weights = Prompt.parse(text).weights()
    assert sum(float(part.sum()) for part in weights.values()) == pytest.approx(1.0)
    modes = {name: vocabulary.SUBJECTS[name].modes() for name in weights}
    return {
        name: {words for words, weight in zip(modes[name], part, strict=True) if weight > 0}
        for name, part in weights.items()
    }


def test_words_choose_components():
    assert set(chosen("")) == set(vocabulary.SUBJECTS)
    assert set(chosen("a dragon")) == set(vocabulary.SUBJECTS)
    assert set(chosen("red")) == {"nebula", "planet"}
    assert set(chosen("sunset")) == set(vocabulary.SUBJECTS) - {"nebula", "planet"}
    assert chosen("lake sunset winter clear") == {"lake": {frozenset({"sunset", "winter", "clear"})}}
    assert set(chosen("sea city")) == {"sea", "city"}
    assert len(chosen("planet winter")["planet"]) == 5
    assert {word for words in chosen("sea dawn night")["sea"] for word in words} >= {"dawn", "night"}


def test_every_word_is_explained_and_known():
    for word, line in MODEL.words.items():
        assert line
        assert MODEL.parse(word).unknown == ()
    with pytest.raises(TypeError):
        MODEL.words["cat"] = "no"  # type: ignore[index]


# Pictures and schedules.


def test_a_picture_survives_the_code():
    original = MODEL.decode(sample("desert day", 2))[0]
    assert (original.mode, original.size) == ("RGB", (384, 384))
    again = MODEL.decode(MODEL.encode(original)[None])[0]
    assert np.abs(np.asarray(original, dtype=float) - np.asarray(again, dtype=float)).mean() < 4.0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (640, 480)])
def test_any_picture_can_be_encoded(mode: str, size: tuple[int, int]):
    latent = MODEL.encode(Image.new("RGB", size, "white").convert(mode))
    assert latent.shape == MODEL.latent_shape
    assert latent.dtype == np.float32
    np.testing.assert_allclose(latent[:4], 1.0, atol=1e-5)
    np.testing.assert_allclose(latent[4:], 0.0, atol=1e-4)


def test_transparent_parts_are_black():
    assert np.allclose(MODEL.encode(Image.new("RGBA", (9, 9), (255, 255, 255, 0)))[:4], -1.0)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 20])
def test_schedules_fall_to_zero(schedule: str, steps: int):
    levels = sigmas(steps, schedule)
    assert levels.dtype == np.float32
    assert len(levels) == steps + 1
    assert levels[0] == pytest.approx(SIGMA_MAX)
    assert levels[-1] == 0.0
    assert np.all(np.diff(levels) < 0)


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        sigmas(0)
    with pytest.raises(ValueError, match=r"schedule must be one of karras, .*, got 'cosine'"):
        sigmas(3, "cosine")
    with pytest.raises(ValueError, match="cfg_scale must be a finite number, got nan"):
        MODEL.denoiser("sea", cfg_scale=float("nan"))
    denoise = MODEL.denoiser("sea", cfg_scale=1.0)
    with pytest.raises(ValueError, match=r"shape \(batch, 6, 64, 64\), got \(6, 64, 64\)"):
        denoise(noise(0)[0], 1.0)
    with pytest.raises(ValueError, match="floating dtype, got int64"):
        denoise(noise(0).astype(np.int64), 1.0)
    for sigma in (-1.0, float("inf")):
        with pytest.raises(ValueError, match="sigma must be finite and at least 0"):
            denoise(noise(0), sigma)
    with pytest.raises(ValueError, match=r"a latent has shape \(6, 64, 64\), got \(3, 8, 8\)"):
        MODEL.decode(np.zeros((1, 3, 8, 8), dtype=np.float32))
