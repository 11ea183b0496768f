"""A latent diffusion model of a few lines.

The denoiser is the exact posterior mean of a Gaussian around a smooth pattern that the prompt chooses, plus a small
coupling between neighbours, so that channels and places matter. It computes element by element: an image's bits do
not depend on its batch. The autoencoder averages 8x8 blocks; its encoder draws from the global generator, as the
real one does.
"""

import time
import zlib
from types import SimpleNamespace

import torch

SCALE = 0.18215
SPREAD = 0.5
CONTRAST = 0.15
_MIX = [[5.0, 0, 0], [0, 5.0, 0], [0, 0, 5.0], [2.0, 2.0, 2.0]]  # four latent channels of a colour

delay = 0.0
"""Seconds that the model takes per call: tests that interrupt a job raise it."""


class Posterior:
    """What the encoder answers: a distribution."""

    def __init__(self, mean):
        self.mean, self.std = mean, torch.full_like(mean, 0.05)

    def mode(self):
        return self.mean

    def sample(self):
        return self.mean + self.std * torch.randn(self.mean.shape)


class TinyModel(torch.nn.Module):
    parameterization = "eps"
    cond_stage_key = "txt"
    is_sd1, is_sd2, is_sdxl, is_sd3, is_ssd, is_sdxl_inpaint = True, False, False, False, False, False
    sd_model_hash = "0123456789"

    def __init__(self, name="tiny", tint=0.0, latent_channels=4):
        super().__init__()
        self.tint, self.latent_channels = tint, latent_channels
        self.mix = torch.tensor(_MIX * (latent_channels // 4))
        self.unmix = torch.linalg.pinv(self.mix)
        self.model = SimpleNamespace(conditioning_key="crossattn")
        self.first_stage_model = torch.nn.Identity()
        self.first_stage_model.dtype = torch.float32
        self.sd_checkpoint_info = SimpleNamespace(
            name=f"{name}.safetensors", title=f"{name}.safetensors", name_for_extra=name, short_title=name
        )
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
        self.register_buffer("alphas_cumprod", torch.cumprod(1 - betas, dim=0).float())
        self.calls = 0

    def get_learned_conditioning(self, prompts):
        """A row of numbers for each prompt."""
        rows = [randn_of(zlib.crc32(prompt.encode())) for prompt in prompts]
        return torch.stack(rows)

    def pattern(self, cond, height, width):
        """The image that a prompt stands for, as a latent."""
        y = torch.linspace(-1, 1, height)[:, None]
        x = torch.linspace(-1, 1, width)[None, :]
        a, b, c = cond[:, :, None, None].repeat(1, self.latent_channels // 4, 1, 1).chunk(3, dim=1)
        return CONTRAST * (torch.sin((a * x + b * y) * 2 + c) + self.tint)

    def apply_model(self, x_in, t, cond):
        """The noise in `x_in`, which is scaled to unit variance."""
        time.sleep(delay)
        self.calls += 1
        cond = cond["c_crossattn"][0] if isinstance(cond, dict) else cond
        alpha = self.alphas_cumprod[t.round().long().clamp(0, 999)]
        sigma = ((1 - alpha) / alpha).sqrt()[:, None, None, None]
        x = x_in * (1 + sigma**2).sqrt()
        target = self.pattern(cond, *x.shape[-2:])
        keep = SPREAD**2 / (SPREAD**2 + sigma**2)
        around = (x_in.roll(1, -1) + x_in.roll(1, -2) - x_in.roll(1, 1)).tanh()
        denoised = keep * x + (1 - keep) * target + 0.1 * around
        return (x - denoised) / sigma

    def encode_first_stage(self, image):
        z = torch.einsum("ck,bkhw->bchw", self.mix, image.float())
        return Posterior(torch.nn.functional.avg_pool2d(z, 8))

    def get_first_stage_encoding(self, posterior):
        return SCALE * (posterior.sample() if isinstance(posterior, Posterior) else posterior)

    def decode_first_stage(self, latent):
        image = torch.einsum("kc,bchw->bkhw", self.unmix, latent.float() / SCALE)
        return torch.nn.functional.interpolate(image, scale_factor=8, mode="bilinear")


def randn_of(seed):
    return torch.randn(12, generator=torch.Generator().manual_seed(seed))
