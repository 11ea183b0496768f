"""The compiled core: types and documentation of what `src/py` exports."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypedDict, final

import numpy as np
from numpy.typing import NDArray

from sonar_sampler.registry import SonarConfig

__all__ = [
    "Denoise",
    "Done",
    "Noise",
    "Stepper",
    "__source__",
    "__version__",
    "ancestral_step",
    "close",
    "guidance_step",
    "initial_noise",
    "lowpass_matrix",
    "momentum_step",
    "normalize_config",
    "normalize_reference",
    "reference_weights",
    "restore_stepper",
    "run_for",
    "samplers",
]

__version__: str
__source__: str

# float32, float64 or, for a run, float16; of other arrays of a real floating type a copy is made.
# What may be None before there is one is `| Any`, so that callers who know need not check.
_Latent = NDArray[np.floating[Any]]
_Numbers = Sequence[float] | NDArray[Any]

_SamplerName = Literal["euler_a", "euler", "naive", "heun", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde"]

class _Facts(TypedDict):
    label: str
    help: str
    calls: int
    options: tuple[str, ...]
    noise: str
    leads: bool
    flows: bool

def samplers() -> dict[str, _Facts]:
    """The samplers, in order: name -> what hosts want to know of it.

    label: its name in a user interface. help: one sentence. calls: of the model in a step. options: those that it uses of
    eta, s_churn, s_tmin, s_tmax, s_noise. noise: "none", "churn", "independent", "brownian" or "private" (never the
    host's). leads: whether `momentum_mode` "lead" may be used with it. flows: whether it is for flow-matching models, too.
    """

def close(seconds: float) -> bool:
    """Ends the runs of all other threads at their next step and waits for that, `seconds` at most.

    Called when the interpreter exits; later runs are refused in every thread but the caller's.
    Answers whether all have ended.
    """

def normalize_config(config: SonarConfig | None = None) -> dict[str, Any]:
    """Checks every option of a config and returns them as plain values; of None, the defaults.

    Numbers become float, sequences tuples, step positions int or float, seeds int.

    Raises:
        ConfigError: with the option, its value and what is allowed.
    """

class _Host(Protocol):
    def begin(self, levels: list[float], /) -> None: ...
    def denoise(
        self, x: NDArray[Any], step: int, level: int, first: bool, draws: tuple[int, int] | None, /
    ) -> tuple[_Latent, _Latent | None]: ...
    def noise(self, level: int, next_level: int, /) -> _Latent | None: ...

def reference_weights(config: SonarConfig, sigmas: _Numbers) -> list[float]:
    """How strongly `ref_method` "denoised" pulls at each step: the factor times the window.

    Args:
        config: a `SonarConfig`.
        sigmas: the noise levels, one more than there are steps.

    Returns:
        One number for each step.

    Raises:
        ScheduleError: noise levels that are none.
    """

def lowpass_matrix(length: int, detail: float) -> NDArray[np.float64] | None:
    """The low-pass of `ref_detail` along one axis, as a matrix: the filtered image is `rows @ image @ columns.T`.

    Args:
        length: of the axis, in latent cells.
        detail: in [0.01, 1].

    Returns:
        A symmetric float64 array (length, length) whose rows have the sum 1; None where all details stay.
    """

def run_for(
    host: _Host,
    x: _Latent,
    sigmas: _Numbers,
    config: SonarConfig,
    *,
    reference: _Latent | None,
    reference_mask: _Latent | None,
    history: _Latent | None,
    threads: int | None,
    elementary: Callable[[str, float], float] | None,
) -> NDArray[Any]:
    """Samples for a host: `sonar_sampler.sample` is one, `sonar_sampler.torch` another.

    Args:
        host: has three methods, or four. `begin(levels)` is told the noise levels of the run as floats: the schedule,
            then the solver's own. `denoise(x, step, level, first, draws)` answers the denoised latent and, if it `draws`, the noise
            that is needed next: x is the latent itself, not written to as long as somebody holds it, level is an index into
            levels, first says that it is the step's first call, and draws is None or the two levels of the noise's interval.
            `noise(level, next_level)` answers the noise before a model call. None for noise lets it be drawn from
            `config.seed`. `begin_step(x, step, level)`, if there is one, is asked before a step's first `denoise` and answers
            the latent to go on with, or None for x as it is.
        x, sigmas, config, reference, reference_mask, history, threads: as in `sample`.
        elementary: as in `Stepper`.

    Returns:
        The latent at sigmas[-1], a new array in the shape and dtype of x.

    Raises:
        As `sample`.
    """

def ancestral_step(
    sigma: float, sigma_next: float, eta: float = 1.0, *, flow: bool = False
) -> tuple[float, float, float]:
    """Splits the step from `sigma` to `sigma_next` into a part without noise and fresh noise.

    sigma_up = min(sigma_next, eta sqrt(sigma_next^2 (sigma^2 - sigma_next^2) / sigma^2)) and
    sigma_down = sqrt(sigma_next^2 - sigma_up^2), as `get_ancestral_step` of k-diffusion (the variance of Song et al.
    2020, eq. 16). With `flow`, sigma_down = sigma_next (1 + (sigma_next / sigma - 1) eta), rescale =
    (1 - sigma_next) / (1 - sigma_down), and sigma_up is the missing deviation.

    Args:
        sigma, sigma_next: the noise levels, falling; in [0, 1] for flow.
        eta: how much of the step is fresh noise, at least 0; 0 none.
        flow: for flow-matching models.

    Returns:
        (sigma_down, sigma_up, rescale) in float64: step to sigma_down, then, if sigma_next > 0,
        x = x * rescale + noise * sigma_up. rescale is 1 but for flow.

    Raises:
        ConfigError, ScheduleError: with the value and what is allowed.

    Example:
        >>> from sonar_sampler import ancestral_step
        >>> ancestral_step(5.0, 3.0)
        (1.8, 2.4, 1.0)
    """

def momentum_step(
    d: _Latent, history: _Latent | None, *, momentum: float, momentum_hist: float, sign: str
) -> tuple[_Latent, _Latent | None]:
    """Corrects a derivative by the momentum, and updates the history.

    With p = 1 - momentum, q = 1 - momentum_hist: for "pos" m = (1-p) d + p h and h <- (1-q) h + q m; for "neg"
    m = (1+p) d - p h and h <- (1+q) h - q m. This is the rule of the extension stable-diffusion-webui-sonar.

    Args:
        d: the derivative (x - denoised) / sigma, a float32 or float64 array of any shape.
        history: shaped like d, or None before the first step: then h = 0, and the next history is m itself.
        momentum, momentum_hist: in [0, 1]; momentum 1 gives d and the history back as they are.
        sign: "pos" or "neg".

    Returns:
        (m, history): new arrays; the step is x += m * dt.

    Raises:
        ConfigError, LatentError, DtypeError: with the value and what is allowed.

    Example:
        >>> import numpy as np
        >>> from sonar_sampler import momentum_step
        >>> momentum_step(np.array([4.0]), np.array([2.0]), momentum=0.5, momentum_hist=0.75, sign="pos")
        (array([3.]), array([2.25]))
    """

def normalize_reference(reference: _Latent) -> _Latent:
    """(reference - mean) / std, per image and channel over the spatial axes, std with the n - 1 denominator.

    Args:
        reference: a float32 or float64 array (batch, channel, spatial...) with two positions or more.

    Returns:
        A new array of the same shape and dtype.

    Raises:
        LatentError: a channel is constant, too small or not finite. DtypeError: no array of float32 or float64.
    """

def guidance_step(
    x: _Latent, denoised: _Latent, reference: _Latent, sigma: float, sigma_next: float, *, factor: float, method: str
) -> _Latent:
    """Pulls a latent towards a normalised reference r, after a step.

    With mean and std per image, f the factor: "linear" is shift = r std(x) + mean(x), x = (1-f) x + f shift; "euler" is
    shift = r std(D) + mean(D), x += (x - shift) / sigma ((sigma_next - sigma) f), D the denoised latent. This is the
    guidance of the extension stable-diffusion-webui-sonar.

    Args:
        x: the latent after the step, a float32 or float64 array (batch, channel, spatial...).
        denoised: what the model answered at this step, shaped like x.
        reference: from `normalize_reference`, shaped like x or one image of it.
        sigma, sigma_next: the noise levels of the step.
        factor: how strongly; negative pushes away.
        method: "linear" or "euler".

    Returns:
        The new latent, a new array in the shape and dtype of x.

    Raises:
        ConfigError, ScheduleError, LatentError, DtypeError: with the value and what is allowed.
    """

def initial_noise(shape: Sequence[int], seeds: int | Sequence[int]) -> NDArray[np.float32]:
    """Standard normal latents to start a run from: multiply by sigmas[0].

    Args:
        shape: (batch, channel, spatial...).
        seeds: an int (image k uses seeds + k), or a sequence with one per image, each in [0, 2^64).

    Returns:
        A float32 array. Image k depends on its own seed alone (ChaCha8 and a ziggurat, the same numbers in every
        version), and shares no numbers with the noise of a run of the same seed.

    Raises:
        LatentError: an empty or too large shape. ConfigError: no ints. MemoryError: numpy has not so much memory.
    """

@final
class Denoise:
    """The stepper needs the denoised latent: feed `model(x, sigma)`."""

    @property
    def x(self) -> _Latent:
        """The latent for the model: read-only, in the caller's dtype, not written to while somebody holds it."""
    @property
    def sigma(self) -> float:
        """The noise level."""

@final
class Noise:
    """The stepper needs standard normal noise shaped like the latent."""

    @property
    def sigma(self) -> float:
        """Where the interval of the noise starts."""
    @property
    def sigma_next(self) -> float:
        """Where it ends."""

@final
class Done:
    """The run is done: `Stepper.result` is the latent."""

@final
class Stepper:
    """A run that asks for what it needs, for hosts that own the loop: `request()` and `feed(array)` until `Done`.

    It can be copied and pickled, with all that it is at.

    Args:
        config, sigmas, x, reference, reference_mask, history, threads: as in `sample`. x may be given later: `start`.
        record: keep the corrected derivative of the last step for `momentum_d`; costs an array and time.
        elementary: a host's own elementary functions for the numbers of the schedule, called as `elementary(name, value)`
            with "sqrt", "exp", "log" or "expm1" and a float, for hosts whose functions are not correctly rounded and who
            want their bits.

    Raises:
        ConfigError, ScheduleError, LatentError, DtypeError: as `sample`, when it is made.
        ProtocolError: it was used out of order, or from two threads at once. The run is as it was.

    Example:
        >>> import numpy as np
        >>> from sonar_sampler import Noise, SonarConfig, Stepper, initial_noise
        >>> stepper = Stepper(SonarConfig(), [10.0, 3.0, 0.0], initial_noise((1, 4, 8, 8), 0) * np.float32(10))
        >>> while stepper.result is None:
        ...     request = stepper.request()
        ...     if isinstance(request, Noise):
        ...         stepper.draw()
        ...     else:
        ...         stepper.feed(request.x / np.float32(1 + request.sigma**2))
        >>> stepper.step
        2
    """

    def __new__(
        cls,
        config: SonarConfig,
        sigmas: _Numbers,
        x: _Latent | None = None,
        *,
        reference: _Latent | None = None,
        reference_mask: _Latent | None = None,
        history: _Latent | None = None,
        record: bool = True,
        threads: int | None = None,
        elementary: Callable[[str, float], float] | None = None,
    ) -> Stepper: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def start(
        self,
        x: _Latent,
        *,
        reference: _Latent | None = None,
        reference_mask: _Latent | None = None,
        history: _Latent | None = None,
    ) -> None:
        """Gives a stepper that was made without a latent its latent, and what else a run starts from.

        Raises:
            LatentError, DtypeError: as `sample`. ProtocolError: it has started already.
        """
    def request(self) -> Denoise | Noise | Done:
        """What the run needs next: `Denoise`, `Noise` or `Done`. Raises ProtocolError after a step that failed."""
    def feed(self, array: _Latent) -> None:
        """Answers the present request with an array shaped like the latent.

        A wrong shape or dtype is refused and leaves the run as it was; an answer that is not finite ends it.

        Raises:
            LatentError, DtypeError: another shape, no array of a floating type. ProtocolError: nothing was asked.
            NumericError: the latent is no longer finite.
        """
    def draw(self) -> None:
        """Answers the present noise request from the run's own seeds (`SonarConfig.seed`)."""
    def replace_x(self, array: _Latent) -> None:
        """Takes another latent in the place of the present one; only while the run asks for the first answer of a step."""
    @property
    def step(self) -> int:
        """0-based index of the present step; the number of steps when the run is done."""
    @property
    def x(self) -> _Latent:
        """The latent at the start of the present step, read-only."""
    @property
    def history(self) -> _Latent | Any:
        """A copy of the momentum history, or None before there is one."""
    @property
    def momentum_d(self) -> _Latent | Any:
        """A copy of the corrected derivative of the last step, or None before the first."""
    @property
    def result(self) -> _Latent | Any:
        """The result, or None before the run is done."""
    @property
    def draws_after_denoising(self) -> bool:
        """Whether the present step will ask for noise after the model call."""

def restore_stepper(
    config: SonarConfig, sigmas: list[float], options: dict[str, Any], state: dict[str, Any] | None
) -> Stepper:
    """A stepper from what `__reduce__` wrote."""
