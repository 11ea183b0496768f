"""Soft inpainting, reduced: the blend follows the noise level, and the final blend is left out."""

import gradio as gr
from modules import scripts


class Script(scripts.Script):
    def title(self):
        return "Soft Inpainting"

    def show(self, is_img2img):
        return scripts.AlwaysVisible if is_img2img else False

    def ui(self, is_img2img):
        return [gr.Checkbox(False, label="Soft inpainting", elem_id=self.elem_id("enabled"))]

    def process(self, p, enabled):
        if enabled:
            p.mask_round = False
            p.extra_generation_params["Soft inpainting enabled"] = True

    def on_mask_blend(self, p, mba, enabled):
        if not enabled:
            return
        if mba.is_final_blend:
            mba.blended_latent = mba.current_latent
            return
        assert mba.sigma.shape == (len(mba.current_latent),)
        share = (mba.nmask ** (1 / (1 + float(mba.sigma[0])))).clamp(0, 1)
        mba.blended_latent = mba.current_latent * share + mba.init_latent * (1 - share)
