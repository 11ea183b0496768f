"""Momentum samplers for diffusion models, with a Rust core.

`sample` runs a whole schedule and calls the denoiser back; `Stepper` is the same turned inside out; the
functions with a step in their name are the pieces, for one's own sampler. Needs only numpy.
"""

import atexit

from sonar_sampler._core import (
    Denoise,
    Done,
    Noise,
    Stepper,
    __version__,
    ancestral_step,
    close,
    guidance_step,
    initial_noise,
    momentum_step,
    normalize_reference,
)
from sonar_sampler.errors import (
    ConfigError,
    DtypeError,
    LatentError,
    NumericError,
    ProtocolError,
    ScheduleError,
    SonarError,
    UnknownOptionError,
)
from sonar_sampler.registry import SonarConfig
from sonar_sampler.sampling import sample

__all__ = [
    "ConfigError",
    "Denoise",
    "Done",
    "DtypeError",
    "LatentError",
    "Noise",
    "NumericError",
    "ProtocolError",
    "ScheduleError",
    "SonarConfig",
    "SonarError",
    "Stepper",
    "UnknownOptionError",
    "__version__",
    "ancestral_step",
    "guidance_step",
    "initial_noise",
    "momentum_step",
    "normalize_reference",
    "sample",
]

# Daemon threads that sample while the interpreter ends would abort the process: they are told to end, and this is
# how many seconds their present model calls may take.
atexit.register(close, 5.0)
