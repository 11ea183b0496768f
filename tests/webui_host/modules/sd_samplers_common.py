"""What samplers have in common: their table entry, the way between images and latents, the base class."""

import inspect
from collections import namedtuple
from types import SimpleNamespace

import k_diffusion.sampling
import torch

from modules import shared, tiny_model
from modules.shared import opts, state


class SamplerData(namedtuple("SamplerData", ["name", "constructor", "aliases", "options"])):
    def total_steps(self, steps):
        return steps * 2 if self.options.get("second_order") else steps


class InterruptedException(BaseException):
    pass


def setup_img2img_steps(p, steps=None):
    """Steps of the whole schedule, and how many of them (less one) the pass makes."""
    strength = min(p.denoising_strength, 0.999)
    return (int(steps / strength), steps - 1) if steps is not None else (p.steps, int(strength * p.steps))


def images_tensor_to_samples(image, approximation=None, model=None):
    """[0, 1] -> latent; the posterior is sampled from the global generator."""
    return (model or shared.sd_model).encode(image * 2 - 1)


def apply_refiner(cfg_denoiser):
    """Changes the checkpoint in the middle of a run."""
    p = cfg_denoiser.p
    if p.refiner_checkpoint in (None, shared.sd_model.name):
        return False
    if cfg_denoiser.step / cfg_denoiser.total_steps < p.refiner_switch_at:
        return False
    p.extra_generation_params["Refiner"] = p.refiner_checkpoint
    tiny_model.load(p.refiner_checkpoint)
    p.setup_conds()
    cfg_denoiser.update_inner_model()
    return True


class Sampler:
    def __init__(self, funcname):
        self.funcname = self.func = funcname
        self.extra_params, self.config, self.last_latent, self.eta = [], None, None, None
        self.s_churn, self.s_tmin, self.s_tmax, self.s_noise = 0.0, 0.0, float("inf"), 1.0

    def callback_state(self, d):
        state.sampling_step = d["i"]

    def launch_sampling(self, steps, func):
        self.model_wrap_cfg.total_steps = self.config.total_steps(steps)
        state.sampling_step = 0
        try:
            return func()
        except InterruptedException:
            return self.last_latent

    def initialize(self, p):
        self.model_wrap_cfg.p, self.model_wrap_cfg.step = p, 0
        self.model_wrap_cfg.mask = getattr(p, "mask", None)
        self.eta = p.eta if p.eta is not None else opts.eta_ancestral
        # Its randn_like is the job's generator.
        k_diffusion.sampling.torch = SimpleNamespace(**{**vars(torch), "randn_like": lambda x: p.rng.next()})
        names = inspect.signature(self.func).parameters
        kwargs = {name: getattr(p, name) for name in self.extra_params if name in names}
        if "eta" in names:
            kwargs["eta"] = self.eta
            if self.eta != 1.0:
                p.extra_generation_params["Eta"] = self.eta
        for name in kwargs.keys() & {"s_churn", "s_tmin", "s_tmax", "s_noise"}:
            # A setting wins over the job's field.
            if (value := getattr(opts, name) or getattr(self, name)) != getattr(self, name):
                kwargs[name] = value
                setattr(p, name, value)
                p.extra_generation_params[f"Sigma {name[2:]}"] = value
        return kwargs
