"""A job: from the settings of a page or a request to images with their infotexts."""

import dataclasses
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import modules.scripts
from modules import (
    devices,
    images,
    paths,
    rng,
    scripts,
    sd_models,
    sd_samplers,
    shared,
)
from modules.processing_result import Processed, create_infotext
from modules.sd_samplers_common import decode_first_stage
from modules.shared import opts, state

opt_C, opt_f = 4, 8


@dataclasses.dataclass(repr=False)
class StableDiffusionProcessing:
    sd_model: object = None
    outpath_samples: str = None
    outpath_grids: str = None
    prompt: str = ""
    negative_prompt: str = ""
    styles: list[str] = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    sampler_name: str = None
    scheduler: str = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    extra_generation_params: dict[str, Any] = None
    eta: float = None
    denoising_strength: float = None
    s_min_uncond: float = None
    s_churn: float = None
    s_tmax: float = None
    s_tmin: float = None
    s_noise: float = None
    override_settings: dict[str, Any] = None
    override_settings_restore_afterwards: bool = True
    refiner_checkpoint: str = None
    refiner_switch_at: float = None

    def __post_init__(self):
        self.styles = self.styles or []
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = self.override_settings or {}
        self.comments = {}
        self.scripts = self.script_args = self.sampler = self.rng = self.color_corrections = self.overlay_images = None
        self.c = self.uc = self.all_prompts = self.all_negative_prompts = self.all_seeds = self.all_subseeds = None
        self.prompts = self.negative_prompts = self.seeds = self.subseeds = self.refiner_checkpoint_info = None
        self.iteration, self.batch_index = 0, 0
        self.is_hr_pass = self.is_api = False
        self.user = self.paste_to = self.mask_for_overlay = None
        self.sampler_noise_scheduler_override = None

    @property
    def sd_model(self):  # noqa: F811
        return shared.sd_model

    @sd_model.setter
    def sd_model(self, value):
        pass

    def comment(self, text):
        self.comments[text] = 1

    def fill_fields_from_opts(self):
        for name in ("s_min_uncond", "s_churn", "s_tmin", "s_noise"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(opts, name))
        self.s_tmax = (self.s_tmax if self.s_tmax is not None else opts.s_tmax) or float("inf")

    def setup_prompts(self):
        count = self.batch_size * self.n_iter
        self.all_prompts = self.prompt if isinstance(self.prompt, list) else [self.prompt] * count
        self.all_negative_prompts = [self.negative_prompt] * len(self.all_prompts)
        self.main_prompt, self.main_negative_prompt = self.all_prompts[0], self.all_negative_prompts[0]

    def setup_conds(self):
        config = sd_samplers.find_sampler_config(self.sampler_name)
        self.step_multiplier = config.total_steps(self.steps) // self.steps
        self.c = shared.sd_model.get_learned_conditioning(self.prompts)
        self.uc = shared.sd_model.get_learned_conditioning(self.negative_prompts)

    def get_conds(self):
        return self.c, self.uc

    def init(self, all_prompts, all_seeds, all_subseeds):
        pass

    def before_sampling(self, x, noise, c, uc):
        if self.scripts is not None:
            for _ in range(every_sampling_calls(self)):
                self.scripts.process_before_every_sampling(p=self, x=x, noise=noise, c=c, uc=uc)

    def image_rng(self, shape):
        return rng.ImageRNG(shape, self.seeds, subseeds=self.subseeds, subseed_strength=self.subseed_strength)

    def save_samples(self):
        return opts.samples_save and not self.do_not_save_samples

    def close(self):
        self.sampler = self.c = self.uc = None


def every_sampling_calls(p):
    """How often the host announces a sampling: never before 1.10; Forge does it twice for the hires pass."""
    return {"a1111-1.9": 0, "forge": 2 if p.is_hr_pass else 1}.get(getattr(shared.cmd_opts, "kind", None), 1)


class DecodedSamples(list):
    already_decoded = True


def decode_latent_batch(model, batch, target_device=None, check_for_nans=False):
    if check_for_nans:
        devices.test_for_nans(batch, "unet")
    return DecodedSamples(decode_first_stage(model, one[None])[0] for one in batch)


def get_fixed_seed(seed):
    seed = -1 if seed in ("", None) else int(seed)
    return random.randrange(4294967294) if seed == -1 else seed


def fix_seed(p):
    p.seed, p.subseed = get_fixed_seed(p.seed), get_fixed_seed(p.subseed)


def process_images(p):
    if p.scripts is not None:
        p.scripts.before_process(p)
    stored = {k: opts.data.get(k, opts.get_default(k)) for k in p.override_settings}
    try:
        for k, v in p.override_settings.items():
            opts.set(k, v, is_api=True, run_callbacks=False)
        sd_models.reload_model_weights()
        sd_samplers.fix_p_invalid_sampler_and_scheduler(p)
        return process_images_inner(p)
    finally:
        if p.override_settings_restore_afterwards:
            for k, v in stored.items():
                setattr(opts, k, v)


