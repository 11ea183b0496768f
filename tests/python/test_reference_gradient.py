"""The way to a reference by the model's gradient: it lowers what the pull would lower, and is nothing where that is."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runs import karras
from sonar_sampler import ConfigError, LatentError, SonarConfig, _core, sample
from sonar_sampler.gradients import Gradients, GradientWarning
from sonar_sampler.reference_loss import ReferenceLoss
from sonar_sampler.torch import sample_sonar_euler, sample_sonar_euler_a, sample_sonar_heun, sample_sonar_lead

SIGMAS = torch.tensor(karras(8), dtype=torch.float64)
GUIDED = {"ref_method": "denoised", "ref_factor": 0.2, "ref_detail": 0.5}


def denoise(x, sigma):
    level = sigma.reshape(-1, *[1] * (x.ndim - 1))
    return torch.tanh(x / (1 + level)) + 0.1 * x.roll(1, -1) / (1 + level)


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


REFERENCE = noise(1, 4, 8, 6, seed=9)
MASK = torch.rand(1, 1, 8, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def run(iterations, function=sample_sonar_euler, batch=2, told=None, model=denoise, x=None, **options):
    x = noise(batch, 4, 8, 6) * SIGMAS[0] if x is None else x
    options = {"reference": REFERENCE, "momentum": 1.0, "seed": 3, "disable": True, **GUIDED, **options}
    gradients = Gradients(grad_r_iter=iterations, told=None if told is None else told.append)
    with torch.no_grad():
        return function(model, x, SIGMAS, gradients=gradients, **options)


@given(st.sampled_from([1.0, 0.7, 0.3, 0.05]), st.sampled_from(["channel", "none"]), st.booleans(), st.integers(0, 99))
def test_the_loss_is_the_mean_square_of_what_the_pull_would_add(detail, match, masked, seed):
    options = {"ref_method": "denoised", "ref_factor": 1.0, "ref_stop": 1.0, "ref_match": match, "ref_detail": detail}
    config = SonarConfig(sampler="euler", momentum=1.0, seed=0, **options)
    denoised, mask = noise(2, 4, 8, 6, seed=seed), MASK if masked else None
    pulled = sample(
        lambda _x, _sigma: denoised.numpy(), np.zeros((2, 4, 8, 6)), [1.0, 0.0], config,
        reference=REFERENCE.numpy(), reference_mask=None if mask is None else mask.numpy(),
    )  # fmt: skip
    near = ReferenceLoss(config, REFERENCE, mask)
    added = torch.from_numpy(pulled) - denoised
    torch.testing.assert_close(near(denoised, near.towards(denoised)), added.square().flatten(1).mean(1))


def test_on_a_linear_denoiser_it_is_the_closed_form():
    """D(x) = a x and detail 1: x goes by w sigma along R - a x, of unit size."""
    a, w, sigma = 0.6, 0.3, 2.0
    x = noise(2, 4, 8, 6) * sigma
    out = sample_sonar_euler(
        lambda latent, _sigma: a * latent, x, torch.tensor([sigma, 0.0], dtype=torch.float64), disable=True,
        momentum=1.0, reference=REFERENCE, ref_method="denoised", ref_factor=w, ref_match="none",
        gradients=Gradients(grad_r_iter=1),
    )  # fmt: skip
    way = REFERENCE - a * x
    torch.testing.assert_close(out, a * (x + w * sigma * way / way.square().mean((1, 2, 3), keepdim=True).sqrt()))


@pytest.mark.parametrize("function", [sample_sonar_euler, sample_sonar_euler_a, sample_sonar_heun, sample_sonar_lead])
def test_the_loss_falls_and_the_picture_comes_nearer_in_what_is_coarse(function):
    told = []
    out, plain = run(3, function, told=told), run(3, function, reference=None)
    assert all(descent.of == "reference" for descent in told)
    losses = np.array([(descent.before, descent.after) for descent in told])
    assert (losses[:, 1] < losses[:, 0]).all(), losses
    near = ReferenceLoss(SonarConfig(ref_detail=0.5), REFERENCE, None)
    guided, unguided = near(out, near.towards(out)), near(plain, near.towards(plain))
    assert (guided < 0.8 * unguided).all(), (guided, unguided)


def test_it_goes_in_the_windows_steps_and_no_others():
    told = []
    run(1, told=told, ref_start=0.2, ref_stop=0.5, ref_fade=0.0)
    weights = _core.reference_weights(SonarConfig(ref_start=0.2, ref_stop=0.5, ref_fade=0.0, **GUIDED), SIGMAS.tolist())
    assert [descent.step for descent in told] == [step for step, weight in enumerate(weights) if weight]
    assert 0 < len(told) < 8
    assert {weight for weight in weights if weight} == {0.2}


@pytest.mark.parametrize("nothing", [{"ref_factor": 0.0}, {"reference": None}, {"reference_mask": MASK * 0}])
def test_nothing_is_the_plain_run_bit_for_bit(nothing):
    plain = run(0, reference=None)
    assert run(2, **nothing).equal(plain)
    assert not run(2).equal(plain)


def test_a_negative_factor_pushes_away():
    near = ReferenceLoss(SonarConfig(ref_detail=0.5), REFERENCE, None)
    towards, plain, away = (run(2, ref_factor=factor) for factor in (0.2, 0.0, -0.2))
    distance = [near(out, near.towards(out)).mean() for out in (towards, plain, away)]
    assert distance[0] < distance[1] < distance[2]


def test_a_batch_is_its_images():
    batch = run(2)
    x = noise(2, 4, 8, 6) * SIGMAS[0]
    for k in range(2):
        torch.testing.assert_close(run(2, x=x[k : k + 1], seed=3 + k), batch[k : k + 1])


def test_where_the_mask_is_black_a_pointwise_model_is_left_alone():
    half = torch.ones(1, 1, 8, 6, dtype=torch.float64)
    half[..., 3:] = 0
    pointwise = {"model": lambda x, sigma: torch.tanh(x / (1 + sigma.reshape(-1, 1, 1, 1))), "ref_detail": 1.0}
    out, plain = run(2, reference_mask=half, **pointwise), run(0, reference=None, **pointwise)
    assert out[..., 3:].equal(plain[..., 3:])
    assert not out[..., :3].equal(plain[..., :3])


def test_one_frame_is_the_reference_of_a_whole_video():
    x = noise(1, 4, 3, 8, 6) * SIGMAS[0]
    frame = REFERENCE[:, :, None]
    assert run(1, x=x, reference=frame).equal(run(1, x=x, reference=frame.repeat(1, 1, 3, 1, 1)))


def test_what_the_core_refuses_is_refused():
    with pytest.raises(LatentError, match="reference has shape"):
        run(1, reference=REFERENCE[..., :3])
    with pytest.raises(LatentError, match="reference_mask"):
        run(1, reference_mask=MASK + 1)
    with pytest.raises(ConfigError, match=r"grad_r_iter = 1: needs ref_method = denoised.*this is linear"):
        run(1, ref_method="linear")


def test_a_model_that_cannot_is_the_plain_run():
    def cannot(x, sigma):
        return denoise(x, sigma).detach()

    with pytest.warns(GradientWarning, match="cannot be gone back through") as caught:
        out = run(2, model=cannot)
    assert len(caught) == 1
    assert out.equal(run(0, reference=None))
