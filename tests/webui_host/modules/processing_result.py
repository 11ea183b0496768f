"""What a job leaves: images and their infotexts. `modules.processing` shows it as its own."""

# ruff: noqa: PERF203 - one bad value must not spoil the rest
import json

from modules import errors, infotext_utils, sd_samplers_common, shared
from modules.shared import opts, state


class Processed:
    def __init__(
        self,
        p,
        images_list,
        seed=-1,
        info="",
        subseed=None,
        all_prompts=None,
        all_negative_prompts=None,
        all_seeds=None,
        all_subseeds=None,
        index_of_first_image=0,
        infotexts=None,
        comments="",
    ):
        for name in (
            "width",
            "height",
            "sampler_name",
            "cfg_scale",
            "steps",
            "batch_size",
            "extra_generation_params",
            "styles",
        ):
            setattr(self, name, getattr(p, name))
        self.images, self.seed, self.subseed, self.info = images_list, seed, subseed, info
        self.prompt, self.negative_prompt = p.prompt, p.negative_prompt
        self.comments = "".join(f"{comment}\n" for comment in p.comments)
        self.denoising_strength = p.denoising_strength
        self.all_prompts = all_prompts or p.all_prompts or [p.prompt]
        self.all_negative_prompts = all_negative_prompts or p.all_negative_prompts or [p.negative_prompt]
        self.all_seeds = all_seeds or p.all_seeds or [seed]
        self.all_subseeds = all_subseeds or p.all_subseeds or [subseed]
        self.index_of_first_image = index_of_first_image
        self.infotexts = infotexts or [info] * len(images_list)
        self.job_timestamp = state.job_timestamp

    def js(self):
        keys = (
            "prompt negative_prompt seed subseed width height sampler_name cfg_scale steps batch_size "
            "denoising_strength all_prompts all_seeds extra_generation_params index_of_first_image "
            "infotexts styles job_timestamp"
        )
        return json.dumps({key: getattr(self, key) for key in keys.split()}, default=lambda o: None)

    def infotext(self, p, index):
        return create_infotext(
            p,
            self.all_prompts,
            self.all_seeds,
            self.all_subseeds,
            position_in_batch=index % self.batch_size,
            iteration=index // self.batch_size,
        )


def create_infotext(
    p,
    all_prompts,
    all_seeds,
    all_subseeds,
    comments=None,
    iteration=0,
    position_in_batch=0,
    use_main_prompt=False,
    index=None,
    all_negative_prompts=None,
):
    if use_main_prompt:
        index = 0
    elif index is None:
        index = position_in_batch + iteration * p.batch_size
    if all_negative_prompts is None:
        all_negative_prompts = p.all_negative_prompts
    prompt_text = p.main_prompt if use_main_prompt else all_prompts[index]
    negative_prompt = p.main_negative_prompt if use_main_prompt else all_negative_prompts[index]
    ensd = opts.eta_noise_seed_delta
    params = {
        "Steps": p.steps,
        "Sampler": p.sampler_name,
        "Schedule type": p.scheduler,
        "CFG scale": p.cfg_scale,
        "Seed": p.all_seeds[0] if use_main_prompt else all_seeds[index],
        "Size": f"{p.width}x{p.height}",
        "Model": shared.sd_model.sd_checkpoint_info.name_for_extra,
        "Denoising strength": p.extra_generation_params.get("Denoising strength"),
        "ENSD": ensd if ensd and sd_samplers_common.is_sampler_using_eta_noise_seed_delta(p) else None,
        **p.extra_generation_params,
        "Version": "test-host",
    }
    if getattr(shared.cmd_opts, "kind", None) != "a1111-1.8":  # lists and callables: since 1.9
        for key, value in params.items():
            try:
                params[key] = (
                    value[index] if isinstance(value, list) else value(**locals()) if callable(value) else value
                )
            except Exception:
                errors.report(f'Error creating infotext for key "{key}"', exc_info=True)
                params[key] = None
    shown = (k if k == v else f"{k}: {infotext_utils.quote(v)}" for k, v in params.items() if v is not None)
    negative = f"\nNegative prompt: {negative_prompt}" if negative_prompt else ""
    return f"{prompt_text}{negative}\n{', '.join(shown)}".strip()
