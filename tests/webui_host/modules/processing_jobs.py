"""The two kinds of jobs. `modules.processing` shows them as its own."""

import dataclasses
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter, ImageOps

from modules import images, scripts, sd_samplers, shared
from modules.processing import StableDiffusionProcessing, decode_latent_batch, opt_f
from modules.sd_samplers_common import images_tensor_to_samples
from modules.shared import state


@dataclasses.dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    enable_hr: bool = False
    denoising_strength: float = 0.75
    hr_scale: float = 2.0
    hr_upscaler: str = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_sampler_name: str = None
    hr_scheduler: str = None
    firstpass_image: Any = None

    def init(self, all_prompts, all_seeds, all_subseeds):
        if not self.enable_hr:
            return
        extra = self.extra_generation_params
        extra["Denoising strength"] = self.denoising_strength
        if self.hr_sampler_name is not None and self.hr_sampler_name != self.sampler_name:
            extra["Hires sampler"] = self.hr_sampler_name
        self.hr_scheduler = self.hr_scheduler or self.scheduler
        self.hr_upscaler = self.hr_upscaler or shared.latent_upscale_default_mode
        self.latent_scale_mode = shared.latent_upscale_modes.get(self.hr_upscaler)
        if self.latent_scale_mode is None and all(x.name != self.hr_upscaler for x in shared.sd_upscalers):
            raise Exception(f"could not find upscaler named {self.hr_upscaler}")
        self.hr_upscale_to_x = self.hr_resize_x or int(self.width * self.hr_scale)
        self.hr_upscale_to_y = self.hr_resize_y or int(self.height * self.hr_scale)
        extra["Hires upscale"] = self.hr_scale
        extra["Hires upscaler"] = self.hr_upscaler
        if self.hr_second_pass_steps:
            extra["Hires steps"] = self.hr_second_pass_steps
        if not state.processing_has_refined_job_count:
            state.job_count = (self.n_iter if state.job_count == -1 else state.job_count) * 2
            state.processing_has_refined_job_count = True
            shared.total_tqdm.updateTotal(
                (self.steps + (self.hr_second_pass_steps or self.steps)) * state.job_count // 2
            )

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        x = self.rng.next()
        self.before_sampling(x, x, conditioning, unconditional_conditioning)
        image_conditioning = x.new_zeros(len(x), 5, 1, 1)
        samples = self.sampler.sample(
            self, x, conditioning, unconditional_conditioning, image_conditioning=image_conditioning
        )
        if not self.enable_hr or state.interrupted:
            return samples
        return self.sample_hr_pass(samples)

    def sample_hr_pass(self, samples):
        self.is_hr_pass = True
        size = (self.hr_upscale_to_y, self.hr_upscale_to_x)
        self.sampler = sd_samplers.create_sampler(self.hr_sampler_name or self.sampler_name, self.sd_model)
        if self.latent_scale_mode is not None:
            samples = torch.nn.functional.interpolate(
                samples,
                size=(size[0] // opt_f, size[1] // opt_f),
                mode=self.latent_scale_mode["mode"],
                antialias=self.latent_scale_mode["antialias"],
            )
        else:
            enlarged = []
            for one in decode_latent_batch(self.sd_model, samples):
                pixels = (255.0 * np.moveaxis((one.clamp(-1, 1) / 2 + 0.5).numpy(), 0, 2)).astype(np.uint8)
                image = images.resize_image(
                    0, Image.fromarray(pixels), size[1], size[0], upscaler_name=self.hr_upscaler
                )
                enlarged.append(image_to_tensor(image))
            samples = images_tensor_to_samples(torch.stack(enlarged))
        state.nextjob()
        self.rng = self.image_rng(samples.shape[1:])
        noise = self.rng.next()
        if self.scripts is not None:
            self.scripts.before_hr(self)
        self.before_sampling(samples, noise, self.c, self.uc)
        steps = self.hr_second_pass_steps or self.steps
        samples = self.sampler.sample_img2img(
            self,
            samples,
            noise,
            self.c,
            self.uc,
            steps=steps,
            image_conditioning=samples.new_zeros(len(samples), 5, 1, 1),
        )
        self.sampler = None
        decoded = decode_latent_batch(self.sd_model, samples, None, True)
        self.is_hr_pass = False
        return decoded


def image_to_tensor(image):
    return torch.from_numpy(np.moveaxis(np.array(image.convert("RGB"), dtype=np.float32) / 255.0, 2, 0).copy())


@dataclasses.dataclass(repr=False)
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    init_images: list = None
    resize_mode: int = 0
    denoising_strength: float = 0.75
    mask: Any = None
    mask_blur: int = 4
    mask_round: bool = True
    inpainting_fill: int = 1
    inpaint_full_res: bool = False
    inpainting_mask_invert: int = 0

    def __post_init__(self):
        super().__post_init__()
        self.image_mask, self.mask = self.mask, None
        self.nmask = self.init_latent = None

    def init(self, all_prompts, all_seeds, all_subseeds):
        self.extra_generation_params["Denoising strength"] = self.denoising_strength
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        resized = [
            images.resize_image(self.resize_mode, images.flatten(i, "#ffffff"), self.width, self.height)
            for i in self.init_images
        ]
        tensors = [image_to_tensor(image) for image in resized]
        batch = torch.stack(tensors * self.batch_size if len(tensors) == 1 else tensors)
        self.init_latent = images_tensor_to_samples(batch, None, self.sd_model)
        if self.image_mask is None:
            return
        mask = self.image_mask.convert("L")
        mask = ImageOps.invert(mask) if self.inpainting_mask_invert else mask
        mask = images.resize_image(
            self.resize_mode, mask.filter(ImageFilter.GaussianBlur(self.mask_blur)), self.width, self.height
        )
        self.extra_generation_params["Mask blur"] = self.mask_blur
        self.mask_for_overlay = mask
        kept = []
        for image in resized:
            overlay = Image.new("RGBA", image.size)
            overlay.paste(image, mask=ImageOps.invert(mask.convert("L")))
            kept.append(overlay)
        self.overlay_images = kept * self.batch_size if len(kept) == 1 else kept
        small = np.array(mask.convert("L").resize(self.init_latent.shape[:1:-1]), dtype=np.float32) / 255
        small = torch.from_numpy(np.around(small) if self.mask_round else small).expand(
            self.init_latent.shape[1], -1, -1
        )
        self.mask, self.nmask = 1 - small, small

    def sample(self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts):
        noise = self.rng.next()
        self.before_sampling(self.init_latent, noise, conditioning, unconditional_conditioning)
        image_conditioning = noise.new_zeros(len(noise), 5, 1, 1)
        samples = self.sampler.sample_img2img(
            self,
            self.init_latent,
            noise,
            conditioning,
            unconditional_conditioning,
            image_conditioning=image_conditioning,
        )
        if self.mask is not None:
            blended = samples * self.nmask + self.init_latent * self.mask
            args = scripts.MaskBlendArgs(samples, self.nmask, self.init_latent, self.mask, blended)
            if self.scripts is not None:
                self.scripts.on_mask_blend(self, args)
            samples = args.blended_latent
        return samples
