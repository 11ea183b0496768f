"""Real pipelines of diffusers with tiny random networks; prompts are embeddings, so that no text encoder is needed."""

from functools import cache

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLLTXVideo,
    AutoencoderKLQwenImage,
    AutoencoderKLWan,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxTransformer2DModel,
    LTXVideoTransformer3DModel,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
    WanTransformer3DModel,
)

SIZE = 32


def _vae(channels, **config):
    return AutoencoderKL(
        block_out_channels=[8, 8],
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        latent_channels=channels,
        norm_num_groups=2,
        sample_size=SIZE,
        **config,
    )


def _unet(**config):
    return UNet2DConditionModel(
        block_out_channels=(8, 8),
        layers_per_block=1,
        sample_size=16,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=2,
        **config,
    )


@cache
def parts(family):
    """The networks of a family of models and the scheduler that its pipelines come with."""
    torch.manual_seed(0)
    sigmas = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
    if family == "sd1":
        none = dict.fromkeys(("text_encoder", "tokenizer", "safety_checker", "feature_extractor"))
        unet = _unet(cross_attention_dim=8, attention_head_dim=4)
        return {"unet": unet, "vae": _vae(4), **none, "requires_safety_checker": False, "scheduler": sigmas}
    if family == "sdxl":
        none = dict.fromkeys(("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"))
        unet = _unet(
            cross_attention_dim=8,
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            transformer_layers_per_block=(1, 1),
            projection_class_embeddings_input_dim=32,
        )
        return {"unet": unet, "vae": _vae(4, scaling_factor=0.13025), **none, "scheduler": sigmas}
    if family == "sd3":
        names = [f"{kind}{number}" for kind in ("text_encoder", "tokenizer") for number in ("", "_2", "_3")]
        transformer = SD3Transformer2DModel(
            sample_size=16,
            patch_size=1,
            in_channels=16,
            num_layers=1,
            attention_head_dim=4,
            num_attention_heads=2,
            joint_attention_dim=8,
            caption_projection_dim=8,
            pooled_projection_dim=8,
            out_channels=16,
        )
        vae = _vae(16, scaling_factor=1.5305, shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False)
        scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
        return {"transformer": transformer, "vae": vae, **dict.fromkeys(names), "scheduler": scheduler}
    if family == "flux":
        names = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")
        transformer = FluxTransformer2DModel(
            in_channels=8,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=1,
            joint_attention_dim=8,
            pooled_projection_dim=8,
            axes_dims_rope=[4, 4, 8],
        )
        vae = _vae(2, scaling_factor=0.3611, shift_factor=0.1159)
        scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
        return {"transformer": transformer, "vae": vae, **dict.fromkeys(names), "scheduler": scheduler}
    return {**_OTHERS[family](), "text_encoder": None, "tokenizer": None}


def _qwen():
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=8,
        guidance_embeds=False,
        axes_dims_rope=(8, 4, 4),
    )
    vae = AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.1] * 4,
        latents_std=[1.2] * 4,
    )
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    return {"transformer": transformer, "vae": vae, "scheduler": scheduler}


def _ltx():
    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=4,
        attention_head_dim=8,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=8,
    )
    vae = AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
        patch_size=1,
        patch_size_t=1,
    )
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=0.1, max_shift=2.05)
    return {"transformer": transformer, "vae": vae, "scheduler": scheduler}


def _wan():
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=8,
        freq_dim=16,
        ffn_dim=8,
        num_layers=1,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )
    vae = AutoencoderKLWan(base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    scheduler = UniPCMultistepScheduler(
        use_flow_sigmas=True, flow_shift=3.0, prediction_type="flow_prediction", num_train_timesteps=1000
    )
    return {"transformer": transformer, "vae": vae, "scheduler": scheduler}


_OTHERS = {"qwen": _qwen, "ltx": _ltx, "wan": _wan}
FRAMES = {"ltx": 9, "wan": 5}
"""Of the videos."""


def prompt(family, batch=1):
    """Embeddings in place of a prompt, as a pipeline of this family takes them."""
    draw = torch.Generator().manual_seed(1)

    def embedding(*shape):
        return torch.randn((1, *shape), generator=draw).expand(batch, *shape)

    words = {"prompt_embeds": embedding(6, 8)}
    if family in ("sdxl", "sd3", "flux"):
        words["pooled_prompt_embeds"] = embedding(8)
    if family in ("ltx", "qwen"):
        words["prompt_attention_mask" if family == "ltx" else "prompt_embeds_mask"] = torch.ones(batch, 6).long()
    if family != "flux":
        words |= {f"negative_{name}": value * 0 + name.endswith("mask") for name, value in words.items()}
    return words


def pipeline(kind, family, **changed):
    """A pipeline of a class, quiet."""
    made = kind(**{**parts(family), **changed})
    made.set_progress_bar_config(disable=True)
    return made
