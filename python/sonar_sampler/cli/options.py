"""Command-line options, made from the registry."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from sonar_sampler import ConfigError, SonarConfig, registry
from sonar_sampler.cli import custom
from sonar_sampler.cli.job import CFG_SCALE, STEPS, Job
from sonar_sampler.cli.mask import open_mask
from sonar_sampler.cli.pipeline import Model
from sonar_sampler.cli.pipeline_files import DEVICES, DTYPES, QUIET
from sonar_sampler.cli.reference import open_reference
from sonar_sampler.cli.report import Report
from sonar_sampler.cli.values import is_position, read_option, visible_knobs, write_option
from sonar_sampler.presets import PRESETS
from sonar_sampler.toy import SCHEDULES, ToyModel

Command = TypeVar("Command", bound=Callable[..., Any])


def sampler_options(*skipped: str) -> Callable[[Command], Command]:
    """Adds an option for every knob of the registry but the skipped ones."""

    def decorate(command: Command) -> Command:
        for name, knob in reversed(list(visible_knobs().items())):
            if name in skipped:
                continue
            help_text = knob.help
            if name == "sampler":
                help_text += " Or FILE.py:FUNCTION, a sampler of your own."
            option = click.option(
                f"--{name.replace('_', '-')}",
                name,
                default=write_option(name, registry.default(name)),
                metavar="|".join(knob.choices) or ("STEP" if is_position(name) else "NUMBER"),
                help=help_text,
                show_default=True,
                shell_complete=_completion(knob.choices),
            )
            command = option(command)
        return preset_option(*skipped)(command)

    return decorate


def preset_option(*skipped: str) -> Callable[[Command], Command]:
    """Adds the option that sets the momentum by the name of a preset; not the skipped knobs."""

    def choose(context: click.Context, _option: click.Parameter, name: str | None) -> None:
        if name is not None:
            # As defaults: what is given by name wins.
            texts = {knob: write_option(knob, value) for knob, value in PRESETS[name].options.items()}
            context.default_map = {knob: text for knob, text in texts.items() if knob not in skipped}

    return click.option(
        "--preset",
        metavar="NAME",
        type=click.Choice(list(PRESETS), case_sensitive=False),
        is_eager=True,
        expose_value=False,
        callback=choose,
        help="Momentum by a name. " + " ".join(f"{name}: {preset.help}" for name, preset in PRESETS.items()),
    )


def picture_options(command: Command) -> Command:
    """Adds the options that say what to make, beside the sampler's."""
    words = ", ".join(ToyModel.words)
    for option in reversed(
        [
            click.argument("prompt"),
            click.option("-n", "--negative-prompt", default="", metavar="TEXT", help="What to keep out."),
            click.option(
                "--steps", default=20, show_default=True, type=click.IntRange(*STEPS), help="Steps of the sampler."
            ),
            click.option(
                "--cfg-scale",
                default=4.0,
                show_default=True,
                type=click.FloatRange(*CFG_SCALE),
                help="How strongly the prompt is followed, against the negative prompt.",
            ),
            click.option(
                "--schedule",
                default="karras",
                show_default=True,
                type=click.Choice(SCHEDULES),
                help="How the noise levels are spread over the steps; linear is a pipeline's own spacing, and "
                "flow-matching ones have theirs always.",
            ),
            click.option(
                "--seed",
                type=click.IntRange(0, 2**63),
                help="Which picture; the same seed gives the same. [default: random]",
            ),
            click.option(
                "--reference",
                type=click.Path(path_type=Path),
                help="A picture to pull towards: a PNG, JPEG, WebP, GIF or BMP; the middle of it, as a square. A grey "
                "one is toned.",
            ),
            click.option(
                "--reference-mask",
                type=click.Path(path_type=Path),
                help="A picture that is white where the reference counts and black where it does not, for --ref-method "
                "denoised.",
            ),
        ]
    ):
        command = option(command)
    command.__doc__ = (command.__doc__ or "") + f"\n\n    Words that the built-in model knows: {words}.\n"
    return command


def model_options(command: Command) -> Command:
    """Adds the options that put a pipeline in place of the embedded model; the command gets one value, `model`."""

    @click.option(
        "--model",
        "source",
        metavar="PATH_OR_ID",
        help="A pipeline of diffusers in place of the built-in model: a folder, a .safetensors file or a hub's id. "
        'Needs pip install "sonar-sampler[diffusers]".',
    )
    @click.option("--width", type=int, help="Pixels, with --model; give both. [default: the pipeline's own]")
    @click.option("--height", type=int, help="Pixels, with --model.")
    @click.option(
        "--device", default="auto", show_default=True, type=click.Choice(DEVICES), help="Where --model is run."
    )
    @click.option(
        "--dtype",
        default="auto",
        show_default=True,
        type=click.Choice(DTYPES),
        help="Of --model's numbers. auto: float16 on cuda, else float32.",
    )
    @functools.wraps(command)
    def with_model(
        *args: Any, source: str | None, width: int | None, height: int | None, device: str, dtype: str, **options: Any
    ) -> Any:
        if source is None and (width is not None or height is not None or (device, dtype) != ("auto", "auto")):
            raise ConfigError("width, height, device and dtype: are those of a pipeline; give --model, too")
        model = None if source is None else Model(source, width, height, device, dtype)
        return command(*args, model=model, **options)

    return with_model  # type: ignore[return-value]


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say where files go and what is told of them; the command gets `out` and `report`."""

    @click.option(
        "-o",
        "--out",
        default="out",
        show_default=True,
        type=click.Path(path_type=Path),
        help="Folder for what is made.",
    )
    @click.option("--json", "as_json", is_flag=True, help="Tell each file as a line of JSON: path and parameters.")
    @click.option("-q", "--quiet", is_flag=True, help="No progress and no notes: only paths and errors.")
    @functools.wraps(command)
    def reporting(*args: Any, as_json: bool, quiet: bool, **options: Any) -> Any:
        if quiet:
            os.environ[QUIET] = "1"
        return command(*args, report=Report(as_json=as_json, quiet=quiet), **options)

    return reporting


def make_job(seed: int, reference: Path | None, reference_mask: Path | None, given: dict[str, Any]) -> Job:
    """A job from the values of the options.

    Raises:
        ConfigError: an option has a value that is not allowed.
    """
    texts = {name: given.pop(name) for name in visible_knobs() if name in given}
    own = texts.get("sampler", "")
    sampler = custom.load(texts.pop("sampler")) if ":" in own else None
    options = {name: read_option(name, text) for name, text in texts.items()}
    if reference is None and reference_mask is not None:
        raise ConfigError(
            f"reference-mask = {str(reference_mask)!r}: says where a reference counts; give --reference, too"
        )
    return Job(
        config=SonarConfig(seed=seed, **options),
        custom=sampler,
        reference=None if reference is None else open_reference(reference),
        reference_mask=None if reference_mask is None else open_mask(reference_mask),
        **given,
    )


def unknown_words(prompts: Sequence[str]) -> list[str]:
    """Words of the prompts that the embedded model does not know."""
    model = ToyModel()
    return [word for prompt in prompts for word in model.parse(prompt).unknown]


def _completion(choices: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What the shell offers for an option."""
    return lambda _context, _option, typed: [CompletionItem(choice) for choice in choices if choice.startswith(typed)]
