"""A sampler of one's own, named on the command line as `FILE.py:FUNCTION`."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonar_sampler import ConfigError


@dataclass(frozen=True)
class CustomSampler:
    """A sampling function with the signature of `sonar_sampler.sample`, and the file that it came from."""

    name: str
    digest: str
    function: Callable[..., Any]


def load(name: str) -> CustomSampler:
    """Loads `FILE.py:FUNCTION`.

    Raises:
        ConfigError: there is no such file or function, or the file does not run.
    """
    file, _, attribute = name.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"sampler = {name!r}: there is no file {file!r}; write it as FILE.py:FUNCTION")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"sampler = {name!r}: {file!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"sampler = {name!r}: {file!r} does not run: {error!r}") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise ConfigError(f"sampler = {name!r}: {file!r} has no function {attribute!r}")
    return CustomSampler(name, hashlib.sha256(path.read_bytes()).hexdigest()[:16], function)
