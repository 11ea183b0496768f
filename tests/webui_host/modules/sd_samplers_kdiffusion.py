"""The samplers of k-diffusion, or any function of their shape."""

import inspect

import k_diffusion.external
import k_diffusion.sampling
import torch

from modules import devices, sd_samplers_common, sd_schedulers, shared
from modules.sd_samplers_cfg_denoiser import CFGDenoiser
from modules.shared import opts

_euler = ["s_churn", "s_tmin", "s_tmax", "s_noise"]
sampler_extra_params = {"sample_euler": list(_euler), "sample_heun": list(_euler)}


class CFGDenoiserKDiffusion(CFGDenoiser):
    @property
    def inner_model(self):
        if self.model_wrap is None:
            create = getattr(shared.sd_model, "create_denoiser", None)
            self.model_wrap = (
                create() if create else k_diffusion.external.CompVisDenoiser(shared.sd_model, opts.enable_quantization)
            )
        return self.model_wrap


class KDiffusionSampler(sd_samplers_common.Sampler):
    def __init__(self, funcname, sd_model, options=None):
        super().__init__(funcname)
        self.extra_params = sampler_extra_params.get(funcname, [])
        self.options = options or {}
        self.func = funcname if callable(funcname) else getattr(k_diffusion.sampling, funcname)
        self.model_wrap_cfg = CFGDenoiserKDiffusion(self)
        self.model_wrap = self.model_wrap_cfg.inner_model

    def get_sigmas(self, p, steps):
        discard = self.config.options.get("discard_next_to_last_sigma", False) or opts.always_discard_next_to_last_sigma
        steps += bool(discard)
        name = (p.hr_scheduler if p.is_hr_pass else p.scheduler) or "Automatic"
        if name == "Automatic":
            name = self.config.options.get("scheduler")
        scheduler = sd_schedulers.schedulers_map.get(name)
        if scheduler is None or scheduler.function is None:
            sigmas = self.model_wrap.get_sigmas(steps)
        else:
            p.extra_generation_params["Hires schedule type" if p.is_hr_pass else "Schedule type"] = scheduler.label
            kwargs = {"inner_model": self.model_wrap} if scheduler.need_inner_model else {}
            low, high = self.model_wrap.sigmas[0].item(), self.model_wrap.sigmas[-1].item()
            sigmas = scheduler.function(n=steps, sigma_min=low, sigma_max=high, device=devices.cpu, **kwargs)
        if discard:
            sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
        return sigmas.cpu()

    def _run(self, p, x, sigmas, conditioning, unconditional_conditioning, image_conditioning, steps, img2img):
        kwargs = self.initialize(p)
        names = inspect.signature(self.func).parameters
        if "n" in names:
            kwargs["n"] = len(sigmas) - 1
        if "sigma_min" in names:
            kwargs["sigma_min"] = sigmas[-2] if img2img else self.model_wrap.sigmas[0].item()
            kwargs["sigma_max"] = sigmas[0] if img2img else self.model_wrap.sigmas[-1].item()
        if "sigma_sched" in names and img2img:
            kwargs["sigma_sched"] = sigmas
        if "sigmas" in names:
            kwargs["sigmas"] = sigmas
        self.sampler_extra_args = {
            "cond": conditioning,
            "image_cond": image_conditioning,
            "uncond": unconditional_conditioning,
            "cond_scale": p.cfg_scale,
            "s_min_uncond": self.s_min_uncond,
        }
        extra = self.sampler_extra_args
        call = lambda: self.func(  # noqa: E731
            self.model_wrap_cfg, x, extra_args=extra, disable=False, callback=self.callback_state, **kwargs
        )
        return self.launch_sampling(steps, call)

    def sample(self, p, x, conditioning, unconditional_conditioning, steps=None, image_conditioning=None):
        steps = steps or p.steps
        sigmas = self.get_sigmas(p, steps)
        x = x * (torch.sqrt(1.0 + sigmas[0] ** 2.0) if opts.sgm_noise_multiplier else sigmas[0])
        self.last_latent = x
        return self._run(p, x, sigmas, conditioning, unconditional_conditioning, image_conditioning, steps, False)

    def sample_img2img(
        self, p, x, noise, conditioning, unconditional_conditioning, steps=None, image_conditioning=None
    ):
        steps, t_enc = sd_samplers_common.setup_img2img_steps(p, steps)
        sigmas = self.get_sigmas(p, steps)[steps - t_enc - 1 :]
        add_noise = getattr(shared.sd_model, "add_noise_to_latent", lambda latent, noise, sigma: latent + noise * sigma)
        xi = self.extra_noise(p, noise, x, add_noise(x, noise, sigmas[0]))
        self.model_wrap_cfg.init_latent = self.last_latent = x
        return self._run(p, xi, sigmas, conditioning, unconditional_conditioning, image_conditioning, t_enc + 1, True)


samplers_k_diffusion = [
    ("DPM++ 2M", "sample_dpmpp_2m", ["k_dpmpp_2m"], {"scheduler": "karras"}),
    ("Euler a", "sample_euler_ancestral", ["k_euler_a", "k_euler_ancestral"], {"uses_ensd": True}),
    ("Euler", "sample_euler", ["k_euler"], {}),
    ("LMS", "sample_lms", ["k_lms"], {}),
    ("Heun", "sample_heun", ["k_heun"], {"second_order": True}),
]
samplers_data_k_diffusion = [
    sd_samplers_common.SamplerData(
        label, lambda model, funcname=funcname: KDiffusionSampler(funcname, model), aliases, options
    )
    for label, funcname, aliases, options in samplers_k_diffusion
]
k_diffusion_samplers_map = {x.name: x for x in samplers_data_k_diffusion}
