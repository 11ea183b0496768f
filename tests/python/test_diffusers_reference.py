"""A scheduler's reference, also in packed latents."""

import pytest
import torch

from scheduler_runs import made, noise, walk
from sonar_sampler import ConfigError, LatentError
from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler


def test_a_reference_pulls_and_is_gone_when_it_is_taken_away():
    scheduler, target = made(SonarScheduler, seed=1, ref_factor=0.2), noise((1, 4, 8, 8), seed=9) * 3
    plain = walk(scheduler, noise() * 14)
    scheduler.set_reference(target)
    pulled = walk(scheduler, noise() * 14)

    def likeness(latent):
        return torch.corrcoef(torch.stack([latent[0].flatten(), target[0].flatten()]))[0, 1]

    assert likeness(pulled) > likeness(plain) + 0.2
    scheduler.set_reference(None)
    assert torch.equal(walk(scheduler, noise() * 14), plain)
    scheduler.set_reference(target[..., :4])
    with pytest.raises(LatentError, match="reference"):
        walk(scheduler, noise() * 14)


@pytest.mark.parametrize("packed", [False, True])
def test_a_mask_says_where_the_reference_pulls(packed):
    def laid_out(latent):
        return latent.flatten(2).transpose(1, 2) if packed else latent

    scheduler = SonarFlowScheduler(sampler="euler", ref_method="denoised", ref_factor=0.5)
    x, target, mask = noise((1, 4, 6, 6)), noise((1, 4, 6, 6), seed=9), torch.zeros(1, 1, 6, 6)
    mask[..., :3] = 1
    plain = walk(scheduler, laid_out(x))
    scheduler.set_reference(laid_out(target), laid_out(mask))
    changed = laid_out(torch.ones(1, 4, 6, 6) * mask) > 0
    pulled = walk(scheduler, laid_out(x))
    assert (pulled != plain)[changed].float().mean() > 0.9
    assert torch.equal(pulled[~changed], plain[~changed])


def test_a_packed_latent_is_the_same_picture():
    """Flux's (batch, places, channels): a reference's mean and spread are those of each channel over the places."""
    picture, target = noise((1, 4, 6, 6)), noise((1, 4, 6, 6), seed=9) * torch.arange(1.0, 5.0).reshape(1, 4, 1, 1)
    scheduler = SonarFlowScheduler(sampler="euler", ref_factor=0.1)
    scheduler.set_reference(target)
    expected = walk(scheduler, picture)
    scheduler.set_reference(target.flatten(2).transpose(1, 2))
    packed = walk(scheduler, picture.flatten(2).transpose(1, 2))
    torch.testing.assert_close(packed.transpose(1, 2).reshape(picture.shape), expected, rtol=1e-6, atol=1e-6)


def test_a_packed_latent_has_no_details_of_a_reference():
    scheduler = SonarFlowScheduler(ref_method="denoised", ref_detail=0.1)
    walk(scheduler, noise((1, 16, 4)))
    scheduler.set_reference(noise((1, 16, 4), seed=9))
    with pytest.raises(ConfigError, match=r"ref_detail = 0\.1: a packed latent"):
        walk(scheduler, noise((1, 16, 4)))
