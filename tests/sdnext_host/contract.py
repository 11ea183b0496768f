"""What Sonar promises in SD.Next, as lines of JSON: with the host's own lists of samplers at SDNEXT_PATH, or with small
ones. Run by test_sdnext.py in a process of its own, since the host's packages have the names of the webui's."""

import json
import os
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "python")]

import modules  # noqa: E402

SCRIPT = HERE.parents[1] / "scripts" / "sonar.py"
where = os.environ.get("SDNEXT_PATH")
modules.__path__.append(f"{where}/modules" if where else str(HERE / "samplers"))

import torch  # noqa: E402
from diffusers import StableDiffusion3Pipeline, StableDiffusionPipeline  # noqa: E402
from modules import logger, sd_samplers, sd_samplers_diffusers, shared  # noqa: E402

from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler  # noqa: E402
from tiny_pipelines import pipeline, prompt  # noqa: E402

KINDS = {"sd1": (StableDiffusionPipeline, SonarScheduler), "sd3": (StableDiffusion3Pipeline, SonarFlowScheduler)}


def image(pipe, family):
    torch.manual_seed(5)  # where flow-matching pipelines draw from
    generator = torch.Generator().manual_seed(3)
    return pipe(
        **prompt(family), num_inference_steps=5, guidance_scale=3.0, height=32, width=32, generator=generator,
        output_type="pt",
    ).images  # fmt: skip


def main():
    before = [row.name for row in sd_samplers_diffusers.samplers_data_diffusers]
    runpy.run_path(str(SCRIPT))
    runpy.run_path(str(SCRIPT))  # "Reload UI"
    names = [row.name for row in sd_samplers.all_samplers]
    print(json.dumps({"before": before, "names": names, "map": list(sd_samplers.samplers_map)}))
    for family, (kind, scheduler) in KINDS.items():
        shared.sd_model_type = {"sd1": "sd", "sd3": "sd3"}[family]
        for name in (name for name in names if name.startswith("Sonar") and not name.endswith("FlowMatch")):
            if family == "sd3" and f"{name} FlowMatch" not in names:
                continue
            pipe = pipeline(kind, family)
            logger.told.clear()
            made = sd_samplers.create_sampler(name, pipe)
            told = [str(text) for text in logger.told if "redirected" not in str(text)]
            by_host = image(pipe, family)
            options = {key: made.config[key] for key in ("sampler", "momentum", "momentum_mode", "momentum_hist")}
            direct = pipeline(kind, family)
            shift = {"shift": made.config.shift} if family == "sd3" else {"steps_offset": made.config.steps_offset}
            spacing = {"timestep_spacing": "linspace"} if family == "sd1" else {}
            direct.scheduler = scheduler.from_config(direct.scheduler.config, **options, **shift, **spacing)
            difference = float((by_host - image(direct, family)).abs().max())
            listed = {"family": family, "name": name, "class": type(made).__name__, "told": told}
            print(json.dumps({**listed, "difference": difference, "spread": float(by_host.std()), **options}))


main()
