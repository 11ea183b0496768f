"""A sampler of one's own, named on the command line as `FILE.py:FUNCTION`."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sonar_sampler import ConfigError, SonarError


class CustomSamplerError(SonarError):
    """A sampler of one's own has failed; the message says where."""


@dataclass(frozen=True)
class CustomSampler:
    """A sampling function with the signature of `sonar_sampler.sample`, and the file that it came from.

    It can be pickled for a process that has no such file: that runs the source again, once.

    Attributes:
        name: FILE.py:FUNCTION as it was given.
        path: of the file.
        source: the file's content.
    """

    name: str
    path: Path
    source: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal."""
        return hashlib.sha256(self.source).hexdigest()

    @property
    def function(self) -> Callable[..., Any]:
        """The function; the first time, this runs the file.

        Raises:
            ConfigError: the file does not run, or has no such function.
        """
        return _run(self)

    def __call__(self, denoise: Any, x: Any, sigmas: Any, config: Any, **options: Any) -> Any:
        """Calls the function and checks what it answers.

        Raises:
            CustomSamplerError: the function raises, or answers no finite latent shaped like x.
        """
        try:
            result = self.function(denoise, x, sigmas, config, **options)
        except SonarError:
            raise
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise CustomSamplerError(
                f"sampler = {self.name!r}: raised {error!r} in {place.filename}, line {place.lineno}"
            ) from error
        if not isinstance(result, np.ndarray) or result.shape != x.shape:
            got = f"shape {result.shape}" if isinstance(result, np.ndarray) else type(result).__name__
            raise CustomSamplerError(f"sampler = {self.name!r}: answered {got}; must be an array of shape {x.shape}")
        if not np.isfinite(result).all():
            raise CustomSamplerError(f"sampler = {self.name!r}: answered numbers that are not finite")
        return result


def load(name: str) -> CustomSampler:
    """Loads `FILE.py:FUNCTION`, which runs the file.

    Raises:
        ConfigError: there is no such file or function, or the file does not run.
    """
    path = Path(name.rpartition(":")[0])
    return _checked(CustomSampler(name, path, _read(name, path)))


def load_allowed(name: str, digest: str, allowed: Path | None) -> CustomSampler:
    """Loads the sampler that a picture names, from the file that the user allows, if that is the very same file.

    The picture names a sampler and says what its file's hash is, but never which file is opened: a picture may come
    from anybody.

    Args:
        name: FILE.py:FUNCTION, from the picture.
        digest: the file's hash, from the picture.
        allowed: the file that the user allows, or None.

    Raises:
        ConfigError: no file is allowed, or it is another one; or as `load`. Nothing of a file has run then, but
            where it is the right file and fails itself.
    """
    if allowed is None:
        file = name.rpartition(":")[0]
        raise ConfigError(
            f"sampler = {name!r}: the picture was made with a sampler from a Python file; if you know and trust this "
            f"file, run it with --allow-sampler-file {file}"
        )
    sampler = CustomSampler(name, allowed, _read(name, allowed))
    if sampler.digest != digest:
        raise ConfigError(
            f"sampler = {name!r}: {str(allowed)!r} is not the file that the picture was made with, or has changed since"
        )
    return _checked(sampler)


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"sampler = {name!r}: there is no file {str(path)!r}; write it as FILE.py:FUNCTION") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"sampler = {name!r}: {str(path)!r} cannot be read ({error})") from None


def _checked(sampler: CustomSampler) -> CustomSampler:
    """The sampler, whose file has run."""
    _ = sampler.function
    return sampler


@cache
def _run(sampler: CustomSampler) -> Callable[..., Any]:
    attribute = sampler.name.rpartition(":")[2]
    module = ModuleType(sampler.path.stem)
    module.__file__ = str(sampler.path)
    try:
        exec(compile(sampler.source, str(sampler.path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"sampler = {sampler.name!r}: {str(sampler.path)!r} does not run: {error!r}") from error
    function: Callable[..., Any] | None = getattr(module, attribute, None)
    if not callable(function):
        raise ConfigError(f"sampler = {sampler.name!r}: {str(sampler.path)!r} has no function {attribute!r}")
    return function
