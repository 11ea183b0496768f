"""A reference image as a latent of a pipeline."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from sonar_sampler.errors import ConfigError

Tensor = torch.Tensor


def encode_reference(pipeline: Any, image: Any, *, width: int, height: int, num_frames: int = 1) -> Tensor:
    """Encodes an image with the pipeline's VAE, for `set_reference` of its scheduler.

    The latent is the mode of the posterior, (z - shift) * scale as the VAE's config says, or (z - mean) / std where it
    has those by channel; packed where the pipeline packs its latents. In a video it is every frame.

    Args:
        pipeline: a pipeline of diffusers with a VAE.
        image: a PIL image, or what else the pipeline's own image processor takes.
        width, height: of the pictures that are made, in pixels.
        num_frames: of the videos that are made, as the pipeline takes it.

    Returns:
        The latent of one image, float32, on the device of the VAE.

    Raises:
        ConfigError: the pipeline has no VAE.
    """
    vae = getattr(pipeline, "vae", None)
    processor = getattr(pipeline, "image_processor", None) or getattr(pipeline, "video_processor", None)
    if vae is None or processor is None:
        raise ConfigError(f"pipeline = {type(pipeline).__name__}: has no VAE that encodes a reference")
    pixels = processor.preprocess(image, height=height, width=width)
    # Some VAEs overflow in float16.
    dtype = vae.dtype
    upcast = dtype is torch.float16 and bool(getattr(vae.config, "force_upcast", False))
    if upcast:
        vae.to(torch.float32)
    try:
        pixels = pixels.to(vae.device, vae.dtype)
        if _of_video(vae):
            pixels = pixels.unsqueeze(2)
        with torch.no_grad():
            latent = _mode(vae.encode(pixels)).float()
    finally:
        if upcast:
            vae.to(dtype)
    latent = _scaled(vae, latent)
    if latent.ndim == 5:
        latent = latent.expand(-1, -1, (num_frames - 1) // _frames_in_one(pipeline) + 1, -1, -1)
    return _packed(pipeline, latent)


def _of_video(vae: Any) -> bool:
    """Whether a VAE takes (batch, channel, frame, height, width)."""
    weights = next((each for each in vae.parameters() if each.ndim >= 4), None)
    return weights is not None and weights.ndim == 5


def _frames_in_one(pipeline: Any) -> int:
    """How many frames of a video are one of its latent."""
    names = ("vae_temporal_compression_ratio", "vae_scale_factor_temporal")
    return next((int(getattr(pipeline, name)) for name in names if hasattr(pipeline, name)), 1)


def _mode(encoded: Any) -> Tensor:
    distribution = getattr(encoded, "latent_dist", None)
    latent: Tensor = encoded.latents if distribution is None else distribution.mode()
    return latent


def _scaled(vae: Any, latent: Tensor) -> Tensor:
    config = vae.config
    # LTX's VAE has them as buffers, the others in the config.
    known = {**config, **dict(vae.named_buffers(recurse=False))}
    mean, std = known.get("latents_mean"), known.get("latents_std")
    scale = getattr(config, "scaling_factor", None) or 1.0
    if mean is not None and std is not None:
        shape = (1, -1, *[1] * (latent.ndim - 2))
        mean, std = (torch.as_tensor(each).to(latent).reshape(shape) for each in (mean, std))
        return (latent - mean) * scale / std
    return (latent - (getattr(config, "shift_factor", None) or 0.0)) * scale


def _packed(pipeline: Any, latent: Tensor) -> Tensor:
    pack = getattr(pipeline, "_pack_latents", None)
    if pack is None:
        return latent
    if "patch_size" in inspect.signature(pack).parameters:
        sizes = (getattr(pipeline, f"transformer_{name}_patch_size", 1) for name in ("spatial", "temporal"))
        packed: Tensor = pack(latent, *sizes)
    else:
        packed = pack(latent, *latent.shape[:2], *latent.shape[-2:])
    return packed
