"""From what was asked for to a finished job; the same for the page and the API."""

from contextlib import closing
from pathlib import Path

import modules.scripts
from modules import infotext_utils, paths, processing, shared


def make_job(kind, fields):
    job_class = {
        "txt2img": processing.StableDiffusionProcessingTxt2Img,
        "img2img": processing.StableDiffusionProcessingImg2Img,
    }[kind]
    out = Path(paths.data_path) / "outputs"
    p = job_class(sd_model=shared.sd_model, **fields)
    p.outpath_samples, p.outpath_grids = str(out / f"{kind}-images"), str(out / f"{kind}-grids")
    p.scripts = getattr(modules.scripts, f"scripts_{kind}")
    return p


def run_job(p, script_args):
    """The script that is selected, or else the job as it is."""
    p.script_args = script_args
    with closing(p):
        p.scripts.setup(p)
        # A request without a script may still hold the name of one, from its infotext: nothing is selected then.
        processed = p.scripts.run(p, *p.script_args) if isinstance(p.script_args[0], int) else None
        return processing.process_images(p) if processed is None else processed


def run_page_job(kind, fields, script_args):
    fields["override_settings"] = infotext_utils.create_override_settings_dict(fields.pop("override_settings_texts"))
    if kind == "img2img":
        fields["init_images"] = [fields.pop("init_image")]
    elif fields["hr_sampler_name"] == "Use same sampler":
        fields["hr_sampler_name"] = None
    return run_job(make_job(kind, fields), script_args)
