"""The part of /sdapi/v1 that an extension of samplers meets."""

import base64
import dataclasses
import io
import json

import gradio as gr
from fastapi import Body, HTTPException
from fastapi.responses import JSONResponse
from PIL import Image, PngImagePlugin

import modules.scripts
from modules import errors, images, infotext_utils, processing, sd_samplers, shared
from modules.jobs import make_job, run_job


def decode_base64_to_image(encoding):
    if encoding.startswith("data:image/"):
        encoding = encoding.split(";")[1].split(",")[1]
    try:
        return images.read(io.BytesIO(base64.b64decode(encoding)))
    except Exception as e:
        raise HTTPException(500, "Invalid encoded image") from e


def encode_pil_to_base64(image):
    chunks = PngImagePlugin.PngInfo()
    for key, value in image.info.items():
        if isinstance(key, str) and isinstance(value, str):
            chunks.add_text(key, value)
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=chunks)
    return base64.b64encode(out.getvalue())


class Api:
    def __init__(self, app, queue_lock):
        self.queue_lock = queue_lock
        self.runners = {"txt2img": modules.scripts.scripts_txt2img, "img2img": modules.scripts.scripts_img2img}
        self.defaults = {kind: self.default_args(runner) for kind, runner in self.runners.items()}

        for kind in self.runners:
            app.post(f"/sdapi/v1/{kind}")(self.job_endpoint(kind))
        app.get("/sdapi/v1/samplers")(self.samplers)
        app.get("/sdapi/v1/upscalers")(lambda: [{"name": x.name} for x in shared.sd_upscalers])
        app.get("/sdapi/v1/scripts")(self.scripts)
        app.get("/sdapi/v1/script-info")(self.script_info)
        app.get("/sdapi/v1/options")(lambda: dict(shared.opts.data))
        app.post("/sdapi/v1/options")(self.set_options)
        app.get("/sdapi/v1/progress")(self.progress)
        app.post("/sdapi/v1/interrupt")(lambda: shared.state.interrupt() or {})

    @staticmethod
    def default_args(runner):
        """Runs each script's ui() twice, as the real host does."""
        args = [0] + [None] * (max([1, *(script.args_to for script in runner.scripts)]) - 1)
        with gr.Blocks():
            for script in runner.scripts:
                if script.ui(script.is_img2img):
                    values = [control.value for control in script.ui(script.is_img2img)]
                    args[script.args_from : script.args_to] = values
        return args

    def job_endpoint(self, kind):
        def endpoint(request: dict = Body(...)):  # noqa: B008
            try:
                return self.job(kind, dict(request))
            except Exception as e:
                if not isinstance(e, HTTPException):
                    errors.report(f"API error: {type(e).__name__}: {e}", exc_info=True)
                content = {"error": type(e).__name__, "detail": getattr(e, "detail", ""), "body": "", "errors": str(e)}
                return JSONResponse(content, getattr(e, "status_code", 500))

        return endpoint

    def job(self, kind, request):
        runner = self.runners[kind]
        args = list(self.defaults[kind])
        self.apply_infotext(kind, request, runner, args)
        name, script_args = request.pop("script_name", None), request.pop("script_args", [])
        if name:
            script = self.find(name, runner.selectable_scripts)
            args[script.args_from : script.args_to] = script_args
            args[0] = runner.selectable_scripts.index(script) + 1
        for name, given in (request.pop("alwayson_scripts", None) or {}).items():
            script = self.find(name, runner.scripts)
            if not script.alwayson:
                raise HTTPException(422, "Cannot have a selectable script in the always on scripts params")
            for k in range(min(script.args_to - script.args_from, len(given.get("args", [])))):
                args[script.args_from + k] = given["args"][k]

        sampler, scheduler = sd_samplers.get_sampler_and_scheduler(
            request.pop("sampler_name", None), request.pop("scheduler", None)
        )
        save = request.pop("save_images", False)
        fields = {**request, "sampler_name": sampler, "scheduler": None if scheduler == "Automatic" else scheduler}
        fields |= {"do_not_save_samples": not save, "do_not_save_grid": not save}
        if kind == "img2img":
            fields["init_images"] = [decode_base64_to_image(text) for text in request["init_images"]]
            fields["mask"] = decode_base64_to_image(request["mask"]) if request.get("mask") else None
        with self.queue_lock:
            p = make_job(kind, fields)
            p.is_api = True
            shared.state.begin(job=f"api {kind}")
            try:
                processed = run_job(p, args if args[0] else tuple(args))
            finally:
                shared.state.end()
        pictures = [encode_pil_to_base64(image).decode() for image in processed.images]
        return {"images": pictures, "parameters": {}, "info": processed.js()}

    @staticmethod
    def find(name, scripts):
        for script in scripts:
            if script.title().lower() == name.lower():
                return script
        raise HTTPException(422, f"Script '{name}' not found")

    @staticmethod
    def apply_infotext(kind, request, runner, args):
        """What the request's `infotext` says, for fields that the request does not have."""
        text = request.pop("infotext", None)
        if not text:
            return
        params = infotext_utils.parse_generation_parameters(text)
        job_class = (
            processing.StableDiffusionProcessingTxt2Img
            if kind == "txt2img"
            else processing.StableDiffusionProcessingImg2Img
        )
        known = {field.name: field.default for field in dataclasses.fields(job_class)}
        places = {id(component): k for k, component in enumerate(runner.inputs) if component is not None}
        for field in infotext_utils.paste_fields[kind]["fields"]:
            value = field.function(params) if field.function else params.get(field.label)
            if isinstance(value, dict) and value.get("__type__") == "generic_update":
                value = value.get("value")
            target = type(
                known.get(field.api) if known.get(field.api) is not None else getattr(field.component, "value", None)
            )
            if value is None or target is type(None):
                continue
            value = value if isinstance(value, target) else target(value)
            if field.api in known and field.api not in request:
                request[field.api] = value
            if id(field.component) in places:
                args[places[id(field.component)]] = value
        overridden = {name: value for _, name, value in infotext_utils.get_override_settings(params)}
        request["override_settings"] = {**overridden, **(request.get("override_settings") or {})}

    @staticmethod
    def samplers():
        """By position, as tuples; options must be text."""
        listed = [
            {"name": s[0], "aliases": s[2], "options": {k: str(v) for k, v in s[3].items()}}
            for s in sd_samplers.all_samplers
        ]
        assert all(v is not None for s in sd_samplers.all_samplers for v in s[3].values()), "an option is None"
        return listed

    def scripts(self):
        return {
            kind: [script.name for script in runner.scripts if script.name] for kind, runner in self.runners.items()
        }

    def script_info(self):
        return [script.api_info for runner in self.runners.values() for script in runner.scripts if script.api_info]

    @staticmethod
    def set_options(values: dict = Body(...)):  # noqa: B008
        for key, value in values.items():
            shared.opts.set(key, value, is_api=True)

    @staticmethod
    def progress():
        state = shared.state
        count, steps = max(state.job_count, 1), max(state.sampling_steps, 1)
        done = min((state.job_no + state.sampling_step / steps) / count, 1) if state.job_count > 0 else 0
        preview = state.current_image
        shown = encode_pil_to_base64(preview).decode() if isinstance(preview, Image.Image) else None
        return json.loads(
            json.dumps({"progress": done, "state": state.dict(), "current_image": shown, "textinfo": state.textinfo})
        )
