"""The list of samplers, the seed rule of their noise, and the blending of a mask around a model."""

import types

import torch

SAMPLER_NAMES = ["euler", "euler_ancestral"]


def default_noise_sampler(x, seed=None):
    """On the CPU a run's own noise begins one seed further than the latent's."""
    if seed is not None:
        seed += 1
        generator = torch.Generator(device=x.device).manual_seed(seed)
    else:
        generator = None
    return lambda _sigma, _sigma_next: torch.randn(x.size(), dtype=x.dtype, generator=generator)


k_diffusion_sampling = types.ModuleType("comfy.k_diffusion.sampling")
k_diffusion_sampling.default_noise_sampler = default_noise_sampler


class Inpainting:
    """A model whose answer is kept to an image where the mask is 0."""

    def __init__(self, model, latent_image, noise):
        self.inner_model, self._image, self._noise = model, latent_image, noise

    def __call__(self, x, sigma, denoise_mask=None, **kwargs):
        if denoise_mask is None:
            return self.inner_model(x, sigma, **kwargs)
        kept = self.inner_model.inner_model.scale_latent_inpaint(
            x=x, sigma=sigma, noise=self._noise, latent_image=self._image
        )
        x = x * denoise_mask + kept * (1 - denoise_mask)
        return self.inner_model(x, sigma, **kwargs) * denoise_mask + self._image * (1 - denoise_mask)


class KSAMPLER:
    """A function and its options."""

    def __init__(self, sampler_function, extra_options=None):
        self.sampler_function, self.extra_options = sampler_function, extra_options or {}

    def sample(self, model, sigmas, extra_args, callback, noise, latent_image, denoise_mask=None, disable_pbar=True):
        """A run from noise on an image."""
        wrapped = Inpainting(model, latent_image, noise)
        x = model.inner_model.model_sampling.noise_scaling(sigmas[0], noise, latent_image)

        def told(state):
            callback(state["i"], state["denoised"], state["x"], len(sigmas) - 1)

        return self.sampler_function(
            wrapped,
            x,
            sigmas,
            extra_args={**extra_args, "denoise_mask": denoise_mask},
            callback=None if callback is None else told,
            disable=disable_pbar,
            **self.extra_options,
        )
