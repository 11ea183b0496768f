"""The schedulers in diffusers' own pipelines, with tiny random networks."""

import json
import shutil
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from diffusers.utils import dynamic_modules_utils
from PIL import Image

import sonar_sampler.hosts.diffusers.hub.sonar_scheduler as of_hub
from sonar_sampler import ConfigError
from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler, encode_reference
from tiny_pipelines import FRAMES, SIZE, pipeline, prompt

KINDS = {
    "sd1": ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"),
    "sdxl": ("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline", "StableDiffusionXLInpaintPipeline"),
    "sd3": ("StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline", "StableDiffusion3InpaintPipeline"),
    "flux": ("FluxPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"),
    "qwen": ("QwenImagePipeline",),
    "ltx": ("LTXPipeline",),
    "wan": ("WanPipeline",),
}
TASKS = [(family, task) for family, kinds in KINDS.items() for task in range(len(kinds))]
SIGMAS = ("sd1", "sdxl")
EACH = pytest.mark.parametrize("family", KINDS)


def picture(seed=0):
    pixels = np.random.default_rng(seed).random((4, 4, 3)) * 255
    return Image.fromarray(pixels.astype(np.uint8)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def mask():
    """White, on the left, is made anew."""
    made = Image.new("L", (SIZE, SIZE))
    made.paste(255, (0, 0, SIZE // 2, SIZE))
    return made


def of(family, task=0, **options):
    """A pipeline with Sonar's scheduler, made from the one that it came with."""
    made = pipeline(getattr(diffusers, KINDS[family][task]), family)
    kind = SonarScheduler if family in SIGMAS else SonarFlowScheduler
    made.scheduler = kind.from_config(made.scheduler.config, **options)
    return made


def run(made, family, task=0, steps=4, batch=1, generator=None, output="latent", **more):
    call = {"num_inference_steps": steps, "output_type": output, **prompt(family, batch), **more}
    call["generator"] = generator or torch.Generator().manual_seed(5)
    if task:
        call |= {"image": picture(), "strength": 0.8}
    if task == 2:
        call["mask_image"] = mask()
    if task != 1 or family not in SIGMAS:
        call |= {"width": SIZE, "height": SIZE}
    if family in FRAMES:
        call["num_frames"] = FRAMES[family]
    return made(**call)[0]


@pytest.mark.parametrize(("family", "task"), TASKS)
def test_it_runs_and_momentum_changes_the_picture(family, task):
    pictures = [run(of(family, task, momentum=momentum, seed=1), family, task) for momentum in (0.7, 0.7, 1.0)]
    assert all(torch.as_tensor(each).isfinite().all() for each in pictures)
    assert torch.equal(pictures[0], pictures[1])
    assert not torch.equal(pictures[0], pictures[2])


@pytest.mark.parametrize("given", [{"sigmas": [9.0, 3.0, 0.7, 0.0]}, {"timesteps": [901, 500, 101]}], ids=str)
@pytest.mark.parametrize("family", SIGMAS)
def test_noise_levels_of_ones_own_are_taken(family, given):
    """The pipelines ask the signature of `set_timesteps` whether a scheduler takes them."""
    own = pipeline(getattr(diffusers, KINDS[family][0]), family)
    own.scheduler = diffusers.EulerDiscreteScheduler.from_config(own.scheduler.config)
    ours = of(family, sampler="euler", momentum=1.0)
    assert torch.equal(run(ours, family, **given), run(own, family, **given))


@pytest.mark.parametrize(("family", "task"), [each for each in TASKS if each[0] in SIGMAS])
@pytest.mark.parametrize("sampler", ["euler", "euler_a"])
def test_without_momentum_the_pictures_are_diffusers_own(family, task, sampler):
    ours = of(family, task, momentum=1.0, sampler=sampler)
    theirs = pipeline(type(ours), family)
    kind = {"euler": diffusers.EulerDiscreteScheduler, "euler_a": diffusers.EulerAncestralDiscreteScheduler}[sampler]
    theirs.scheduler = kind.from_config(theirs.scheduler.config)
    assert torch.equal(run(ours, family, task), run(theirs, family, task))


@pytest.mark.parametrize(("family", "task"), [each for each in TASKS if each[0] in ("sd3", "flux", "qwen", "ltx")])
def test_without_momentum_the_pictures_of_flow_models_are_diffusers_own_up_to_rounding(family, task):
    ours = of(family, task, momentum=1.0, sampler="euler")
    theirs = run(pipeline(type(ours), family), family, task)
    assert (run(ours, family, task) - theirs).abs().max() < 1e-5 * theirs.abs().max()


@EACH
def test_a_batch_is_the_pictures_one_by_one(family):
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    both = run(of(family, seed=(1, 2)), family, batch=2, generator=generators)
    alone = run(of(family, seed=2), family, generator=[torch.Generator().manual_seed(6)])
    torch.testing.assert_close(both[1], alone[0], rtol=1e-4, atol=1e-4)


@EACH
def test_a_reference_of_the_pipelines_own_vae_pulls(family):
    made = of(family, sampler="euler", ref_factor=0.3)
    target = encode_reference(made, picture(3), width=SIZE, height=SIZE, num_frames=FRAMES.get(family, 1))
    plain = run(made, family)
    made.scheduler.set_reference(target)
    pulled = run(made, family)
    assert target.dtype is torch.float32
    assert target.shape == plain.shape

    def likeness(latent):
        return torch.corrcoef(torch.stack([latent.flatten(), target.flatten()]))[0, 1]

    assert likeness(pulled) > likeness(plain) + 0.05


def encoded(made, pixels):
    return made.vae.encode(pixels[:, :, None]).latent_dist.mode()


@EACH
def test_a_reference_is_encoded_as_the_pipeline_encodes_a_picture(family):
    """What its VAE decodes of it is what the VAE makes of the picture by itself."""
    made = of(family)
    target = encode_reference(made, picture(3), width=SIZE, height=SIZE)
    pixels = (getattr(made, "image_processor", None) or made.video_processor).preprocess(picture(3), SIZE, SIZE)
    config = made.vae.config
    if family == "ltx":
        own = made._pack_latents(made._normalize_latents(encoded(made, pixels), torch.zeros(8), torch.ones(8)))
    elif family in ("wan", "qwen"):
        mean, std = (torch.tensor(each).reshape(1, -1, 1, 1, 1) for each in (config.latents_mean, config.latents_std))
        own = (encoded(made, pixels) - mean) / std
        own = made._pack_latents(own, 1, *own.shape[1:2], *own.shape[3:]) if family == "qwen" else own
    else:
        own = made.vae.encode(pixels).latent_dist.mode()
        own = (own - (config.shift_factor or 0)) * config.scaling_factor
        own = made._pack_latents(own, *own.shape) if family == "flux" else own
    torch.testing.assert_close(target, own)


def test_a_pipeline_without_a_vae_encodes_no_reference():
    with pytest.raises(ConfigError, match="DDPMPipeline: has no VAE"):
        encode_reference(diffusers.DDPMPipeline(None, diffusers.DDPMScheduler()), picture(), width=8, height=8)


@pytest.mark.parametrize("family", ["sd1", "sdxl", "flux"])
def test_inpainting_keeps_the_kept_area(family):
    """The pipeline blends the latent with the picture's after every step: the scheduler goes on from that."""
    made = of(family, 2, momentum=0.5, seed=1)
    latents = [run(made, family, 2, prompt_embeds=prompt(family)["prompt_embeds"] * scale) for scale in (1, 40)]
    if family == "flux":
        latents = [each.reshape(1, SIZE // 4, SIZE // 4, -1).permute(0, 3, 1, 2) for each in latents]
    half = latents[0].shape[-1] // 2
    assert torch.equal(*(each[..., half:] for each in latents))
    assert not torch.equal(*(each[..., :half] for each in latents))


def load(folder, made, **options):
    none = {name: None for name, part in made.components.items() if part is None}
    loaded = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True, **none, **options)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.mark.parametrize("family", ["sd1", "sd3", "flux"])
def test_a_saved_pipeline_comes_back_with_its_scheduler(family, tmp_path):
    made = of(family, momentum=0.6, seed=2)
    made.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["scheduler"] == ["sonar_sampler.hosts.diffusers", type(made.scheduler).__name__]
    loaded = load(tmp_path, made)
    assert type(loaded.scheduler) is type(made.scheduler)
    assert torch.equal(run(loaded, family), run(made, family))


def test_a_model_on_a_hub_brings_the_scheduler_by_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(tmp_path / "cache"))
    made = of("sd1", momentum=0.6, seed=2)
    made.save_pretrained(tmp_path / "model")
    index = tmp_path / "model" / "model_index.json"
    index.write_text(index.read_text().replace("sonar_sampler.hosts.diffusers", "sonar_scheduler"))
    shutil.copy(Path(of_hub.__file__), tmp_path / "model" / "scheduler")
    loaded = load(tmp_path / "model", made, trust_remote_code=True)
    assert type(loaded.scheduler).__name__ == "SonarScheduler"
    assert torch.equal(run(loaded, "sd1"), run(made, "sd1"))
