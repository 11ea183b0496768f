"""`sample`: a whole run whose model, noise and callback speak numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sonar_sampler._core import run_for
from sonar_sampler.errors import ConfigError, DtypeError, shown
from sonar_sampler.registry import SonarConfig

Number = TypeVar("Number", bound="np.floating[Any]")
Array = NDArray[Any]


def sample(
    denoise: Callable[[NDArray[Number], float], Array],
    x: NDArray[Number],
    sigmas: Sequence[float] | Array,
    config: SonarConfig,
    *,
    reference: Array | None = None,
    reference_mask: Array | None = None,
    noise: Callable[[float, float], Array] | None = None,
    history: Array | None = None,
    callback: Callable[[dict[str, Any]], object] | None = None,
    threads: int | None = None,
) -> NDArray[Number]:
    """Samples: walks a latent down a schedule of noise levels, calling the model back.

    A step goes along the derivative d = (x - denoise(x, sigma)) / sigma, corrected by the momentum of the steps before
    (see `momentum_step`): x += m dt. This is the rule of stable-diffusion-webui-sonar by Kahsolt on top of Euler
    (Karras et al. 2022, algorithm 2), ancestral Euler (k-diffusion) and the other solvers; with momentum 1 it is
    theirs.

    Args:
        denoise: called as `denoise(x, sigma)`, once per step, twice by Heun and DPM++ SDE; answers the denoised
            latent, an array shaped like x. Its x is read-only, in the dtype of the latent, and never written to as
            long as somebody holds it; sigma is a float.
        x: the noised latent, a numpy array (batch, channel, spatial...) of float32, float64 or float16, in units of the
            data, of standard deviation sigmas[0] (for a flow model a blend of image and noise). float16 stays float32
            between the steps.
        sigmas: noise levels, one more than there are steps; the last one is usually 0.
        config: a `SonarConfig` with all other options.
        reference: a latent to pull towards, shaped like x or one image of it; of a video, one frame will do for
            `ref_method` "denoised". It needs no normalisation.
        reference_mask: where the reference counts, numbers in [0, 1] shaped like x with one channel, or one image of
            that; for `ref_method` "denoised".
        noise: called as `noise(sigma, sigma_next)` where the solver needs standard normal noise shaped like x, for that
            interval; None draws it from `config.seed` (None: 0), one stream per image.
        history: the momentum history to start from, shaped like x; overrides `momentum_hist_init`.
        callback: told a dict of i, x, sigma, sigma_hat and denoised (the model's own answer) once per step, before x
            changes.
        threads: at most so many threads for large latents, and not more than there are cores; None: OMP_NUM_THREADS, or
            all cores. Results do not depend on it.

    Returns:
        The latent at sigmas[-1], a new array in the shape and dtype of x. No input is modified.

    Raises:
        ConfigError: an option is not allowed, or is a sequence of another length than the run.
        ScheduleError: the sigmas are no schedule for this solver.
        LatentError: an array has another shape, or is not finite. DtypeError: it is no array of a floating type.
        NumericError: the latent is no longer finite; says at which step, in which images and why.
        Whatever denoise, noise and callback raise passes through unchanged.

    Example:
        >>> import numpy as np
        >>> from sonar_sampler import SonarConfig, initial_noise, sample
        >>> x = initial_noise((1, 4, 8, 8), 0) * np.float32(10)
        >>> sample(lambda x, sigma: x / np.float32(1 + sigma**2), x, [10.0, 3.0, 1.0, 0.0], SonarConfig()).shape
        (1, 4, 8, 8)
    """
    for name, value in (("denoise", denoise), ("noise", noise), ("callback", callback)):
        if not callable(value) and (value is not None or name == "denoise"):
            raise ConfigError(f"{name} = {shown(value)}: must be callable")
    host = _Host(denoise, noise, callback)
    return run_for(
        host,
        x,
        sigmas,
        config,
        reference=reference,
        reference_mask=reference_mask,
        history=history,
        threads=threads,
        elementary=None,
    )


class _Host:
    """What `run_for` asks."""

    def __init__(
        self,
        denoise: Callable[[Any, float], Array],
        noise: Callable[[float, float], Array] | None,
        callback: Callable[[dict[str, Any]], object] | None,
    ) -> None:
        self._denoise = denoise
        self._noise = noise
        self._callback = callback

    def begin(self, levels: list[float]) -> None:
        self._levels = levels

    def denoise(
        self, x: Array, step: int, level: int, first: bool, draws: tuple[int, int] | None
    ) -> tuple[Array, Array | None]:
        sigma = self._levels[level]
        latent = x
        if x.dtype != np.float16:  # that one is a copy
            # A model that writes to its input gets numpy's error instead of a spoilt run.
            latent = x.view()
            latent.flags.writeable = False
        denoised = self._denoise(latent, sigma)
        if first and self._callback is not None:
            told = {"i": step, "x": latent, "sigma": self._levels[step], "sigma_hat": sigma, "denoised": denoised}
            self._callback(told)
        return denoised, None if draws is None else self.noise(*draws)

    def noise(self, level: int, next_level: int) -> Array | None:
        if self._noise is None:
            return None
        noise = self._noise(self._levels[level], self._levels[next_level])
        if noise is None:
            # To the core, no noise means that it is to draw its own.
            raise DtypeError("the noise is a NoneType; must be a numpy array of float32, float64 or float16")
        return noise
