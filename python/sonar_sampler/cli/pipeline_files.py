"""A pipeline's files: loaded without running any code of theirs, and told apart."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

from sonar_sampler import ConfigError, SonarError

DEVICES = ("auto", "cuda", "mps", "cpu")
DTYPES = ("auto", "float32", "float16", "bfloat16")

QUIET = "HF_HUB_DISABLE_PROGRESS_BARS"
"""The hub's own variable: set, nothing tells of a download and of what is loaded."""

_INSTALL = 'pip install "sonar-sampler[diffusers]"'
_BLOCK = 2**20
_OF_A_MODEL = (".safetensors", ".json", ".txt", ".model")
_SINGLE = {
    "v1": "StableDiffusionPipeline",
    "v2": "StableDiffusionPipeline",
    "xl_base": "StableDiffusionXLPipeline",
    "playground": "StableDiffusionXLPipeline",
    "sd3": "StableDiffusion3Pipeline",
    "flux": "FluxPipeline",
}
"""The beginning of what diffusers calls a single file's kind -> the pipeline."""


class PipelineError(SonarError):
    """A pipeline cannot be loaded or run; the message says what to do."""


@functools.cache
def load(source: str, device: str, dtype: str) -> Any:
    """The pipeline, loaded once in a process: from safetensors only, and no code that comes with the model is run.

    Args:
        source: a folder, a `.safetensors` file, or a hub's id.
        device, dtype: of `DEVICES` and `DTYPES`.

    Raises:
        ConfigError: there is no such pipeline, or no such device.
        PipelineError: torch or diffusers is missing, the hub cannot be reached, or there is not enough memory.
    """
    try:
        import diffusers
        import torch
        import transformers
    except ImportError as error:
        raise PipelineError(f"model = {source!r}: needs {error.name}; install it with {_INSTALL}") from None
    for library in (diffusers, transformers):
        # What they warn of is for those who call them.
        library.utils.logging.set_verbosity_error()
        if os.environ.get(QUIET):
            library.utils.logging.disable_progress_bar()
    place = _device(device)
    path = Path(source)
    kind = {"auto": "float16" if place == "cuda" else "float32"}.get(dtype, dtype)
    options = {"dtype": getattr(torch, kind), "use_safetensors": True}
    try:
        if path.is_file():
            pipe = _single_file(path, options)
        else:
            if path.is_dir() and not (path / "model_index.json").is_file():
                raise ConfigError(f"model = {source!r}: is no folder of a pipeline: it has no model_index.json")
            pipe = diffusers.DiffusionPipeline.from_pretrained(source, trust_remote_code=False, **options)
        # Older versions of diffusers call the option otherwise.
        pipe = pipe.to(place) if pipe.dtype == options["dtype"] else pipe.to(place, options["dtype"])
    except ConfigError:
        raise
    except torch.cuda.OutOfMemoryError:
        raise PipelineError(f"device = {place!r}: there is not enough memory for the model") from None
    except Exception as error:  # diffusers, its hub and safetensors raise errors of a dozen kinds
        if path.exists():
            raise ConfigError(f"model = {source!r}: cannot be loaded, from safetensors alone ({error})") from error
        raise PipelineError(
            f"model = {source!r}: there is no such file or folder, and no hub gives it ({error})"
        ) from error
    pipe.set_progress_bar_config(disable=True)
    return pipe


@functools.cache
def digest(source: str) -> str:
    """SHA-256 of a local model's weights and settings with their names, or of a hub's id and its cached commit."""
    path, found = Path(source), hashlib.sha256()
    if not path.exists():
        return hashlib.sha256(f"{source} {_commit(source)}".encode()).hexdigest()
    files = (
        [path]
        if path.is_file()
        else sorted(each for each in path.rglob("*") if each.suffix in _OF_A_MODEL and each.is_file())
    )
    for file in files:
        # Its name in the model, so that a folder that moved stays the same model.
        found.update((file.relative_to(path).as_posix() if path.is_dir() else file.name).encode() + b"\0")
        with file.open("rb") as content:
            while block := content.read(_BLOCK):
                found.update(block)
    return found.hexdigest()


def _single_file(path: Path, options: dict[str, Any]) -> Any:
    if path.suffix != ".safetensors":
        raise ConfigError(f"model = {str(path)!r}: must be a .safetensors file, a folder or a hub's id")
    import diffusers
    from diffusers.loaders.single_file_utils import infer_diffusers_model_type, load_single_file_checkpoint

    kind = infer_diffusers_model_type(load_single_file_checkpoint(str(path)))
    name = next((_SINGLE[start] for start in _SINGLE if kind.startswith(start)), None)
    if name is None:
        raise ConfigError(f"model = {str(path)!r}: is of the kind {kind}; give a folder in the layout of diffusers")
    return getattr(diffusers, name).from_single_file(str(path), **options)


def _device(name: str) -> str:
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, found in there.items() if found)
    if not there[name]:
        raise ConfigError(f"device = {name!r}: is not there; use {', '.join(each for each in there if there[each])}")
    return name


def _commit(source: str) -> str:
    """The commit of a hub's model that was loaded."""
    from huggingface_hub import try_to_load_from_cache

    index = try_to_load_from_cache(source, "model_index.json")
    return Path(index).parent.name if isinstance(index, str) else ""
