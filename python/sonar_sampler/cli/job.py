"""One picture to make: all its settings, and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from sonar_sampler import ConfigError, SonarConfig, initial_noise, registry, sample
from sonar_sampler.cli import mask
from sonar_sampler.cli.custom import CustomSampler
from sonar_sampler.cli.pipeline import Model
from sonar_sampler.steps import step_index
from sonar_sampler.toy import SCHEDULES, ToyModel, sigmas

Array = np.ndarray[Any, Any]
Progress = Callable[[dict[str, Any]], object]

STEPS = (1, 1000)
CFG_SCALE = (0.0, 100.0)
MOST_CHARACTERS = 4000
"""Of a prompt."""


@dataclass(frozen=True)
class Job:
    """Everything that decides what a picture looks like. `config.seed` is the picture's seed.

    `model` is the pipeline that makes it; None is the embedded model.

    Raises ConfigError when it is made with a value that is not allowed: it may come from a file.
    """

    prompt: str
    negative_prompt: str = ""
    steps: int = 20
    cfg_scale: float = 4.0
    schedule: str = "karras"
    config: SonarConfig = field(default_factory=lambda: SonarConfig(seed=0))
    custom: CustomSampler | None = None
    reference: Image.Image | None = None
    reference_mask: Image.Image | None = None
    model: Model | None = None

    def __post_init__(self) -> None:
        for name in ("prompt", "negative_prompt"):
            _check_text(name, getattr(self, name))
        if not STEPS[0] <= self.steps <= STEPS[1]:
            raise ConfigError(f"steps = {self.steps}: must be a whole number from {STEPS[0]} to {STEPS[1]}")
        if not CFG_SCALE[0] <= self.cfg_scale <= CFG_SCALE[1]:
            raise ConfigError(f"cfg_scale = {self.cfg_scale}: must be a number from {CFG_SCALE[0]} to {CFG_SCALE[1]}")
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"schedule = {self.schedule!r}: must be one of {', '.join(SCHEDULES)}")
        _check_ranges(self.config, self.steps)
        if self.reference_mask is not None and self.custom is not None:
            raise ConfigError(
                f"reference-mask: {self.custom.name}, a sampler of your own, is not given one; leave it out"
            )
        if self.model is not None:
            self._check_model()

    def _check_model(self) -> None:
        """Refuses what a pipeline, which steps by itself, cannot be asked for."""
        if self.custom is not None:
            raise ConfigError(
                f"sampler = {self.custom.name!r}: a sampler of your own runs with the embedded model alone; leave out "
                "--model"
            )
        if self.config.s_churn:
            raise ConfigError(
                f"s_churn = {self.config.s_churn}: a pipeline is not asked at noise levels of a step's own; leave it "
                "out with --model"
            )

    def with_options(self, **options: Any) -> Job:
        """The same job with other options of the sampler."""
        return replace(self, config=replace(self.config, **options))

    def start(self) -> tuple[Callable[[Array, float], Array], Array, Array]:
        """What a sampler needs: the denoiser, the noised latent and the sigmas."""
        model = ToyModel()
        levels = sigmas(self.steps, self.schedule)
        noise = initial_noise((1, *model.latent_shape), [int(self.config.seed)])  # type: ignore[arg-type]
        denoise = model.denoiser(self.prompt, self.negative_prompt, self.cfg_scale)
        return denoise, noise * levels[0], levels

    def guidance(self) -> dict[str, Any]:
        """The arguments that tell a sampler of the reference."""
        reference = None if self.reference is None else ToyModel().encode(self.reference)[None]
        if self.reference_mask is None:
            return {"reference": reference}
        return {"reference": reference, "reference_mask": mask.weights(self.reference_mask)}

    def run(self, progress: Progress | None = None) -> Image.Image:
        """Makes the picture; `progress` is told of each step as the callback of `sonar_sampler.sample` is."""
        if self.model is not None:
            return self.model.run(self, progress or (lambda _: None))
        denoise, x, levels = self.start()
        sampler = sample if self.custom is None else self.custom
        latent = sampler(denoise, x, levels, self.config, **self.guidance(), callback=progress)
        return ToyModel().decode(latent)[0]


def _check_text(name: str, text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise ConfigError(
            f"{name} = {text[:20]!r}...: has {len(text)} characters; at most {MOST_CHARACTERS} are allowed"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name} = {text!r}: holds bytes that are not UTF-8 text") from None


def _check_ranges(config: SonarConfig, steps: int) -> None:
    """Refuses a range of steps that ends before it starts."""
    for name in registry.knobs():
        stop = name.removesuffix("_start") + "_stop"
        if name.endswith("_start") and stop in registry.knobs():
            first, last = (step_index(getattr(config, option), steps) for option in (name, stop))
            if first > last:
                raise ConfigError(
                    f"{name} = {getattr(config, name)}: is step {first}, after {stop} = {getattr(config, stop)}, "
                    f"step {last} of {steps}"
                )
