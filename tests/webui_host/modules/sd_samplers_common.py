"""What samplers have in common: their table entry, the way between images and latents, the base class."""

import inspect
from collections import namedtuple

import k_diffusion.sampling
import numpy as np
import torch
from PIL import Image

from modules import devices, script_callbacks, sd_models, shared
from modules.shared import opts, state

approximation_indexes = {"Full": 0, "Approx NN": 1, "Approx cheap": 2, "TAESD": 3}


class SamplerData(namedtuple("SamplerData", ["name", "constructor", "aliases", "options"])):
    def total_steps(self, steps):
        return steps * 2 if self.options.get("second_order") else steps


class InterruptedException(BaseException):
    pass


def setup_img2img_steps(p, steps=None):
    """Steps of the whole schedule, and how many of them (less one) an img2img run makes."""
    strength = min(p.denoising_strength, 0.999)
    if opts.img2img_fix_steps or steps is not None:
        wanted = steps or p.steps
        return (int(wanted / strength) if strength > 0 else 0), wanted - 1
    return p.steps, int(strength * p.steps)


def images_tensor_to_samples(image, approximation=None, model=None):
    """[0, 1] -> latent; the posterior is sampled from the global generator."""
    model = model or shared.sd_model
    image = image.to(shared.device, dtype=devices.dtype_vae) * 2 - 1
    return torch.cat([model.get_first_stage_encoding(model.encode_first_stage(one[None])) for one in image])


def decode_first_stage(model, x):
    return model.decode_first_stage(x)


def samples_to_images_tensor(sample, approximation=None, model=None):
    return decode_first_stage(model or shared.sd_model, sample)


def single_sample_to_image(sample, approximation=None):
    image = (samples_to_images_tensor(sample[None])[0] * 0.5 + 0.5).clamp(0, 1)
    return Image.fromarray((255.0 * np.moveaxis(image.cpu().numpy(), 0, 2)).astype(np.uint8))


def sample_to_image(samples, index=0, approximation=None):
    return single_sample_to_image(samples[index], approximation)


def store_latent(decoded):
    state.current_latent = decoded
    every = opts.show_progress_every_n_steps
    if opts.live_previews_enable and every > 0 and state.sampling_step % every == 0:
        state.assign_current_image(sample_to_image(decoded))


def is_sampler_using_eta_noise_seed_delta(p):
    from modules import sd_samplers

    config = sd_samplers.find_sampler_config(p.sampler_name)
    eta = p.eta if p.eta is not None else getattr(p.sampler, "eta", None)
    return eta != 0 and config.options.get("uses_ensd", False)


def apply_refiner(cfg_denoiser, sigma=None):
    """Changes the checkpoint in the middle of a run."""
    p = cfg_denoiser.p
    info = getattr(p, "refiner_checkpoint_info", None)
    if (
        info is None
        or shared.sd_model.sd_checkpoint_info is info
        or cfg_denoiser.step / cfg_denoiser.total_steps < p.refiner_switch_at
    ):
        return False
    p.extra_generation_params.update({"Refiner": info.short_title, "Refiner switch at": p.refiner_switch_at})
    sd_models.reload_model_weights(info=info)
    p.setup_conds()
    cfg_denoiser.update_inner_model()
    return True


class TorchHijack:
    """Stands for `torch` inside `k_diffusion.sampling`: its randn_like is the job's generator."""

    def __init__(self, p):
        self.rng = p.rng

    def __getattr__(self, item):
        return getattr(torch, item)

    def randn_like(self, x):
        return self.rng.next()


class Sampler:
    def __init__(self, funcname):
        self.funcname = self.func = funcname
        self.extra_params = []
        self.stop_at = self.eta = self.config = self.last_latent = self.s_min_uncond = self.p = None
        self.s_churn, self.s_tmin, self.s_tmax, self.s_noise = 0.0, 0.0, float("inf"), 1.0
        self.eta_option_field, self.eta_infotext_field, self.eta_default = "eta_ancestral", "Eta", 1.0
        self.conditioning_key = "crossattn"
        self.model_wrap_cfg = self.sampler_extra_args = None

    def callback_state(self, d):
        if self.stop_at is not None and d["i"] > self.stop_at:
            raise InterruptedException
        state.sampling_step = d["i"]
        shared.total_tqdm.update()

    def launch_sampling(self, steps, func):
        self.model_wrap_cfg.steps = steps
        self.model_wrap_cfg.total_steps = self.config.total_steps(steps)
        state.sampling_steps, state.sampling_step = steps, 0
        try:
            return func()
        except InterruptedException:
            return self.last_latent

    def initialize(self, p):
        self.p = self.model_wrap_cfg.p = p
        self.model_wrap_cfg.mask = getattr(p, "mask", None)
        self.model_wrap_cfg.nmask = getattr(p, "nmask", None)
        self.model_wrap_cfg.step = 0
        self.eta = p.eta if p.eta is not None else getattr(opts, self.eta_option_field, 0.0)
        self.s_min_uncond = getattr(p, "s_min_uncond", 0.0)
        k_diffusion.sampling.torch = TorchHijack(p)

        names = inspect.signature(self.func).parameters
        kwargs = {name: getattr(p, name) for name in self.extra_params if hasattr(p, name) and name in names}
        if "eta" in names:
            kwargs["eta"] = self.eta
            if self.eta != self.eta_default:
                p.extra_generation_params[self.eta_infotext_field] = self.eta
        if self.extra_params:
            chosen = {
                name: getattr(opts, name, getattr(p, name)) for name in ("s_churn", "s_tmin", "s_tmax", "s_noise")
            }
            chosen["s_tmax"] = chosen["s_tmax"] or self.s_tmax
            for name, value in chosen.items():
                if name in kwargs and value != getattr(self, name):
                    kwargs[name] = value
                    setattr(p, name, value)
                    p.extra_generation_params["Sigma " + name[2:]] = value
        return kwargs

    def extra_noise(self, p, noise, x, xi):
        if opts.img2img_extra_noise > 0:
            p.extra_generation_params["Extra noise"] = opts.img2img_extra_noise
            params = script_callbacks.ExtraNoiseParams(noise, x, xi)
            script_callbacks.extra_noise_callback(params)
            xi = xi + params.noise * opts.img2img_extra_noise
        return xi
