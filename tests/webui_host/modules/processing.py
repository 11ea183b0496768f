"""A job: from its fields to images with their infotexts."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from modules import devices, images, infotext_utils, prompt_parser, rng, scripts, sd_samplers, shared, tiny_model
from modules.shared import opts, state


@dataclasses.dataclass(repr=False)
class StableDiffusionProcessing:
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = -1
    subseed: int = -1
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
    eta: float = None
    s_churn: float = 0.0
    s_tmin: float = 0.0
    s_tmax: float = float("inf")
    s_noise: float = 1.0
    refiner_checkpoint: str = None
    refiner_switch_at: float = None

    def __post_init__(self):
        self.extra_generation_params, self.comments, self.outpath_grids = {}, {}, "grids"
        self.scripts, self.script_args, self.overlay_images = scripts.ScriptRunner(), [], None
        self.all_prompts = self.all_negative_prompts = self.all_seeds = self.all_subseeds = self.seeds = None
        self.iteration, self.is_hr_pass, self.is_api = 0, False, False

    @property
    def sd_model(self):
        return shared.sd_model

    def comment(self, text):
        self.comments[text] = 1

    def setup_conds(self):
        self.c = prompt_parser.get_multicond_learned_conditioning(shared.sd_model, self.prompts, self.steps)
        self.uc = shared.sd_model.get_learned_conditioning(self.negative_prompts)

    def init(self):
        pass

    def before_sampling(self, x, noise):
        # Never before 1.10; Forge does it twice for the hires pass.
        times = {"a1111-1.8": 0, "a1111-1.9": 0, "forge": 1 + self.is_hr_pass}.get(shared.cmd_opts.kind, 1)
        for _ in range(times):
            self.scripts.process_before_every_sampling(self, x=x, noise=noise, c=self.c, uc=self.uc)


@dataclasses.dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    enable_hr: bool = False
    denoising_strength: float = 0.75
    hr_scale: float = 2.0
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_sampler_name: str = None

    def init(self):
        if not self.enable_hr:
            return
        told = {"Denoising strength": self.denoising_strength, "Hires upscale": self.hr_scale}
        self.extra_generation_params |= {**told, "Hires sampler": self.hr_sampler_name}
        state.job_count *= 2

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        self.sampler, x = sd_samplers.create_sampler(self.sampler_name, self.sd_model), self.rng.next()
        self.before_sampling(x, x)
        samples = self.sampler.sample(self, x, self.c, self.uc, image_conditioning=x.new_zeros(len(x), 5, 1, 1))
        return self.sample_hr_pass(samples) if self.enable_hr and not state.interrupted else samples

    def sample_hr_pass(self, samples):
        """Of the latent, enlarged."""
        self.is_hr_pass = True
        self.sampler = sd_samplers.create_sampler(self.hr_sampler_name or self.sampler_name, self.sd_model)
        width, height = self.hr_resize_x or self.width * self.hr_scale, self.hr_resize_y or self.height * self.hr_scale
        size = (int(height) // 8, int(width) // 8)
        samples = torch.nn.functional.interpolate(samples, size=size, mode="bilinear")
        state.nextjob()
        self.rng = rng.ImageRNG(samples.shape[1:], self.seeds)
        noise = self.rng.next()
        self.scripts.before_hr(self)
        self.before_sampling(samples, noise)
        steps, none = self.hr_second_pass_steps or self.steps, samples.new_zeros(len(samples), 5, 1, 1)
        samples = self.sampler.sample_img2img(self, samples, noise, self.c, self.uc, steps, image_conditioning=none)
        self.is_hr_pass = False
        return decode_latent_batch(self.sd_model, samples)


@dataclasses.dataclass(repr=False)
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    init_images: list = None
    denoising_strength: float = 0.75
    mask: Any = None
    mask_round: bool = True

    def __post_init__(self):
        super().__post_init__()
        self.image_mask, self.mask, self.nmask = self.mask, None, None

    def init(self):
        self.extra_generation_params["Denoising strength"] = self.denoising_strength
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        resized = [images.resize_image(0, image.convert("RGB"), self.width, self.height) for image in self.init_images]
        batch = np.stack([np.asarray(image, dtype=np.float32) for image in resized * self.batch_size])
        self.init_latent = self.sd_model.encode(torch.from_numpy(batch).permute(0, 3, 1, 2) / 127.5 - 1)
        if self.image_mask is None:
            return
        mask = images.resize_image(0, self.image_mask.convert("L"), self.width, self.height)
        overlay = resized[0].convert("RGBA")
        overlay.putalpha(ImageOps.invert(mask))
        self.overlay_images = [overlay] * self.batch_size
        small = np.array(mask.resize(self.init_latent.shape[:1:-1]), dtype=np.float32) / 255
        self.nmask = torch.from_numpy(np.around(small) if self.mask_round else small).expand_as(self.init_latent[0])
        self.mask = 1 - self.nmask

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        noise, x = self.rng.next(), self.init_latent
        self.before_sampling(x, noise)
        none = noise.new_zeros(len(noise), 5, 1, 1)
        samples = self.sampler.sample_img2img(self, x, noise, self.c, self.uc, image_conditioning=none)
        if self.mask is None:
            return samples
        return self.blended(samples)

    def blended(self, latent, sigma=None):
        """What is kept, put back: at each answer of the model with its sigma, and at the end without."""
        blended = latent * self.nmask + self.init_latent * self.mask
        kept = {"nmask": self.nmask, "init_latent": self.init_latent, "mask": self.mask}
        args = SimpleNamespace(current_latent=latent, blended_latent=blended, **kept)
        args.sigma, args.is_final_blend = sigma, sigma is None
        self.scripts.on_mask_blend(self, args)
        return args.blended_latent


class DecodedSamples(list):
    already_decoded = True


def decode_latent_batch(model, batch):
    devices.test_for_nans(batch, "unet")
    return DecodedSamples(model.decode(one[None])[0] for one in batch)


class Processed:
    def __init__(self, p, images_list, infotexts):
        self.images, self.infotexts, self.info, self.index_of_first_image = images_list, infotexts, infotexts[0], 0
        self.sampler_name, self.batch_size = p.sampler_name, p.batch_size
        self.comments = "".join(f"{comment}\n" for comment in p.comments)
        for name in ("all_prompts", "all_negative_prompts", "all_seeds", "all_subseeds"):
            setattr(self, name, getattr(p, name))

    def infotext(self, p, index):
        return create_infotext(p, self.all_prompts, self.all_seeds, index)


def create_infotext(p, all_prompts, all_seeds, index):
    uses_ensd = p.eta != 0 and sd_samplers.all_samplers_map[p.sampler_name].options.get("uses_ensd")
    params = {
        "Steps": p.steps,
        "Sampler": p.sampler_name,
        "Schedule type": p.scheduler,
        "CFG scale": p.cfg_scale,
        "Seed": all_seeds[index],
        "Size": f"{p.width}x{p.height}",
        "ENSD": (opts.eta_noise_seed_delta or None) if uses_ensd else None,
        **p.extra_generation_params,
    }
    if shared.cmd_opts.kind != "a1111-1.8":  # lists and callables: since 1.9
        params = {key: value[index] if isinstance(value, list) else value for key, value in params.items()}
    shown = (f"{key}: {infotext_utils.quote(value)}" for key, value in params.items() if value is not None)
    return f"{all_prompts[index]}\n{', '.join(shown)}"


def process_images(p):
    p.scripts.before_process(p)
    tiny_model.load()
    p.sampler_name, p.scheduler = sd_samplers.get_sampler_and_scheduler(p.sampler_name, p.scheduler)
    p.scheduler = None if p.scheduler == "Automatic" else p.scheduler
    count = p.batch_size * p.n_iter
    p.all_prompts, p.all_negative_prompts = [p.prompt] * count, [p.negative_prompt] * count
    p.all_seeds, p.all_subseeds = ([first + k for k in range(count)] for first in (p.seed, p.subseed))
    p.scripts.process(p)
    infotexts, output_images = [], []
    with torch.no_grad():
        state.job_count = p.n_iter
        p.init()
        for n in range(p.n_iter):
            if state.interrupted:
                break
            p.iteration = n
            tiny_model.load()  # a refiner may have changed it
            of_batch = slice(n * p.batch_size, (n + 1) * p.batch_size)
            p.prompts, p.negative_prompts = p.all_prompts[of_batch], p.all_negative_prompts[of_batch]
            p.seeds, p.subseeds = p.all_seeds[of_batch], p.all_subseeds[of_batch]
            p.rng = rng.ImageRNG((shared.sd_model.latent_channels, p.height // 8, p.width // 8), p.seeds)
            p.scripts.before_process_batch(p, batch_number=n)
            p.scripts.process_batch(p, batch_number=n)
            p.setup_conds()
            samples = p.sample(p.c, p.uc, p.seeds, p.subseeds, 0.0, p.prompts)
            if not getattr(samples, "already_decoded", False):
                samples = decode_latent_batch(p.sd_model, samples)
            state.nextjob()
            for i, one in enumerate(samples):
                shown = ((one + 1) / 2).clamp(0, 1).numpy()
                pp = SimpleNamespace(image=Image.fromarray((255.0 * np.moveaxis(shown, 0, 2)).astype(np.uint8)))
                p.scripts.postprocess_image(p, pp)
                if p.overlay_images:
                    pp.image = Image.alpha_composite(pp.image.convert("RGBA"), p.overlay_images[i]).convert("RGB")
                p.scripts.postprocess_image_after_composite(p, pp)
                infotexts.append(create_infotext(p, p.prompts, p.seeds, i))
                if not p.do_not_save_samples:
                    images.save_image(pp.image, "samples", "", info=infotexts[-1], p=p)
                output_images.append(pp.image)
    result = Processed(p, output_images, infotexts or [create_infotext(p, p.all_prompts, p.all_seeds, 0)])
    p.scripts.postprocess(p, result)
    return result
