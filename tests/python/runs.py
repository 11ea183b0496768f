"""What many tests need: latents, schedules, a denoiser, and runs drawn by hypothesis."""

import math

import numpy as np
from hypothesis import strategies as st

from sonar_sampler import SonarConfig

SAMPLERS = ("euler_a", "euler", "naive", "heun", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde")
LEADING = ("euler_a", "euler", "naive")  # solvers of first order
FLOWING = ("euler_a", "euler", "naive", "heun")
RISING = ("euler", "naive", "heun")
METHODS = [*((sampler, "classic") for sampler in SAMPLERS), *((sampler, "lead") for sampler in LEADING)]
MULTISTEP = ("dpmpp_2m", "dpmpp_2m_sde", "dpmpp_sde")  # computed in log sigma


def latent(seed=0, shape=(2, 4, 8, 8), dtype=np.float32, scale=14.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(dtype)


def karras(steps, low=0.03, high=14.6, rho=7.0):
    """Noise levels of Karras et al. (2022), eq. 5, and a last 0."""
    ramp = np.linspace(0, 1, steps)
    roots = high ** (1 / rho) + ramp * (low ** (1 / rho) - high ** (1 / rho))
    return np.append(roots**rho, 0.0)


def flow_sigmas(steps):
    return np.linspace(1, 0, steps + 1)


def denoise(x, sigma):
    """The posterior mean of a normal distribution of deviation 0.7 around 0.2; element by element."""
    t = x.dtype.type
    kept = t(0.49 / (0.49 + sigma * sigma))
    return x * kept + t(0.2) * (t(1) - kept)


class Draws:
    """A host's noise: the same sequence for the same seed."""

    def __init__(self, seed, shape, dtype=np.float32):
        self.rng, self.shape, self.dtype, self.asked = np.random.default_rng(seed), shape, dtype, []

    def __call__(self, sigma, sigma_next):
        self.asked.append((sigma, sigma_next))
        return self.rng.standard_normal(self.shape).astype(self.dtype)


def reply(stepper, array):
    """Answers what a stepper asks for."""
    stepper.request()
    stepper.feed(array)


def same_bits(left, right):
    __tracebackhide__ = True
    assert left.dtype == right.dtype
    np.testing.assert_array_equal(left, right)


unit = st.one_of(st.sampled_from([0.0, 0.5, 0.75, 0.95, 1.0]), st.floats(0, 1, allow_subnormal=False))
small = st.floats(0, 2, allow_subnormal=False)


@st.composite
def shapes(draw, min_dims=2, max_dims=5):
    dims = draw(st.integers(min_dims, max_dims))
    return (draw(st.integers(1, 3)), draw(st.integers(1, 3)), *(draw(st.integers(2, 4)) for _ in range(dims - 2)))


@st.composite
def schedules(draw, sampler, flow=False):
    """Falling or, where the method allows it, rising; with equal neighbours; ending at 0 or not."""
    top = 1.0 if flow else 20.0
    # A run without steps is worth a few examples, not a quarter of them.
    fewest = draw(st.sampled_from([4, 3, 4, 2, 1]))
    values = draw(st.lists(st.floats(0.02, top, allow_subnormal=False), min_size=fewest, max_size=6))
    if sampler not in RISING or not draw(st.booleans()):
        values.sort(reverse=True)
    if sampler in MULTISTEP:
        values = [value for k, value in enumerate(values) if k == 0 or value < values[k - 1] * 0.99]
    elif len(values) > 1 and draw(st.booleans()):
        values[1] = values[0]
    return [*values, 0.0] if draw(st.booleans()) else values


@st.composite
def configs(draw, steps, shape, sampler, flow=False, mode=None):
    def per_step(values):
        return draw(st.one_of(values, st.tuples(*[values] * steps)))

    signs = st.sampled_from(["pos", "neg"])
    index, fraction = st.integers(0, 8), st.floats(0, 1, allow_subnormal=False)
    ranges = st.one_of(
        st.tuples(index, index).map(sorted),
        st.tuples(fraction, fraction).map(sorted),
        st.tuples(index, fraction),
        st.tuples(fraction, index),
    )
    (ref_start, ref_stop), (momentum_start, momentum_stop) = draw(ranges), draw(st.one_of(st.just((0.0, 1.0)), ranges))
    method = draw(st.sampled_from(["linear", "euler", "denoised"]))
    if method == "denoised":
        ref_start, ref_stop = sorted((draw(fraction), draw(fraction)))
    batch = shape[0]
    leads = mode == "lead" or (mode is None and sampler in LEADING and draw(st.booleans()))
    return SonarConfig(
        sampler=sampler,
        momentum_mode="lead" if leads else "classic",
        lead_guard=draw(st.sampled_from([0.0, 0.1, 0.25])),
        momentum_start=momentum_start,
        momentum_stop=momentum_stop,
        momentum=per_step(unit),
        momentum_hist=per_step(unit),
        momentum_hist_init="zero" if leads else draw(st.sampled_from(["zero", "rand_init", "rand_new"])),
        momentum_sign="pos" if leads else draw(st.one_of(signs, st.just("rand"), st.tuples(*[signs] * steps))),
        ref_method=method,
        ref_fade=draw(fraction),
        ref_match=draw(st.sampled_from(["channel", "none"])),
        ref_detail=draw(st.floats(0.05, 1)) if len(shape) > 3 else 1.0,
        ref_factor=per_step(st.floats(-0.5, 0.5, allow_subnormal=False)),
        ref_start=ref_start,
        ref_stop=ref_stop,
        eta=draw(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1 if flow else 3, allow_subnormal=False))),
        s_churn=0.0 if flow else draw(st.one_of(st.just(0.0), st.floats(0, 10, allow_subnormal=False))),
        s_tmin=draw(small),
        s_tmax=draw(st.one_of(st.just(math.inf), st.floats(0, 20))),
        s_noise=draw(small),
        flow=flow,
        exact_last_step=draw(st.booleans()),
        seed=draw(
            st.one_of(
                st.none(),
                st.integers(0, 2**64 - 1 - batch),
                st.lists(st.integers(0, 2**64 - 1), min_size=batch, max_size=batch).map(tuple),
            )
        ),
    )


@st.composite
def cases(draw, dtypes=(np.float32, np.float64), guided=None, method=None):
    """A whole run: `(x, sigmas, config, reference, history)`; method is one of METHODS."""
    sampler, mode = method or draw(st.sampled_from(METHODS))
    flow = sampler in FLOWING and draw(st.booleans())
    has_reference = draw(st.booleans()) if guided is None else guided
    shape = draw(shapes(min_dims=3 if has_reference else 2))
    dtype = draw(st.sampled_from(dtypes))
    sigmas = draw(schedules(sampler, flow))
    config = draw(configs(len(sigmas) - 1, shape, sampler, flow, mode))
    seed = draw(st.integers(0, 1000))
    x = latent(seed, shape, dtype, scale=sigmas[0])
    reference = history = None
    if has_reference:
        one = draw(st.booleans())
        reference = latent(seed + 1, (1, *shape[1:]) if one else shape, dtype, scale=3.0)
    if draw(st.booleans()):
        history = latent(seed + 2, shape, dtype, scale=1.0)
    return x, sigmas, config, reference, history