def process_images_inner(p):
    fix_seed(p)
    if p.refiner_checkpoint not in (None, "", "None"):
        p.refiner_checkpoint_info = sd_models.get_closet_checkpoint_match(p.refiner_checkpoint)
    p.fill_fields_from_opts()
    p.setup_prompts()
    if not isinstance(p.all_seeds, list) or len(p.all_seeds) != len(p.all_prompts) or p.all_seeds[0] != p.seed:
        p.all_seeds = [p.seed + k for k in range(len(p.all_prompts))]
    p.all_subseeds = [p.subseed + k for k in range(len(p.all_prompts))]
    hooks = p.scripts or modules.scripts.ScriptRunner()
    hooks.process(p)

    infotexts, output_images = [], []

    def infotext(index=0, use_main_prompt=False):
        return create_infotext(
            p,
            p.prompts,
            p.seeds,
            p.subseeds,
            use_main_prompt=use_main_prompt,
            index=index,
            all_negative_prompts=p.negative_prompts,
        )

    with torch.no_grad():
        p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
        if state.job_count == -1:
            state.job_count = p.n_iter
        for n in range(p.n_iter):
            p.iteration = n
            state.skipped = False
            if state.interrupted or state.stopping_generation:
                break
            sd_models.reload_model_weights()  # a refiner may have changed it
            of_batch = slice(n * p.batch_size, (n + 1) * p.batch_size)
            p.prompts, p.negative_prompts = p.all_prompts[of_batch], p.all_negative_prompts[of_batch]
            p.seeds, p.subseeds = p.all_seeds[of_batch], p.all_subseeds[of_batch]
            p.rng = p.image_rng((shared.sd_model.latent_channels, p.height // opt_f, p.width // opt_f))
            batch = {"batch_number": n, "prompts": p.prompts, "seeds": p.seeds, "subseeds": p.subseeds}
            hooks.before_process_batch(p, **batch)
            hooks.process_batch(p, **batch)
            p.setup_conds()
            if n == 0:
                (Path(paths.data_path) / "params.txt").write_text(Processed(p, []).infotext(p, 0), encoding="utf-8")
            samples = p.sample(p.c, p.uc, p.seeds, p.subseeds, p.subseed_strength, p.prompts)
            post = scripts.PostSampleArgs(samples)
            hooks.post_sample(p, post)
            samples = post.samples
            decoded = (
                samples
                if getattr(samples, "already_decoded", False)
                else decode_latent_batch(p.sd_model, samples, None, True)
            )
            decoded = torch.clamp((torch.stack(list(decoded)).float() + 1) / 2, 0, 1)
            state.nextjob()
            hooks.postprocess_batch(p, decoded, batch_number=n)
            listed = scripts.PostprocessBatchListArgs(list(decoded))
            hooks.postprocess_batch_list(p, listed, batch_number=n)
            for i, one in enumerate(listed.images):
                p.batch_index = i
                pp = scripts.PostprocessImageArgs(
                    Image.fromarray((255.0 * np.moveaxis(one.cpu().numpy(), 0, 2)).astype(np.uint8))
                )
                hooks.postprocess_image(p, pp)
                overlay = p.overlay_images[i] if p.overlay_images and i < len(p.overlay_images) else None
                ppmo = scripts.PostProcessMaskOverlayArgs(i, p.mask_for_overlay, overlay)
                hooks.postprocess_maskoverlay(p, ppmo)
                pp = scripts.PostprocessImageArgs(apply_overlay(pp.image, ppmo.overlay_image))
                hooks.postprocess_image_after_composite(p, pp)
                if p.save_samples():
                    images.save_image(
                        pp.image, p.outpath_samples, "", p.seeds[i], p.prompts[i], "png", info=infotext(i), p=p
                    )
                infotexts.append(infotext(i))
                if opts.enable_pnginfo:
                    pp.image.info["parameters"] = infotexts[-1]
                output_images.append(pp.image)

    if not infotexts:
        infotexts.append(Processed(p, []).infotext(p, 0))
    first = 0
    if (opts.return_grid or opts.grid_save) and not p.do_not_save_grid and len(output_images) > 1:
        grid = images.image_grid(output_images, p.batch_size)
        text = infotext(use_main_prompt=True)
        if opts.grid_save:
            images.save_image(
                grid, p.outpath_grids, "grid", p.all_seeds[0], p.all_prompts[0], "png", info=text, p=p, grid=True
            )
        if opts.return_grid:
            infotexts.insert(0, text)
            grid.info["parameters"] = text
            output_images.insert(0, grid)
            first = 1
    result = Processed(
        p,
        output_images,
        p.all_seeds[0],
        infotexts[0],
        subseed=p.all_subseeds[0],
        index_of_first_image=first,
        infotexts=infotexts,
    )
    hooks.postprocess(p, result)
    return result


def apply_overlay(image, overlay):
    """The kept part of an inpainted picture, laid over the result."""
    if overlay is None:
        return image
    image = image.convert("RGBA")
    image.alpha_composite(overlay)
    return image.convert("RGB")


def __getattr__(name):
    from modules import processing_jobs

    return getattr(processing_jobs, name)
