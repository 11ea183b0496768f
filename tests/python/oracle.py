"""A slow, readable twin of the sampling algorithm in NumPy, to check the Rust core against.

It was written from the equations (see the documentation), not from the Rust code. Numbers of the schedule are
computed in the latent's dtype, numbers of the configuration in float64 and then rounded; every formula is
evaluated from left to right.
"""

from dataclasses import dataclass, field

import numpy as np

import oracle_noise

JITTER = 1e-5


@dataclass
class Trace:
    """What happened: the latents and sigmas of the model calls, what was kept after each step, and the result."""

    seen: list = field(default_factory=list)
    histories: list = field(default_factory=list)
    corrected: list = field(default_factory=list)
    out: np.ndarray = None


def at(option, step):
    """The value of an option at a step."""
    return option[step] if isinstance(option, (tuple, list)) else option


def seeds_of(config, batch):
    return [config.seed + k for k in range(batch)] if isinstance(config.seed, int) else list(config.seed)


def ancestral(sigma, sigma_next, eta):
    t = type(sigma)
    if eta == 0:
        return sigma_next, t(0)
    up = t(eta) * np.sqrt(sigma_next * sigma_next * (sigma * sigma - sigma_next * sigma_next) / (sigma * sigma))
    up = min(sigma_next, up)
    return np.sqrt(sigma_next * sigma_next - up * up), up


def ancestral_flow(sigma, sigma_next, eta):
    """Where the step goes, the factor on the latent after it, the deviation of the noise."""
    t = type(sigma)
    ratio = t(1) + (sigma_next / sigma - t(1)) * t(eta)
    down = sigma_next * ratio
    if down == sigma_next:
        return down, t(1), t(0)
    left, left_down = t(1) - sigma_next, t(1) - down
    variance = sigma_next * sigma_next - down * down * (left * left) / (left_down * left_down)
    return down, left / left_down, np.sqrt(max(variance, t(0)))


def per_image(values, like):
    return np.reshape(np.asarray(values, like.dtype), (-1,) + (1,) * (like.ndim - 1))


def moments(x):
    """Mean and standard deviation (n - 1) of every image, summed in float64."""
    axes = tuple(range(1, x.ndim))
    wide = x.astype(np.float64)
    return per_image(wide.mean(axes), x), per_image(wide.std(axes, ddof=1), x)


def normalize(reference):
    axes = tuple(range(2, reference.ndim))
    wide = reference.astype(np.float64)
    mean = wide.mean(axes, keepdims=True).astype(reference.dtype)
    std = wide.std(axes, ddof=1, keepdims=True).astype(reference.dtype)
    return (reference - mean) / std


def position(value, steps):
    """The index of a step that is given as an int or as a fraction; Python rounds half to even."""
    return value if isinstance(value, int) else round(value * steps)


def pull(x, denoised, r, sigma, sigma_next, factor, method):
    t = x.dtype.type
    mean, std = moments(x if method == "linear" else denoised)
    shift = r * std + mean
    if method == "linear":
        return t(1 - factor) * x + t(factor) * shift
    return x + (x - shift) / sigma * ((sigma_next - sigma) * t(factor))


def correct(d, h, momentum, momentum_hist, sign):
    """The corrected derivative and the next history; `h` None means that there is none yet."""
    t = d.dtype.type
    p, q = 1 - momentum, 1 - momentum_hist
    old = np.zeros_like(d) if h is None else h
    if sign == "pos":
        m = t(1 - p) * d + t(p) * old
        return m, m if h is None else t(1 - q) * h + t(q) * m
    m = t(1 + p) * d - t(p) * old
    return m, m if h is None else t(1 + q) * h - t(q) * m


def correct_batch(d, h, momentum, momentum_hist, signs):
    pairs = [correct(d[k], None if h is None else h[k], momentum, momentum_hist, sign) for k, sign in enumerate(signs)]
    return np.stack([m for m, _ in pairs]), np.stack([new for _, new in pairs])


def signs_at(config, seeds, step):
    if config.momentum_sign == "rand":
        return [oracle_noise.sign(seed, step) for seed in seeds]
    return [config.momentum_sign if isinstance(config.momentum_sign, str) else config.momentum_sign[step]] * len(seeds)


def run(denoise, x, sigmas, config, *, reference=None, noise=None, history=None):
    """Samples like `sonar_sampler.sample`; draws its own noise only where `noise` is None."""
    dtype = x.dtype.type
    sigmas = [dtype(sigma) for sigma in sigmas]
    steps = len(sigmas) - 1
    seeds = seeds_of(config, len(x))
    first, last = position(config.ref_start, steps), position(config.ref_stop, steps)
    r = None if reference is None else normalize(np.asarray(reference, dtype))
    trace = Trace()

    h = history
    if h is None and config.momentum_hist_init == "rand_init":
        h = x
    if h is None and config.momentum_hist_init == "rand_new":
        h = oracle_noise.normal(x.shape, seeds, 0, oracle_noise.HISTORY).astype(dtype)

    def draw(i):
        if noise is None:
            return oracle_noise.normal(x.shape, seeds, i, oracle_noise.STEP).astype(dtype)
        return np.asarray(noise(float(sigmas[i]), float(sigmas[i + 1])), dtype)

    for i in range(steps):
        sigma, sigma_next = sigmas[i], sigmas[i + 1]
        s_noise = dtype(config.s_noise)
        sigma_hat, sigma_to, rescale, sigma_up = sigma, sigma_next, dtype(1), None
        if config.sampler == "euler":
            churns = dtype(config.s_tmin) <= sigma <= dtype(config.s_tmax)
            gamma = min(config.s_churn / steps, 2**0.5 - 1) if churns else 0.0
            sigma_hat = sigma * dtype(gamma + 1)
            if gamma > 0:
                x = x + draw(i) * s_noise * np.sqrt(sigma_hat * sigma_hat - sigma * sigma)
        elif config.sampler == "euler_a":
            if config.flow:
                sigma_to, rescale, sigma_up = ancestral_flow(sigma, sigma_next, config.eta)
            else:
                sigma_to, sigma_up = ancestral(sigma, sigma_next, config.eta)
            sigma_up = sigma_up if sigma_next > 0 else None
        else:
            s_noise, sigma_up = dtype(1), dtype(JITTER)

        trace.seen.append((x, sigma_hat))
        denoised = np.asarray(denoise(x, float(sigma_hat)), dtype)
        if config.exact_last_step and sigma_next == 0:
            x = denoised.copy()
            trace.histories.append(h)
            continue

        m = (x - denoised) / sigma_hat
        momentum = at(config.momentum, i)
        if momentum != 1:
            m, h = correct_batch(m, h, momentum, at(config.momentum_hist, i), signs_at(config, seeds, i))
        trace.corrected.append(m)
        trace.histories.append(h)
        x = x + m * (sigma_to - sigma_hat)
        factor = at(config.ref_factor, i)
        if r is not None and factor != 0 and first <= i <= last:
            x = pull(x, denoised, r, sigma, sigma_next, factor, config.ref_method)
        if sigma_up is not None:
            x = x * rescale + draw(i) * s_noise * sigma_up
    trace.out = x
    return trace
