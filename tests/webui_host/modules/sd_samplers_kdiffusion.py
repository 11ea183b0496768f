"""The samplers of k-diffusion, or any function of their shape, and the model with guidance that they call."""

import inspect
from types import SimpleNamespace

import k_diffusion.external
import k_diffusion.sampling
import torch

from modules import devices, prompt_parser, script_callbacks, sd_samplers_common, shared
from modules.shared import opts, state

_euler = ["s_churn", "s_tmin", "s_tmax", "s_noise"]
sampler_extra_params = {"sample_euler": list(_euler), "sample_heun": list(_euler)}
schedulers = {
    "karras": ("Karras", k_diffusion.sampling.get_sigmas_karras),
    "exponential": ("Exponential", k_diffusion.sampling.get_sigmas_exponential),
}


class CFGDenoiserKDiffusion(torch.nn.Module):
    def __init__(self, sampler):
        super().__init__()
        self.sampler = sampler
        self.model_wrap = self.mask = self.total_steps = self.p = None
        self.step = 0

    @property
    def inner_model(self):
        if self.model_wrap is None:
            create = getattr(shared.sd_model, "create_denoiser", None)
            self.model_wrap = create() if create else k_diffusion.external.CompVisDenoiser(shared.sd_model)
        return self.model_wrap

    def update_inner_model(self):
        self.model_wrap = None
        self.sampler.sampler_extra_args |= {"cond": self.p.c, "uncond": self.p.uc}

    def forward(self, x, sigma, uncond, cond, cond_scale, s_min_uncond, image_cond):
        if state.interrupted:
            raise sd_samplers_common.InterruptedException
        if sd_samplers_common.apply_refiner(self):
            cond, uncond = self.p.c, self.p.uc
        conds_list, tensor = prompt_parser.reconstruct_multicond_batch(cond, self.step)
        images = [image for image, prompts in enumerate(conds_list) for _ in prompts] + list(range(len(x)))
        out = self.inner_model(x[images], sigma[images], cond=self.of_model(tensor, uncond, image_cond))
        without, denoised = out[-len(x) :], out[-len(x) :].clone()
        for image, prompts in enumerate(conds_list):
            for place, weight in prompts:
                denoised[image] += (out[place] - without[image]) * (weight * cond_scale)
        with_prompt = out[[prompts[0][0] for prompts in conds_list]]
        if self.mask is not None:
            denoised = self.p.blended(denoised, sigma)
        self.sampler.last_latent = with_prompt
        script_callbacks.cfg_after_cfg_callback(SimpleNamespace(x=denoised, sampling_step=state.sampling_step))
        self.step += 1
        return denoised

    @staticmethod
    def of_model(cond, uncond, image_cond):
        if isinstance(cond, dict):
            return {**{key: torch.cat([cond[key], uncond[key]]) for key in cond}, "c_concat": [image_cond]}
        return {"c_crossattn": [torch.cat([cond, uncond])], "c_concat": [image_cond]}


class KDiffusionSampler(sd_samplers_common.Sampler):
    def __init__(self, funcname, sd_model, options=None):
        super().__init__(funcname)
        self.extra_params = sampler_extra_params.get(funcname, [])
        self.func = funcname if callable(funcname) else getattr(k_diffusion.sampling, funcname)
        self.model_wrap_cfg = CFGDenoiserKDiffusion(self)
        self.model_wrap = self.model_wrap_cfg.inner_model

    def get_sigmas(self, p, steps):
        discard = self.config.options.get("discard_next_to_last_sigma") or opts.always_discard_next_to_last_sigma
        steps += bool(discard)
        name = p.scheduler or self.config.options.get("scheduler") or ""
        if name.lower() in schedulers:
            label, function = schedulers[name.lower()]
            p.extra_generation_params["Schedule type"] = label
            low, high = self.model_wrap.sigmas[0].item(), self.model_wrap.sigmas[-1].item()
            sigmas = function(n=steps, sigma_min=low, sigma_max=high, device=devices.device)
        else:
            sigmas = self.model_wrap.get_sigmas(steps)
        return torch.cat([sigmas[:-2], sigmas[-1:]]) if discard else sigmas

    def run(self, p, x, sigmas, cond, uncond, image_cond, steps):
        kwargs = self.initialize(p)
        names = inspect.signature(self.func).parameters
        given = {"n": len(sigmas) - 1, "sigmas": sigmas, "sigma_min": sigmas[-2], "sigma_max": sigmas[0]}
        kwargs |= {name: value for name, value in given.items() if name in names}
        self.sampler_extra_args = {"cond": cond, "uncond": uncond, "image_cond": image_cond}
        self.sampler_extra_args |= {"cond_scale": p.cfg_scale, "s_min_uncond": 0.0}
        kwargs |= {"extra_args": self.sampler_extra_args, "disable": True, "callback": self.callback_state}
        return self.launch_sampling(steps, lambda: self.func(self.model_wrap_cfg, x, **kwargs))

    def sample(self, p, x, cond, uncond, steps=None, image_conditioning=None):
        sigmas = self.get_sigmas(p, p.steps)
        self.last_latent = x = x * (torch.sqrt(1.0 + sigmas[0] ** 2.0) if opts.sgm_noise_multiplier else sigmas[0])
        return self.run(p, x, sigmas, cond, uncond, image_conditioning, p.steps)

    def sample_img2img(self, p, x, noise, cond, uncond, steps=None, image_conditioning=None):
        steps, t_enc = sd_samplers_common.setup_img2img_steps(p, steps)
        sigmas = self.get_sigmas(p, steps)[steps - t_enc - 1 :]
        add_noise = getattr(shared.sd_model, "add_noise_to_latent", lambda latent, noise, sigma: latent + noise * sigma)
        noised = add_noise(x, noise, sigmas[0])
        if opts.img2img_extra_noise > 0:
            p.extra_generation_params["Extra noise"] = opts.img2img_extra_noise
            noised = noised + noise * opts.img2img_extra_noise
        self.last_latent = x
        return self.run(p, noised, sigmas, cond, uncond, image_conditioning, t_enc + 1)


samplers_k_diffusion = [
    ("DPM++ 2M", "sample_dpmpp_2m", ["k_dpmpp_2m"], {"scheduler": "karras"}),
    ("Euler a", "sample_euler_ancestral", ["k_euler_a", "k_euler_ancestral"], {"uses_ensd": True}),
    ("Euler", "sample_euler", ["k_euler"], {}),
    ("LMS", "sample_lms", ["k_lms"], {}),
    ("Heun", "sample_heun", ["k_heun"], {"second_order": True}),
]
samplers_data_k_diffusion = [
    sd_samplers_common.SamplerData(label, lambda model, name=name: KDiffusionSampler(name, model), aliases, options)
    for label, name, aliases, options in samplers_k_diffusion
]
