"""Command-line options, made from the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from PIL import Image, UnidentifiedImageError

from sonar_sampler import ConfigError, SonarConfig, registry
from sonar_sampler.cli import custom
from sonar_sampler.cli.job import Job, prepare_reference
from sonar_sampler.steps import format_step, parse_step
from sonar_sampler.toy import SCHEDULES, ToyModel

Command = TypeVar("Command", bound=Callable[..., Any])

# What the embedded model decides (it is no flow model and has no masks), and the seed, which has an option of its own.
_HIDDEN = ("flow", "exact_last_step", "seed")
_POSITIONS = ("ref_start", "ref_stop")
PER_STEP = ("momentum", "momentum_hist", "ref_factor")


def visible_knobs() -> dict[str, registry.Knob]:
    """The options of a sampler that the command line offers."""
    return {name: knob for name, knob in registry.knobs().items() if name not in _HIDDEN}


def read_option(name: str, text: str) -> Any:
    """The value of an option from its text.

    Raises:
        ConfigError: the text is no value of this option.
    """
    if name in _POSITIONS:
        return parse_step(text, name)
    if registry.knobs()[name].choices:
        return tuple(text.split(",")) if "," in text else text
    numbers = tuple(_number(name, part) for part in text.split(","))
    if len(numbers) > 1 and name not in PER_STEP:
        raise ConfigError(f"{name} = {text!r}: must be one number")
    return numbers if len(numbers) > 1 else numbers[0]


def write_option(name: str, value: Any) -> str:
    """The text from which `read_option` makes this value."""
    if name in _POSITIONS:
        return format_step(value)
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{name} = {text!r}: must be a number") from None


def sampler_options(*skipped: str) -> Callable[[Command], Command]:
    """Adds an option for every knob of the registry but the skipped ones."""

    def decorate(command: Command) -> Command:
        for name, knob in reversed(visible_knobs().items()):
            if name in skipped:
                continue
            default = write_option(name, registry.default(name))
            help_text = knob.help
            if name == "sampler":
                help_text += " Or FILE.py:FUNCTION, a sampler of your own."
            metavar = "|".join(knob.choices) if knob.choices else "NUMBER"
            if name in _POSITIONS:
                metavar = "STEP"
            option = click.option(
                f"--{name.replace('_', '-')}",
                name,
                default=default,
                metavar=metavar,
                help=help_text,
                show_default=True,
            )
            command = option(command)
        return command

    return decorate


def picture_options(command: Command) -> Command:
    """Adds the options that say what to make, beside the sampler's."""
    words = ", ".join(ToyModel.words)
    for option in reversed(
        [
            click.argument("prompt"),
            click.option("-n", "--negative-prompt", default="", metavar="TEXT", help="What to keep out."),
            click.option("--steps", default=20, show_default=True, type=click.IntRange(1, 1000), help="Model calls."),
            click.option(
                "--cfg-scale",
                default=4.0,
                show_default=True,
                type=click.FloatRange(0.0, 100.0),
                help="How strongly the prompt is followed, against the negative prompt.",
            ),
            click.option("--schedule", default="karras", show_default=True, type=click.Choice(SCHEDULES)),
            click.option(
                "--seed",
                type=click.IntRange(0, 2**63),
                help="Which picture; the same seed gives the same. [default: random]",
            ),
            click.option("--reference", type=click.Path(path_type=Path), help="A picture to pull towards."),
            click.option(
                "-o",
                "--out",
                default="out",
                show_default=True,
                type=click.Path(file_okay=False, path_type=Path),
                help="Folder for the pictures.",
            ),
        ]
    ):
        command = option(command)
    command.__doc__ = (command.__doc__ or "") + f"\n\n    Words that the model knows: {words}.\n"
    return command


def make_job(seed: int, reference: Path | None, given: dict[str, Any]) -> Job:
    """A job from the values of the options.

    Raises:
        ConfigError: an option has a value that is not allowed.
    """
    texts = {name: given.pop(name) for name in visible_knobs() if name in given}
    own = texts.get("sampler", "")
    sampler = custom.load(texts.pop("sampler")) if ":" in own else None
    options = {name: read_option(name, text) for name, text in texts.items()}
    picture = None if reference is None else open_reference(reference)
    return Job(config=SonarConfig(seed=seed, **options), custom=sampler, reference=picture, **given)


def open_reference(path: Path) -> Image.Image:
    """A reference picture from a file.

    Raises:
        ConfigError: there is no such file, or it is no picture.
    """
    try:
        with Image.open(path) as image:
            return prepare_reference(image)
    except FileNotFoundError:
        raise ConfigError(f"reference = {str(path)!r}: there is no such file") from None
    except (UnidentifiedImageError, OSError) as error:
        raise ConfigError(f"reference = {str(path)!r}: not a picture that can be read ({error})") from None


def unknown_words(prompts: Sequence[str]) -> list[str]:
    """Words of the prompts that the embedded model does not know."""
    model = ToyModel()
    return [word for prompt in prompts for word in model.parse(prompt).unknown]
