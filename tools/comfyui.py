"""The texts of the ComfyUI nodes, from the table of options: `make options` writes them, `make check` compares.

`comfyui/web/docs/NODE.md` is what the host shows as a node's help, `comfyui/locales/en/nodeDefs.json` its labels. The
Chinese ones are written by hand; the check is that they have every input.
"""

import json
import sys
from pathlib import Path

from sonar_sampler.registry import knobs

ROOT = Path(__file__).resolve().parents[1] / "comfyui"
ABOUT = {
    "SonarSampler": (
        "Sonar Sampler",
        "A sampler with momentum, for SamplerCustom and SamplerCustomAdvanced. The samplers are in every KSampler's "
        "list, too: sonar_lead and sonar_lead_ode for the picture of more steps, sonar_classic_... for the original's "
        "momentum.",
        ("sampler", "momentum", "noise"),
        {
            "noise": (
                "Noise",
                "comfyui: ComfyUI's own, of the whole batch; per image: its own for each image of a batch.",
            ),
            "guidance": ("guidance", "A reference that pulls: Sonar Guidance."),
            "schedule": ("schedule", "Momentum that changes over the steps: Sonar Schedule."),
        },
    ),
    "SonarGuidance": (
        "Sonar Guidance",
        "Pulls a picture towards a reference latent (VAE Encode), of the size of the picture's latent. The method "
        "denoised with a factor of 0.3 is a good start; a mask says where the reference counts.",
        ("reference",),
        {
            "latent": ("latent", "The reference."),
            "mask": ("mask", "Where the reference counts, for the method denoised."),
        },
    ),
    "SonarSchedule": (
        "Sonar Schedule",
        "Momentum that changes over the steps: values such as 0.75, 0.95, 1 are spread evenly and joined by lines.",
        (),
        {
            "momentum": (knobs()["momentum"].label, "Numbers from 0 to 1 with commas between."),
            "momentum_hist": (knobs()["momentum_hist"].label, "The same; empty: the value of Sonar Sampler."),
        },
    ),
}


def inputs(groups: tuple[str, ...], own: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Input -> label and help."""
    table = {name: (knob.label, knob.help) for name, knob in knobs().items() if knob.group in groups}
    return {**table, **own}


def texts() -> dict[str, str]:
    """File in `comfyui` -> what it says."""
    definitions = {}
    result = {}
    for node, (title, about, groups, own) in ABOUT.items():
        rows = inputs(groups, own)
        lines = [f"# {title}", "", about, "", "| input | what it does |", "|---|---|"]
        lines += [f"| {label} (`{name}`) | {told} |" for name, (label, told) in rows.items()]
        result[f"web/docs/{node}.md"] = "\n".join(lines) + "\n"
        definitions[node] = {
            "display_name": title,
            "description": about,
            "inputs": {name: {"name": label, "tooltip": told} for name, (label, told) in rows.items()},
        }
    result["locales/en/nodeDefs.json"] = json.dumps(definitions, indent=4) + "\n"
    return result


def untold() -> list[str]:
    """The inputs that the Chinese texts leave out, or have too many."""
    chinese = json.loads((ROOT / "locales" / "zh" / "nodeDefs.json").read_text(encoding="utf-8"))
    return [
        f"{node}.{name}"
        for node, (_, _, groups, own) in ABOUT.items()
        for name in set(inputs(groups, own)) ^ set(chinese[node]["inputs"])
    ]


if __name__ == "__main__":
    for name, text in texts().items():
        file = ROOT / name
        if "--check" not in sys.argv:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            raise SystemExit(f"comfyui/{name} is not what the table of the options says; run `make options`")
    if missing := untold():
        raise SystemExit(f"comfyui/locales/zh/nodeDefs.json: {', '.join(sorted(missing))}")
