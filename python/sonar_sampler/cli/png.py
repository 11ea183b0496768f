"""A job in a PNG's text, and back."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from sonar_sampler import ConfigError, SonarConfig, __version__, registry
from sonar_sampler.cli import custom, infotext
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.options import read_option, visible_knobs, write_option

MODEL = "Sonar embedded model"
_REFERENCE = "sonar_reference"


def parameters(job: Job) -> dict[str, str]:
    """The parameters of a picture as an infotext has them; the sampler's options under the registry's labels."""
    text = {
        "Steps": str(job.steps),
        "Sampler": job.custom.name if job.custom else "Sonar " + registry.SAMPLERS[job.config.sampler],
        "Schedule type": job.schedule,
        "CFG scale": str(job.cfg_scale),
        "Seed": str(job.config.seed),
        "Model": MODEL,
    }
    for name, knob in visible_knobs().items():
        if name != "sampler" and (job.reference is not None or not name.startswith("ref_")):
            text[f"Sonar {knob.label.lower()}"] = write_option(name, getattr(job.config, name))
    if job.custom:
        text["Sonar sampler hash"] = job.custom.digest
    if job.reference is not None:
        text["Sonar reference"] = "embedded"
    return text | {"Version": f"Sonar {__version__}"}


def save(image: Image.Image, job: Job, path: Path) -> None:
    """Saves a picture with everything that is needed to make it again."""
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", infotext.write(job.prompt, job.negative_prompt, parameters(job)))
    if job.reference is not None:
        buffer = io.BytesIO()
        job.reference.save(buffer, "PNG")
        info.add_text(_REFERENCE, base64.b64encode(buffer.getvalue()).decode("ascii"))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Under its name only when it is whole: Ctrl-C may come while it is written.
    part = path.with_suffix(".part")
    try:
        image.save(part, "PNG", pnginfo=info)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load(path: Path) -> tuple[Job, str]:
    """The job that made a picture, and the version that did.

    Raises:
        ConfigError: the file is no picture, has no parameters, was made by something else, or its sampler or
            reference cannot be had.
    """
    try:
        with Image.open(path) as image:
            image.load()
            texts = {key: value for key, value in image.info.items() if isinstance(value, str)}
    except FileNotFoundError:
        raise ConfigError(f"image = {str(path)!r}: there is no such file") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise ConfigError(f"image = {str(path)!r}: not a picture that can be read ({error})") from None
    prompt, negative_prompt, found = infotext.read(texts.get("parameters", ""))
    if not found:
        raise ConfigError(f"image = {str(path)!r}: has no parameters; must be a PNG that `sonar` made")
    if found.get("Model") != MODEL:
        made_by = found.get("Model", "something else")
        raise ConfigError(f"image = {str(path)!r}: was made by {made_by!r}; must be a PNG that `sonar` made")
    try:
        return _job(prompt, negative_prompt, found, texts), found.get("Version", "an unknown version")
    except (KeyError, ValueError, binascii.Error, UnidentifiedImageError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"image = {str(path)!r}: its parameters are incomplete or changed ({error!r})") from None


def _job(prompt: str, negative_prompt: str, found: dict[str, str], texts: dict[str, str]) -> Job:
    options: dict[str, Any] = {"seed": int(found["Seed"])}
    for name, knob in registry.knobs().items():
        label = f"Sonar {knob.label.lower()}"
        if name != "sampler" and label in found:
            options[name] = read_option(name, found[label])
    sampler = found["Sampler"]
    own = None
    if "Sonar sampler hash" in found:
        own = custom.load(sampler)
        if own.digest != found["Sonar sampler hash"]:
            raise ConfigError(f"sampler = {sampler!r}: the file has changed since the picture was made")
    else:
        names = {label: name for name, label in registry.SAMPLERS.items()}
        options["sampler"] = names[sampler.removeprefix("Sonar ")]
    reference = None
    if "Sonar reference" in found:
        reference = Image.open(io.BytesIO(base64.b64decode(texts[_REFERENCE]))).convert("RGB")
    return Job(
        prompt=prompt,
        negative_prompt=negative_prompt,
        steps=int(found["Steps"]),
        cfg_scale=float(found["CFG scale"]),
        schedule=found["Schedule type"],
        config=SonarConfig(**options),
        custom=own,
        reference=reference,
    )
