"""The page: two tabs of the same kind and the settings."""

import html

import gradio as gr

import modules.scripts
from modules import infotext_utils, script_callbacks, sd_samplers, sd_schedulers, shared
from modules.call_queue import wrap_gradio_gpu_call
from modules.infotext_utils import PasteField
from modules.jobs import run_page_job
from modules.ui_components import InputAccordion, ToolButton  # noqa: F401

txt2img_paste_fields = img2img_paste_fields = None


def plaintext_to_html(text, classname=None):
    return f"<p class='{classname or ''}'>" + "<br>\n".join(html.escape(text).split("\n")) + "</p>"


def create_ui():
    infotext_utils.paste_fields.clear()
    script_callbacks.ui_settings_callback()
    modules.scripts.scripts_txt2img.initialize_scripts(is_img2img=False)
    modules.scripts.scripts_img2img.initialize_scripts(is_img2img=True)
    theme = gr.themes.Default(font=["sans-serif"], font_mono=["monospace"])
    with gr.Blocks(theme=theme, analytics_enabled=False, title="Test host") as demo, gr.Tabs(elem_id="tabs"):
        for kind in ("txt2img", "img2img"):
            with gr.Tab(kind, id=kind, elem_id=f"tab_{kind}"):
                create_job_tab(kind)
        with gr.Tab("Settings", id="settings", elem_id="tab_settings"):
            create_settings_tab()
    return demo


