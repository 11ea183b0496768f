"""Classifier-free guidance: the model that samplers call."""

import torch

from modules import script_callbacks, sd_samplers_common
from modules.shared import state


class CFGDenoiser(torch.nn.Module):
    def __init__(self, sampler):
        super().__init__()
        self.sampler = sampler
        self.model_wrap = self.mask = self.nmask = self.init_latent = self.steps = self.total_steps = self.p = None
        self.step = 0
        self.mask_before_denoising = False

    @property
    def inner_model(self):
        raise NotImplementedError

    def update_inner_model(self):
        self.model_wrap = None
        self.sampler.sampler_extra_args["cond"], self.sampler.sampler_extra_args["uncond"] = self.p.get_conds()

    def blend(self, latent, sigma):
        blended = latent * self.nmask + self.init_latent * self.mask
        if self.p.scripts is not None:
            from modules import scripts

            args = scripts.MaskBlendArgs(
                latent, self.nmask, self.init_latent, self.mask, blended, denoiser=self, sigma=sigma
            )
            self.p.scripts.on_mask_blend(self.p, args)
            blended = args.blended_latent
        return blended

    def forward(self, x, sigma, uncond, cond, cond_scale, s_min_uncond, image_cond):
        if state.interrupted or state.skipped:
            raise sd_samplers_common.InterruptedException
        if sd_samplers_common.apply_refiner(self, sigma):
            cond, uncond = self.sampler.sampler_extra_args["cond"], self.sampler.sampler_extra_args["uncond"]

        params = script_callbacks.CFGDenoiserParams(
            torch.cat([x, x]),
            image_cond,
            torch.cat([sigma, sigma]),
            state.sampling_step,
            state.sampling_steps,
            cond,
            uncond,
            self,
        )
        script_callbacks.cfg_denoiser_callback(params)
        both = torch.cat([params.text_cond, params.text_uncond])
        out = self.inner_model(params.x, params.sigma, cond={"c_crossattn": [both], "c_concat": [image_cond]})
        with_prompt, without = out.chunk(2)
        denoised = without + (with_prompt - without) * cond_scale
        if self.mask is not None:
            denoised = self.blend(denoised, sigma)

        self.sampler.last_latent = with_prompt
        sd_samplers_common.store_latent(denoised)  # the tensor itself: whoever writes into it spoils the preview
        after = script_callbacks.AfterCFGCallbackParams(denoised, state.sampling_step, state.sampling_steps)
        script_callbacks.cfg_after_cfg_callback(after)
        self.step += 1
        return after.x
