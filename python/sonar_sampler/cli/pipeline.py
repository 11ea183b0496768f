"""A pipeline of diffusers in place of the embedded model: which one it is, and how it is loaded and run."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from sonar_sampler import ConfigError, SonarConfig, SonarError

DEVICES = ("auto", "cuda", "mps", "cpu")
DTYPES = ("auto", "float32", "float16", "bfloat16")
MOST_PIXELS = 4096
"""A side of a picture."""

_MULTIPLE = 8
_SCHEDULES = ("karras", "exponential")


class PipelineError(SonarError):
    """A pipeline cannot be loaded or run; the message says what to do."""


@dataclass(frozen=True)
class Model:
    """Which pipeline makes a picture. It is small: the pipeline itself is loaded by `load`, once in a process.

    Attributes:
        source: a folder, a `.safetensors` file, or a hub's id OWNER/NAME. It is never written into a picture.
        width, height: of the picture in pixels; None is the pipeline's own.
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
            if side is not None and (side % _MULTIPLE or not _MULTIPLE <= side <= MOST_PIXELS):
                raise ConfigError(f"{name} = {side}: must be a multiple of {_MULTIPLE}, at most {MOST_PIXELS}")
        for name, allowed in (("device", DEVICES), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: must be one of {', '.join(allowed)}")

    @property
    def name(self) -> str:
        """The last part of the source, without a path: for people."""
        return Path(self.source).resolve().name if Path(self.source).exists() else self.source

    @property
    def digest(self) -> str:
        """SHA-256 of the names and contents of a local model's files, or of a hub's id and commit."""
        return _digest(self.source)

    def run(
        self,
        job: Any,
        progress: Callable[[dict[str, Any]], object],
        watch: Callable[[Any, Any], object] | None = None,
    ) -> Image.Image:
        """The picture of a job.

        Args:
            job: the `Job`, whose model this is.
            progress: called after each step.
            watch: called as `watch(pipeline, latent)` after each step.

        Raises:
            ConfigError: an option does not fit the pipeline.
            PipelineError: there is not enough memory, or the pipeline answers no picture.
        """
        import torch

        pipe = load(self.source, self.device, self.dtype)
        pipe.scheduler = _scheduler(pipe, job.config, job.schedule)
        generator = torch.Generator().manual_seed(int(job.config.seed))
        given: dict[str, Any] = {"prompt": job.prompt, "num_inference_steps": job.steps, "generator": generator}
        taken = inspect.signature(type(pipe).__call__).parameters
        optional = {
            "negative_prompt": job.negative_prompt,
            "guidance_scale": job.cfg_scale,
            "width": self.width,
            "height": self.height,
        }
        given |= {name: value for name, value in optional.items() if name in taken and value is not None}
        if job.negative_prompt and "negative_prompt" not in taken:
            raise ConfigError(f"negative_prompt = {job.negative_prompt!r}: {type(pipe).__name__} takes none")

        def stepped(_pipe: Any, _step: int, _timestep: Any, kept: dict[str, Any]) -> dict[str, Any]:
            progress({})
            if watch is not None:
                watch(pipe, kept["latents"])
            return {}

        try:
            images = pipe(**given, callback_on_step_end=stepped).images
        except torch.OutOfMemoryError:
            raise PipelineError(
                f"device = {self.device!r}: there is not enough memory; try a smaller --width and --height"
            ) from None
        picture: Image.Image = images[0].convert("RGB")
        return picture


@functools.cache
def load(source: str, device: str, dtype: str) -> Any:
    """The pipeline, with safetensors only and no code of the model's own.

    Raises:
        ConfigError: there is no such pipeline, or no such device.
        PipelineError: torch or diffusers is missing, or the hub cannot be reached.
    """
    try:
        import diffusers
        import torch
        import transformers  # noqa: F401 - pipelines load their text encoders with it
    except ImportError as error:
        raise PipelineError(
            f'model = {source!r}: needs {error.name}; install it with pip install "sonar-sampler[diffusers]"'
        ) from None
    device = _device(device)
    kind = {"auto": "float16" if device == "cuda" else "float32"}.get(dtype, dtype)
    path = Path(source)
    options = {"torch_dtype": getattr(torch, kind), "use_safetensors": True}
    try:
        if path.is_file():
            if path.suffix != ".safetensors":
                raise ConfigError(f"model = {source!r}: must be a .safetensors file, a folder or a hub's id")
            pipe = _single_file(diffusers, path, options)
        else:
            if path.is_dir() and not (path / "model_index.json").is_file():
                raise ConfigError(f"model = {source!r}: is no folder of a pipeline: it has no model_index.json")
            pipe = diffusers.DiffusionPipeline.from_pretrained(source, **options, trust_remote_code=False)
        pipe = pipe.to(device)
    except ConfigError:
        raise
    except torch.OutOfMemoryError:
        raise PipelineError(f"device = {device!r}: there is not enough memory for the model") from None
    except Exception as error:  # diffusers, its hub and safetensors raise errors of a dozen kinds
        if path.exists():
            raise ConfigError(f"model = {source!r}: cannot be loaded ({error}); only safetensors are") from error
        raise PipelineError(
            f"model = {source!r}: there is no such file or folder, and no hub gave it ({error})"
        ) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _single_file(diffusers: Any, path: Path, options: dict[str, Any]) -> Any:
    from diffusers.loaders.single_file_utils import infer_diffusers_model_type, load_single_file_checkpoint

    kind = infer_diffusers_model_type(load_single_file_checkpoint(str(path)))
    names = {"xl": "StableDiffusionXLPipeline", "sd3": "StableDiffusion3Pipeline", "flux": "FluxPipeline"}
    name = next((names[start] for start in names if kind.startswith(start)), "StableDiffusionPipeline")
    return getattr(diffusers, name).from_single_file(str(path), **options)


def _device(name: str) -> str:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, found in there.items() if found)
    if not there[name]:
        raise ConfigError(f"device = {name!r}: is not there; use {', '.join(each for each in there if there[each])}")
    return name


def _scheduler(pipe: Any, config: SonarConfig, schedule: str) -> Any:
    from sonar_sampler.hosts.diffusers import SonarFlowScheduler, SonarScheduler
    from sonar_sampler.hosts.diffusers.options import OPTIONS, is_flow

    options = {name: getattr(config, name) for name in OPTIONS}
    old = dict(pipe.scheduler.config)
    # Loaded once, run with many options: those of the run before are not the model's.
    old = {name: value for name, value in old.items() if name not in OPTIONS}
    spacing = {f"use_{name}_sigmas": name == schedule for name in _SCHEDULES}
    if is_flow(old):
        return SonarFlowScheduler.from_config(old, **spacing, **options)
    return SonarScheduler.from_config(old, **spacing, **options)


@functools.cache
def _digest(source: str) -> str:
    path = Path(source)
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    found = hashlib.sha256()
    if not path.exists():
        found.update(f"{source} {_commit(source)}".encode())
    for file in files:
        # Its name in the model, so that a folder that moved stays the same model.
        found.update(str(file.relative_to(path) if path.is_dir() else file.name).encode() + b"\0")
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                found.update(block)
    return found.hexdigest()


def _commit(source: str) -> str:
    """The commit of a hub's model that was loaded."""
    from huggingface_hub import try_to_load_from_cache

    index = try_to_load_from_cache(source, "model_index.json")
    return Path(index).parent.name if isinstance(index, str) else ""
