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
        "Model": MODEL,
    }
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
) -> Recipe:
    """The recipe from what `parameters` wrote.

    Args:
        prompts: prompt and negative prompt.
        found: the parameters, which may come from anybody: nothing in them is trusted.
        embedded: the texts of the reference and of its mask, as far as there are such.
        sampler_file: the Python file that the user allows to be run (`custom.load_allowed`).

    Raises:
        ConfigError: a parameter is missing, unknown, or has a value that is not allowed.
    """
    if found.get("Model") != MODEL:
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
    )
    searched = _searched(found) if sheet == GRID else {}
    if _HASH in found:
        # Last: it runs a file.
        own = custom.load_allowed(_value(found, "Sampler", str), found[_HASH], sampler_file)
        job = replace(job, custom=own)
    return Recipe(job, sheet, searched)


def _label(name: str) -> str:
    return f"Sonar {registry.knobs()[name].label.lower()}"


def _list_label(name: str) -> str:
    """As the web UI's panel calls it."""
    return f"{_label(name)} search list"


def _refuse_unknown(found: Mapping[str, str]) -> None:
    known = {_SHEET, _HASH, _REFERENCE, _MASK, *map(_label, visible_knobs()), *map(_list_label, SEARCHED)}
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
