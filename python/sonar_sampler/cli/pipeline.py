"""A pipeline of diffusers in place of the embedded model: which one it is, and how it makes a picture.

The pipeline runs with Sonar's scheduler as its own, and not Sonar's loop with the pipeline's parts: so that every
pipeline that makes pictures of a text works, also one that comes tomorrow.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image, ImageOps

from sonar_sampler import ConfigError, SonarConfig
from sonar_sampler.cli import mask as masks
from sonar_sampler.cli import pipeline_files
from sonar_sampler.cli.pipeline_files import DEVICES, DTYPES, PipelineError

LARGEST_SIDE = 4096
"""Of a picture, in pixels."""

_MULTIPLE = 8
_SCHEDULES = ("karras", "exponential")


class Wanted(Protocol):
    """What a pipeline is asked for: of a `Job`, as that has it."""

    @property
    def prompt(self) -> str: ...  # noqa: D102
    @property
    def negative_prompt(self) -> str: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def cfg_scale(self) -> float: ...  # noqa: D102
    @property
    def schedule(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> SonarConfig: ...  # noqa: D102
    @property
    def reference(self) -> Image.Image | None: ...  # noqa: D102
    @property
    def reference_mask(self) -> Image.Image | None: ...  # noqa: D102


@dataclass(frozen=True)
class Model:
    """Which pipeline makes a picture. It is small: the pipeline itself is loaded once in a process.

    Attributes:
        source: a folder, a `.safetensors` file, or a hub's id OWNER/NAME. It is never written into a picture.
        width, height: of the picture in pixels; None, both, is the pipeline's own size.
        device, dtype: of `DEVICES` and `DTYPES`.

    Raises:
        ConfigError: a value is not allowed.
    """

    source: str
    width: int | None = None
    height: int | None = None
    device: str = "auto"
    dtype: str = "auto"

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            side = getattr(self, name)
            if side is not None and (side % _MULTIPLE or not _MULTIPLE <= side <= LARGEST_SIDE):
                raise ConfigError(
                    f"{name} = {side}: must be a multiple of {_MULTIPLE} from {_MULTIPLE} to {LARGEST_SIDE}"
                )
        if (self.width is None) != (self.height is None):
            raise ConfigError(f"width = {self.width}, height = {self.height}: give both or none")
        for name, allowed in (("device", DEVICES), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: must be one of {', '.join(allowed)}")

    @property
    def name(self) -> str:
        """The last part of the source, without a path: for people."""
        return Path(self.source).resolve().name if Path(self.source).exists() else self.source

    @property
    def digest(self) -> str:
        """SHA-256 of a local model's weights and settings, or of a hub's id and commit, for which it is loaded."""
        if not Path(self.source).exists():
            pipeline_files.load(self.source, self.device, self.dtype)
        return pipeline_files.digest(self.source)

    def run(
        self,
        job: Wanted,
        progress: Callable[[dict[str, Any]], object],
        told: Callable[..., object] | None = None,
    ) -> Image.Image:
        """The picture of a job, of which this is the model.

        Args:
            job: what to make.
            progress: called after each step.
            told: of each step, as the scheduler's `tell_steps` has it.

        Raises:
            ConfigError: an option does not fit the pipeline.
            PipelineError: there is not enough memory.
        """
        pipe = pipeline_files.load(self.source, self.device, self.dtype)
        import torch  # which is not installed everywhere; `load` says so

        taken = inspect.signature(type(pipe).__call__).parameters
        if job.negative_prompt and "negative_prompt" not in taken:
            raise ConfigError(f"negative-prompt = {job.negative_prompt!r}: {type(pipe).__name__} takes none")
        pipe.scheduler = _scheduler(pipe, job.config, job.schedule)
        pipe.scheduler.tell_steps(told)
        optional = {
            # Not an empty one: some pipelines have zeros in the place of none.
            "negative_prompt": job.negative_prompt or None,
            "guidance_scale": job.cfg_scale,
            "width": self.width,
            "height": self.height,
        }

        def stepped(_pipe: Any, _step: int, _timestep: Any, _kept: dict[str, Any]) -> dict[str, Any]:
            progress({})
            return {}

        try:
            if job.reference is not None:
                self._refer(pipe, job.reference, job.reference_mask)
            made = pipe(
                prompt=job.prompt,
                num_inference_steps=job.steps,
                generator=torch.Generator().manual_seed(int(job.config.seed)),  # type: ignore[arg-type]
                callback_on_step_end=stepped,
                **{name: value for name, value in optional.items() if name in taken and value is not None},
            )
        except torch.cuda.OutOfMemoryError:
            raise PipelineError(
                f"device = {self.device!r}: there is not enough memory; try a smaller --width and --height"
            ) from None
        images = getattr(made, "images", None)
        if not images:
            raise ConfigError(f"model = {self.source!r}: {type(pipe).__name__} makes no pictures")
        picture: Image.Image = images[0].convert("RGB")
        return picture

    def decode(self, latent: Any) -> Image.Image:
        """The picture of one latent (1, channel, height, width), a numpy array."""
        pipe = pipeline_files.load(self.source, self.device, self.dtype)
        import torch

        vae = pipe.vae
        shift, scale = getattr(vae.config, "shift_factor", None) or 0.0, vae.config.scaling_factor
        with torch.no_grad():
            image = vae.decode((torch.from_numpy(latent) / scale + shift).to(vae.device, vae.dtype)).sample
        picture: Image.Image = pipe.image_processor.postprocess(image, output_type="pil")[0]
        return picture

    def _refer(self, pipe: Any, reference: Image.Image, mask: Image.Image | None) -> None:
        """Gives the scheduler the reference as a latent, and the mask in its cells."""
        import torch

        from sonar_sampler.hosts.diffusers import encode_reference

        width, height = self._size(pipe)
        fitted = ImageOps.fit(reference, (width, height), Image.Resampling.LANCZOS)
        latent = encode_reference(pipe, fitted, width=width, height=height)
        weights = None
        if mask is not None:
            if latent.ndim != 4:
                raise ConfigError(f"reference-mask: {type(pipe).__name__} packs its latents, which takes no mask here")
            cells = ImageOps.fit(mask, (latent.shape[-1], latent.shape[-2]), Image.Resampling.BOX)
            weights = torch.from_numpy(masks.weights(cells)).to(latent)
        pipe.scheduler.set_reference(latent, weights)

    def _size(self, pipe: Any) -> tuple[int, int]:
        if self.width is not None and self.height is not None:
            return self.width, self.height
        try:
            side = int(pipe.default_sample_size * pipe.vae_scale_factor)
        except (AttributeError, TypeError):
            raise ConfigError(
                "reference: give --width and --height, too; the pipeline has no size of its own"
            ) from None
        return side, side


def _scheduler(pipe: Any, config: SonarConfig, schedule: str) -> Any:
    """Sonar's scheduler for a pipeline and the options of a run."""
    from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler
    from sonar_sampler.hosts.diffusers.options import OPTIONS, is_flow

    # Loaded once, run with many options: those of the run before are not the model's.
    own = {name: value for name, value in pipe.scheduler.config.items() if name not in OPTIONS}
    options = {name: getattr(config, name) for name in OPTIONS}
    if is_flow(own):
        # Its schedule is a part of the model: it was trained with that shift.
        return SonarFlowScheduler.from_config(own, **options)
    return SonarScheduler.from_config(own, **{f"use_{name}_sigmas": name == schedule for name in _SCHEDULES}, **options)
