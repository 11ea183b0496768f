"""What a file was made from: the job of a picture, or of a sheet with what the sheet shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from sonar_sampler import ConfigError, SonarConfig, __version__, registry
from sonar_sampler.cli import custom, mask, reference
from sonar_sampler.cli.job import Job
from sonar_sampler.cli.pipeline import Model
from sonar_sampler.cli.values import read_option, visible_knobs, write_option
from sonar_sampler.search_list import parse_search_list

T = TypeVar("T")

MODEL = "Sonar embedded model"
GRID = "grid"
CONTACT = "steps"
SEARCHED = ("momentum", "momentum_hist")
"""What a grid searches: rows, columns."""

_SHEET = "Sonar sheet"
_HASH = "Sonar sampler hash"
_MODEL_HASH = "Sonar model hash"
_REFERENCE = "Sonar reference"
_MASK = "Sonar reference mask"
_EMBEDDED = "embedded"


@dataclass(frozen=True)
class Recipe:
    """Everything from which a file can be made again.

    Attributes:
        job: the job of the picture, or what the pictures of a sheet have in common.
        sheet: which sheet (`GRID` or `CONTACT`), or "" for a picture.
        searched: for a grid, the values of the options in `SEARCHED`.
    """

    job: Job
    sheet: str = ""
    searched: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def parameters(recipe: Recipe) -> dict[str, str]:
    """The parameters of a file as an infotext has them; the sampler's options under the registry's labels."""
    job = recipe.job
    text = {
        "Steps": str(job.steps),
        "Sampler": job.custom.name if job.custom else "Sonar " + registry.SAMPLERS[job.config.sampler],
        "Schedule type": job.schedule,
        "CFG scale": str(job.cfg_scale),
        "Seed": str(job.config.seed),
        "Model": job.model.name if job.model else MODEL,
    }
    if job.model:
        text[_MODEL_HASH] = job.model.digest
        if job.model.width and job.model.height:
            text["Size"] = f"{job.model.width}x{job.model.height}"
    unused = {"sampler", *recipe.searched, *registry.unused(vars(job.config))}
    for name in visible_knobs():
        if name not in unused and (job.reference is not None or not name.startswith("ref_")):
            text[_label(name)] = write_option(name, getattr(job.config, name))
    if recipe.sheet:
        text[_SHEET] = recipe.sheet
    for name, values in recipe.searched.items():
        text[_list_label(name)] = write_option(name, values)
    if job.custom:
        text[_HASH] = job.custom.digest
    if job.reference is not None:
        text[_REFERENCE] = _EMBEDDED
    if job.reference_mask is not None:
        text[_MASK] = _EMBEDDED
    return text | {"Version": f"Sonar {__version__}"}


def read(
    prompts: tuple[str, str],
    found: Mapping[str, str],
    embedded: tuple[str | None, str | None],
    sampler_file: Path | None,
    model: Model | None,
) -> Recipe:
    """The recipe from what `parameters` wrote.

    Args:
        prompts: prompt and negative prompt.
        found: the parameters, which may come from anybody: nothing in them is trusted.
        embedded: the texts of the reference and of its mask, as far as there are such.
        sampler_file: the Python file that the user allows to be run (`custom.load_allowed`).
        model: the pipeline that the user gives; none is ever loaded because a picture names it.

    Raises:
        ConfigError: a parameter is missing, unknown, or has a value that is not allowed.
    """
    if _MODEL_HASH in found:
        model = _same_model(found, model)
    elif model is not None:
        raise ConfigError("was made without a pipeline; leave out --model")
    elif found.get("Model") != MODEL:
        raise ConfigError(f"was made by {found.get('Model', 'something else')!r}; must be a PNG that `sonar` made")
    _refuse_unknown(found)
    sheet = found.get(_SHEET, "")
    if sheet not in ("", GRID, CONTACT):
        raise ConfigError(f"{_SHEET} = {sheet!r}: this version of Sonar makes no such sheet")
    options: dict[str, Any] = {
        name: read_option(name, found[_label(name)])
        for name in visible_knobs()
        if name != "sampler" and _label(name) in found
    }
    if _HASH not in found:
        options["sampler"] = _sampler(_value(found, "Sampler", str))
    job = Job(
        prompt=prompts[0],
        negative_prompt=prompts[1],
        steps=_value(found, "Steps", int),
        cfg_scale=_value(found, "CFG scale", float),
        schedule=_value(found, "Schedule type", str),
        config=SonarConfig(seed=_value(found, "Seed", int), **options),
        reference=_embedded(found, _REFERENCE, embedded[0], reference.extract),
        reference_mask=_embedded(found, _MASK, embedded[1], mask.extract),
        model=model,
    )
    searched = _searched(found) if sheet == GRID else {}
    if _HASH in found:
        # Last: it runs a file.
        own = custom.load_allowed(_value(found, "Sampler", str), found[_HASH], sampler_file)
        job = replace(job, custom=own)
    return Recipe(job, sheet, searched)


def _same_model(found: Mapping[str, str], given: Model | None) -> Model:
    """The pipeline that the user gives, at the picture's size, if it is the one that the picture was made with."""
    name = found.get("Model", "")
    if given is None:
        raise ConfigError(f"Model = {name!r}: the picture was made with a pipeline; give it with --model PATH_OR_ID")
    if given.digest != found[_MODEL_HASH]:
        raise ConfigError(f"model = {given.source!r}: is not the pipeline that the picture was made with, {name!r}")
    if "Size" not in found:
        return given
    width, _, height = found["Size"].partition("x")
    sizes = {"Width": width, "Height": height}
    return replace(given, width=_value(sizes, "Width", int), height=_value(sizes, "Height", int))


def _label(name: str) -> str:
    return f"Sonar {registry.knobs()[name].label.lower()}"


def _list_label(name: str) -> str:
    """As the web UI's panel calls it."""
    return f"{_label(name)} search list"


def _refuse_unknown(found: Mapping[str, str]) -> None:
    known = {_SHEET, _HASH, _MODEL_HASH, _REFERENCE, _MASK, *map(_label, visible_knobs()), *map(_list_label, SEARCHED)}
    for name in found:
        if name.startswith("Sonar ") and name not in known:
            raise ConfigError(f"{name} = {found[name]!r}: this version of Sonar has no such parameter")


def _value(found: Mapping[str, str], name: str, kind: Callable[[str], T]) -> T:
    if name not in found:
        raise ConfigError(f"its parameters are incomplete or changed: {name} is missing")
    try:
        return kind(found[name])
    except ValueError:
        raise ConfigError(f"its parameters are incomplete or changed: {name} = {found[name]!r}") from None


def _embedded(
    found: Mapping[str, str], name: str, text: str | None, extract: Callable[[str], Image.Image]
) -> Image.Image | None:
    if name not in found:
        return None
    if text is None:
        raise ConfigError(f"{name} = {found[name]!r}: but there is none in the file")
    return extract(text)


def _sampler(label: str) -> str:
    names = {f"Sonar {text}": name for name, text in registry.SAMPLERS.items()}
    if label not in names:
        raise ConfigError(f"Sampler = {label!r}: must be one of {', '.join(names)}")
    return names[label]


def _searched(found: Mapping[str, str]) -> dict[str, tuple[float, ...]]:
    return {name: parse_search_list(_value(found, _list_label(name), str), name) for name in SEARCHED}