def create_job_tab(kind):
    runner = getattr(modules.scripts, f"scripts_{kind}")
    modules.scripts.scripts_current = runner
    txt2img = kind == "txt2img"
    names = sd_samplers.visible_sampler_names()
    with gr.Row():
        prompt = gr.Textbox(label="Prompt", elem_id=f"{kind}_prompt", lines=3)
        negative_prompt = gr.Textbox(label="Negative prompt", elem_id=f"{kind}_neg_prompt")
        paste = gr.Button("Paste", elem_id="paste" if txt2img else "img2img_paste")
        interrupt = gr.Button("Interrupt", elem_id=f"{kind}_interrupt")
        generate = gr.Button("Generate", elem_id=f"{kind}_generate", variant="primary")
    with gr.Row():
        with gr.Column(elem_id=f"{kind}_settings"):
            runner.prepare_ui()
            init_image = (
                None if txt2img else gr.Image(label="Image", type="pil", elem_id="img2img_image", image_mode="RGBA")
            )
            steps = gr.Slider(1, 150, 20, step=1, label="Sampling steps", elem_id=f"{kind}_steps")
            sampler = gr.Dropdown(names, value=names[0], label="Sampling method", elem_id=f"{kind}_sampling")
            labels = [x.label for x in sd_schedulers.schedulers]
            scheduler = gr.Dropdown(labels, value=labels[0], label="Schedule type", elem_id=f"{kind}_scheduler")
            width = gr.Slider(64, 2048, 512, step=8, label="Width", elem_id=f"{kind}_width")
            height = gr.Slider(64, 2048, 512, step=8, label="Height", elem_id=f"{kind}_height")
            n_iter = gr.Slider(1, 8, 1, step=1, label="Batch count", elem_id=f"{kind}_batch_count")
            batch_size = gr.Slider(1, 8, 1, step=1, label="Batch size", elem_id=f"{kind}_batch_size")
            cfg_scale = gr.Slider(1, 30, 7, step=0.5, label="CFG Scale", elem_id=f"{kind}_cfg_scale")
            seed = gr.Number(-1, label="Seed", elem_id=f"{kind}_seed", precision=0)
            denoising = gr.Slider(
                0, 1, 0.7, step=0.01, label="Denoising strength", elem_id=f"{kind}_denoising_strength"
            )
            with InputAccordion(False, label="Hires. fix", elem_id=f"{kind}_hr") as enable_hr:
                modes = [*shared.latent_upscale_modes, *[x.name for x in shared.sd_upscalers]]
                hr_upscaler = gr.Dropdown(modes, value="Latent", label="Upscaler", elem_id=f"{kind}_hr_upscaler")
                hr_choices = ["Use same sampler", *names]
                hr_sampler = gr.Dropdown(
                    hr_choices, value=hr_choices[0], label="Hires sampling method", elem_id="hr_sampler"
                )
            # The real host tells scripts of every control as it is made.
            for component in (sampler, *((enable_hr, hr_sampler) if txt2img else ())):
                runner.after_component(component, elem_id=component.elem_id)
            override = gr.Dropdown([], value=[], multiselect=True, visible=False, label="Override settings")
            script_inputs = runner.setup_ui()
        with gr.Column():
            gallery = gr.Gallery(label="Output", show_label=False, elem_id=f"{kind}_gallery", columns=4)
            info = gr.Textbox(visible=False, elem_id=f"generation_info_{kind}")
            infotext = gr.HTML(elem_id=f"html_info_{kind}")
            log = gr.HTML(elem_id=f"html_log_{kind}")

    named = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "steps": steps,
        "sampler_name": sampler,
        "scheduler": scheduler,
        "width": width,
        "height": height,
        "n_iter": n_iter,
        "batch_size": batch_size,
        "cfg_scale": cfg_scale,
        "seed": seed,
        "denoising_strength": denoising,
        "override_settings_texts": override,
    }
    if txt2img:
        named |= {"enable_hr": enable_hr, "hr_upscaler": hr_upscaler, "hr_sampler_name": hr_sampler}
    else:
        named |= {"init_image": init_image}

    def job(*values):
        fields = dict(zip(named, values[: len(named)], strict=True))
        processed = run_page_job(kind, fields, values[len(named) :])
        return (
            processed.images,
            processed.js(),
            plaintext_to_html(processed.info),
            plaintext_to_html(processed.comments, "comments"),
        )

    generate.click(
        wrap_gradio_gpu_call(job, extra_outputs=[None, "", ""]),
        [*named.values(), *script_inputs],
        [gallery, info, infotext, log],
        show_progress=False,
    )
    interrupt.click(interrupt_job, [], [], queue=False)

    fields = [
        PasteField(prompt, "Prompt", api="prompt"),
        PasteField(negative_prompt, "Negative prompt", api="negative_prompt"),
        PasteField(steps, "Steps", api="steps"),
        PasteField(sampler, sd_samplers.get_sampler_from_infotext, api="sampler_name"),
        PasteField(scheduler, sd_samplers.get_scheduler_from_infotext, api="scheduler"),
        PasteField(cfg_scale, "CFG scale", api="cfg_scale"),
        PasteField(seed, "Seed", api="seed"),
        PasteField(width, "Size-1", api="width"),
        PasteField(height, "Size-2", api="height"),
        PasteField(denoising, "Denoising strength", api="denoising_strength"),
    ]
    if txt2img:
        fields += [
            PasteField(enable_hr, lambda d: "Hires upscaler" in d, api="enable_hr"),
            PasteField(hr_upscaler, "Hires upscaler", api="hr_upscaler"),
            PasteField(hr_sampler, "Hires sampler", api="hr_sampler_name"),
        ]
    infotext_utils.add_paste_fields(kind, init_image, fields + runner.infotext_fields, override)
    infotext_utils.connect_paste(paste, infotext_utils.paste_fields[kind]["fields"], prompt, override, kind)


def interrupt_job():
    """The first click lets the image that is being made finish."""
    state = shared.state
    if shared.opts.interrupt_after_current and state.job_count > 1 and not state.stopping_generation:
        state.stopping_generation = True
    else:
        state.interrupt()


def create_settings_tab():
    """All settings, those of extensions first."""
    submit = gr.Button("Apply settings", elem_id="settings_submit", variant="primary")
    result = gr.HTML(elem_id="settings_result")
    shown = {}
    for key, info in reversed(shared.opts.data_labels.items()):
        value = shared.opts.data.get(key)
        args = info.component_args() if callable(info.component_args) else dict(info.component_args or {})
        default = {bool: gr.Checkbox, int: gr.Number, float: gr.Number, list: None}.get(type(value), gr.Textbox)
        component = info.component or default
        if component is not None and not info.do_not_save:
            shown[key] = component(label=info.label, value=value, elem_id=f"setting_{key}", **args)

    def apply(*values):
        changed = [key for key, value in zip(shown, values, strict=True) if shared.opts.set(key, value)]
        return f"{len(changed)} settings changed: {', '.join(changed)}."

    submit.click(apply, list(shown.values()), [result])
