"""A recipe in a PNG's text, and back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, PngImagePlugin

from sonar_sampler import ConfigError
from sonar_sampler.cli import embedded, infotext, recipe
from sonar_sampler.cli.files import cannot_write
from sonar_sampler.cli.picture import opened
from sonar_sampler.cli.pipeline import Model
from sonar_sampler.cli.recipe import Recipe

MOST_CHARACTERS = 256 * 1024
"""Of parameters in a file. Two longest prompts and three lists of 1000 numbers have a third as many."""

_PARAMETERS = "parameters"
_PROMPTS = "sonar_prompts"
_REFERENCE = "sonar_reference"
_MASK = "sonar_reference_mask"


def texts(made: Recipe) -> dict[str, str]:
    """The texts of a file, by their PNG keyword."""
    prompts = (made.job.prompt, made.job.negative_prompt)
    result = {_PARAMETERS: infotext.write(*prompts, recipe.parameters(made))}
    # Web UIs read the infotext, which cannot hold every prompt.
    if infotext.read(result[_PARAMETERS])[:2] != prompts:
        result[_PROMPTS] = json.dumps(prompts)
    if made.job.reference is not None:
        result[_REFERENCE] = embedded.embed(made.job.reference)
    if made.job.reference_mask is not None:
        result[_MASK] = embedded.embed(made.job.reference_mask)
    return result


def save(image: Image.Image, made: Recipe, path: Path) -> None:
    """Saves a file with everything that is needed to make it again.

    Raises:
        OutputError: it cannot be written. There is no part of it under its name then.
    """
    info = PngImagePlugin.PngInfo()
    for keyword, text in texts(made).items():
        info.add_text(keyword, text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Under its name only when it is whole: Ctrl-C may come while it is written.
        with tempfile.TemporaryDirectory(prefix=".sonar-", dir=path.parent) as folder:
            part = Path(folder) / "part"
            image.save(part, "PNG", pnginfo=info)
            part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from None


def read_texts(path: Path) -> dict[str, str]:
    """The texts of a PNG that come before its pixels, which are not decoded.

    Raises:
        ConfigError: the file is no PNG, or too large.
    """
    # Pillow limits what compressed texts may become, one by one and together.
    with opened(path, "image", ("PNG",)) as image:
        texts = image.info.items()
        return {key: str(text) for key, text in texts if isinstance(key, str) and isinstance(text, str)}


def read_infotext(found: Mapping[str, str]) -> tuple[str, str, dict[str, str]]:
    """Prompt, negative prompt and parameters from the texts of a PNG.

    Raises:
        ConfigError: there are none, or they are too long or damaged.
    """
    text = found.get(_PARAMETERS, "")
    if max(len(text), len(found.get(_PROMPTS, ""))) > MOST_CHARACTERS:
        raise ConfigError(f"its parameters are too long; at most {MOST_CHARACTERS} characters are read")
    prompt, negative_prompt, parameters = infotext.read(text)
    if not parameters:
        raise ConfigError("has no parameters; must be a PNG that `sonar` made")
    if _PROMPTS in found:
        prompt, negative_prompt = _exact_prompts(found[_PROMPTS])
    return prompt, negative_prompt, parameters


def load(path: Path, sampler_file: Path | None = None, model: Model | None = None) -> tuple[Recipe, str]:
    """The recipe of a file, and the version of Sonar that made it.

    Args:
        path: a PNG, which may come from anybody.
        sampler_file: the Python file that the user allows to be run, if the PNG names one with the very same content.
        model: the pipeline that the user gives, if the PNG names one with the very same content.

    Raises:
        ConfigError: the file is no PNG, has no parameters, was made by something else, or has a value in it that is
            not allowed.
    """
    found = read_texts(path)
    try:
        prompt, negative_prompt, parameters = read_infotext(found)
        made = recipe.read(
            (prompt, negative_prompt), parameters, (found.get(_REFERENCE), found.get(_MASK)), sampler_file, model
        )
    except ConfigError as error:
        raise ConfigError(f"image = {str(path)!r}: {error}") from None
    return made, parameters.get("Version", "an unknown version")


def _exact_prompts(text: str) -> tuple[str, str]:
    try:
        prompts = json.loads(text)
    except (ValueError, RecursionError):
        prompts = None
    match prompts:
        case [str(prompt), str(negative_prompt)]:
            return prompt, negative_prompt
    raise ConfigError(f"{_PROMPTS} = {text[:40]!r}: must be a JSON list of the prompt and the negative prompt")
