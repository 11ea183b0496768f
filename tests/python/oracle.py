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
    seed = 0 if config.seed is None else config.seed
    return [seed + k for k in range(batch)] if isinstance(seed, int) else list(seed)


def momentum_at(config, step, steps):
    """1, which is none, outside the range of steps."""
    first, last = position(config.momentum_start, steps), position(config.momentum_stop, steps)
    return at(config.momentum, step) if first <= step <= last else 1.0


def ancestral(sigma, sigma_next, eta):
    t = type(sigma)
    if eta == 0:
        return sigma_next, t(0)
    up = t(eta) * sqrt(sigma_next * sigma_next * (sigma * sigma - sigma_next * sigma_next) / (sigma * sigma))
    up = min(sigma_next, up)
    return sqrt(sigma_next * sigma_next - up * up), up


def ancestral_flow(sigma, sigma_next, eta):
    """Where the step goes, the factor on the latent after it, the deviation of the noise."""
    t = type(sigma)
    ratio = t(1) + (sigma_next / sigma - t(1)) * t(eta)
    down = sigma_next * ratio
    if down == sigma_next:
        return down, t(1), t(0)
    left, left_down = t(1) - sigma_next, t(1) - down
    variance = sigma_next * sigma_next - down * down * (left * left) / (left_down * left_down)
    return down, left / left_down, sqrt(max(variance, t(0)))


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


def window(config, u):
    """How much of the factor of the method "denoised" acts at the progress u."""
    outside = max(config.ref_start - u, u - config.ref_stop, 0)
    if outside == 0:
        return 1.0
    return (1 + np.cos(np.pi * outside / config.ref_fade)) / 2 if outside < config.ref_fade else 0.0


def progress(sigma, first, flow):
    tau, tau_first = (float(level) if flow else float(level) / (1 + float(level)) for level in (sigma, first))
    return min(max(1 - tau / tau_first, 0.0), 1.0)


def gaussian(length, detail):
    """The matrix of the low-pass along one axis of so many cells: beyond an end lies the reflection."""
    deviation = np.sqrt((1 / detail**2 - 1) / 12)
    reach = int(4 * deviation + 0.5)
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (steps / deviation) ** 2) if reach else np.ones(1)
    matrix = np.zeros((length, length))
    for row in range(length):
        there = (row + steps) % (2 * length)
        np.add.at(matrix[row], np.where(there < length, there, 2 * length - 1 - there), weights / weights.sum())
    return matrix


def look(values, mask):
    """Mean and deviation of every channel of every image, where the mask is."""
    axes = tuple(range(2, values.ndim))
    mask = np.broadcast_to(mask, values.shape).astype(np.float64)
    total = mask.sum(axes, keepdims=True)
    mean = (values * mask).sum(axes, keepdims=True) / total
    return mean, np.sqrt((np.square(values - mean) * mask).sum(axes, keepdims=True) / total)


def pull_answer(denoised, reference, mask, weight, config):
    """The answer D of the model on its way to the reference: D + w mask low(R' - D)."""
    mask = np.ones((1,) * denoised.ndim) if mask is None else mask
    wide, target = denoised.astype(np.float64), np.broadcast_to(reference, denoised.shape).astype(np.float64)
    if config.ref_match == "channel":
        (mean, std), (own_mean, own_std) = look(wide, mask), look(target, mask)
        target = (target - own_mean) / own_std * std + mean
    change = target - wide
    if config.ref_detail < 1:
        height, width = (gaussian(length, config.ref_detail) for length in denoised.shape[-2:])
        change = height @ change @ width.T
    return (wide + weight * mask * change).astype(denoised.dtype)


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


def lead(x, move, h, config, step, sigmas, momentum, of_first):
    """The answer ahead of its history, and the next history; `h` None means that there is none yet.

    `of_first` is the weight that the first answer has in the latent, in the second step of a run that began without a
    history.
    """
    denoised = move.denoised
    t = denoised.dtype.type
    if h is None:
        return denoised, denoised
    sigma_hat, sigma_to = float(move.sigma_hat), float(move.sigma_to)
    q = p = 1 - momentum
    if sigmas[step + 1] == 0:
        q *= reach(config, step, [float(sigma) for sigma in sigmas])
    shares = np.full(len(x), q)
    if config.lead_guard > 0 and q > 0:
        with np.errstate(divide="ignore", invalid="ignore"):
            caught = p * of_first * np.float64(sigma_to) / (sigma_hat - sigma_to) if of_first else 0.0
        kept = clean(config, sigma_hat)
        images = zip(x, denoised, h, strict=True)
        shares = np.array([lead_share(*image, q, config.lead_guard, sigma_hat, kept) for image in images]) + caught
        shares[~np.isfinite(shares)] = 0.0
    k = at(config.momentum_hist, step)
    return denoised + per_image(shares, denoised) * (denoised - h), t(k) * h + t(1 - k) * denoised


def clean(config, sigma):
    return max(0.0, 1 - sigma) if config.flow else 1.0


def reach(config, step, sigmas):
    """Of the step to sigma 0, from the level of the answer before to that of the present one."""
    if config.lead_guard == 0 or step == 0:
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        before, now = (np.float64(sigma) / clean(config, sigma) for sigma in sigmas[step - 1 : step + 1])
        return min(1.0, 2 / ((before / now) ** 2 - 1)) if before > now else 0.0


def lead_share(x, denoised, h, p, guard, sigma_hat, kept):
    """Of one image: how much of the answer's change is added to it, without what is made good of the first step."""
    x, denoised, h = (np.float64(values).ravel() for values in (x, denoised, h))
    with np.errstate(divide="ignore", invalid="ignore"):
        change, rest, std = (
            denoised - h,
            x - kept * denoised,
            np.sqrt(denoised.var() * (n := x.size) / np.float64(n - 1)),
        )
        r = np.sqrt(np.square(rest).mean()) / np.hypot(sigma_hat, kept * std / 2.5)
        share = p * np.clip(2 - r, -1, 1)
        if share > 0:
            turn = change @ rest / (kept * (change @ change)) if kept else 0.0
            share *= np.fmin(1, guard * std / (p * np.sqrt(np.square(change).mean()))) * np.clip(1 + turn / 2, 0.5, 1)
    return share


def signs_at(config, seeds, step):
    if config.momentum_sign == "rand":
        return [oracle_noise.sign(seed, step) for seed in seeds]
    return [config.momentum_sign if isinstance(config.momentum_sign, str) else config.momentum_sign[step]] * len(seeds)


def wide(function):
    """An elementary function in double precision, rounded once."""
    return lambda value: type(value)(function(np.float64(value)))


exp, expm1, sqrt = wide(np.exp), wide(np.expm1), wide(np.sqrt)


def log(value):
    with np.errstate(divide="ignore"):
        return wide(np.log)(value)


@dataclass
class Move:
    """The end of a step: what a plain solver makes of it, what a momentum mixes instead, and the noise after it."""

    plain: np.ndarray
    derivative: np.ndarray
    sigma_hat: float
    sigma_to: float
    denoised: np.ndarray
    rescale: float = 1
    noise: tuple = ()  # factors, from left to right


class Twin:
    """A run; one method for each solver makes a step up to its end."""

    def __init__(self, denoise, x, sigmas, config, noise, reference=None, mask=None):
        self.t = x.dtype.type
        self.sigmas = [self.t(sigma) for sigma in sigmas]
        self.steps = len(sigmas) - 1
        self.config, self.denoise, self.host_noise = config, denoise, noise
        self.seeds, self.shape, self.dtype = seeds_of(config, len(x)), x.shape, x.dtype
        self.older, self.trace = None, Trace()
        self.reference, self.mask, self.step = reference, mask, 0

    def draw(self, i, sigma, sigma_next, again=False):
        if self.host_noise is None:
            purpose = oracle_noise.STEP_AGAIN if again else oracle_noise.STEP
            return oracle_noise.normal(self.shape, self.seeds, i, purpose).astype(self.dtype)
        return np.asarray(self.host_noise(float(sigma), float(sigma_next)), self.dtype)

    def ask(self, x, sigma):
        self.trace.seen.append((x, sigma))
        answer = np.asarray(self.denoise(x, float(sigma)), self.dtype)
        if self.reference is None or self.config.ref_method != "denoised":
            return answer
        u = progress(sigma, self.sigmas[0], self.config.flow)
        weight = at(self.config.ref_factor, self.step) * window(self.config, u)
        return pull_answer(answer, self.reference, self.mask, weight, self.config) if weight else answer

    def churned(self, x, i):
        c, t, sigma = self.config, self.t, self.sigmas[i]
        gamma = min(c.s_churn / self.steps, 2**0.5 - 1) if t(c.s_tmin) <= sigma <= t(c.s_tmax) else 0.0
        sigma_hat = sigma * t(gamma + 1)
        if gamma > 0:
            up = sqrt(sigma_hat * sigma_hat - sigma * sigma)
            x = x + self.draw(i, sigma, self.sigmas[i + 1]) * t(c.s_noise) * up
        return x, sigma_hat

    def euler_step(self, x, denoised, sigma_hat, sigma_to, **noise):
        d = (x - denoised) / sigma_hat
        return Move(x + d * (sigma_to - sigma_hat), d, sigma_hat, sigma_to, denoised, **noise)

    def euler(self, x, i):
        x, sigma_hat = self.churned(x, i)
        return x, self.euler_step(x, self.ask(x, sigma_hat), sigma_hat, self.sigmas[i + 1])

    def euler_a(self, x, i):
        c, sigma, sigma_next = self.config, self.sigmas[i], self.sigmas[i + 1]
        rescale = self.t(1)
        if c.flow:
            sigma_to, rescale, up = ancestral_flow(sigma, sigma_next, c.eta)
        else:
            sigma_to, up = ancestral(sigma, sigma_next, c.eta)
        noise = (self.t(c.s_noise), up) if sigma_next > 0 else ()
        return x, self.euler_step(x, self.ask(x, sigma), sigma, sigma_to, rescale=rescale, noise=noise)

    def naive(self, x, i):
        sigma = self.sigmas[i]
        return x, self.euler_step(x, self.ask(x, sigma), sigma, self.sigmas[i + 1], noise=(self.t(JITTER),))

    def heun(self, x, i):
        x, sigma_hat = self.churned(x, i)
        sigma_to = self.sigmas[i + 1]
        denoised = self.ask(x, sigma_hat)
        if sigma_to == 0 or self.takes_last(i):
            return x, self.euler_step(x, denoised, sigma_hat, sigma_to)
        d, dt = (x - denoised) / sigma_hat, sigma_to - sigma_hat
        ahead = x + d * dt
        second = self.ask(ahead, sigma_to)
        d = (d + (ahead - second) / sigma_to) / self.t(2)
        return x, Move(x + d * dt, d, sigma_hat, sigma_to, second)

    def dpmpp_2m(self, x, i):
        sigma, sigma_next = self.sigmas[i], self.sigmas[i + 1]
        t, t_next = -log(sigma), -log(sigma_next)
        h = t_next - t
        denoised = mixed = self.ask(x, sigma)
        if i > 0 and sigma_next > 0:
            r = (t - -log(self.sigmas[i - 1])) / h
            half = self.t(1) / (self.t(2) * r)
            mixed = (self.t(1) + half) * denoised - half * self.older
        plain = exp(-t_next) / exp(-t) * x - expm1(-h) * mixed
        self.older = denoised
        return x, Move(plain, (x - mixed) / sigma, sigma, sigma_next, denoised)

    def dpmpp_2m_sde(self, x, i):
        c, sigma, sigma_next = self.config, self.sigmas[i], self.sigmas[i + 1]
        denoised = mixed = self.ask(x, sigma)
        if sigma_next == 0:
            return x, Move(denoised, (x - denoised) / sigma, sigma, sigma_next, denoised)
        t, s = -log(sigma), -log(sigma_next)
        h = s - t
        eta_h = self.t(c.eta) * h
        plain = sigma_next / sigma * exp(-eta_h) * x + -expm1(-h - eta_h) * denoised
        if i > 0:
            r, half = (t - -log(self.sigmas[i - 1])) / h, self.t(0.5)
            plain = plain + half * -expm1(-h - eta_h) * (self.t(1) / r) * (denoised - self.older)
            mixed = denoised + half * (self.t(1) / r) * (denoised - self.older)
        self.older = denoised
        up = (sigma_next, sqrt(-expm1(self.t(-2) * eta_h)), self.t(c.s_noise)) if c.eta > 0 else ()
        return x, Move(plain, (x - mixed) / sigma, sigma, sigma_next * exp(-eta_h), denoised, noise=up)

    def dpmpp_sde(self, x, i):
        c, sigma, sigma_next = self.config, self.sigmas[i], self.sigmas[i + 1]
        denoised = self.ask(x, sigma)
        if sigma_next == 0:
            return x, self.euler_step(x, denoised, sigma, sigma_next)
        t, t_next = -log(sigma), -log(sigma_next)
        start, middle, end = exp(-t), exp(-(t + (t_next - t) * self.t(0.5))), exp(-t_next)

        def part(to, answer):
            down, up = ancestral(start, to, c.eta)
            return exp(log(down)) / start * x - expm1(t - -log(down)) * answer, down, up

        ahead, _, up = part(middle, denoised)
        ahead = ahead + self.draw(i, start, middle) * self.t(c.s_noise) * up
        second = self.ask(ahead, middle)
        plain, down, up = part(end, second)
        self.interval = (start, end)
        return x, Move(plain, (x - second) / sigma, sigma, down, second, noise=(self.t(c.s_noise), up))

    def takes_last(self, i):
        return self.config.exact_last_step and self.sigmas[i + 1] == 0


def run(denoise, x, sigmas, config, *, reference=None, reference_mask=None, noise=None, history=None):
    """Samples like `sonar_sampler.sample`; draws its own noise only where `noise` is None."""
    twin = Twin(denoise, x, sigmas, config, noise, reference, reference_mask)
    sigmas, steps, trace, t = twin.sigmas, twin.steps, twin.trace, twin.t
    first, last = position(config.ref_start, steps), position(config.ref_stop, steps)
    on_latent = reference is not None and config.ref_method != "denoised"
    r = normalize(np.asarray(reference, x.dtype)) if on_latent else None
    momenta = [momentum_at(config, i, steps) for i in range(steps)]
    leads = config.momentum_mode == "lead" and any(momentum < 1 for momentum in momenta)

    h = history
    if h is None and config.momentum_hist_init == "rand_init":
        h = x
    if h is None and config.momentum_hist_init == "rand_new":
        h = oracle_noise.normal(x.shape, twin.seeds, 0, oracle_noise.HISTORY).astype(x.dtype)

    for i, momentum in enumerate(momenta):
        twin.step = i
        x, move = getattr(twin, config.sampler)(x, i)
        if twin.takes_last(i):
            x = move.denoised.copy()
            trace.histories.append(h)
            continue
        moved, m, hist = move.plain, move.derivative, at(config.momentum_hist, i)
        if leads:
            if i == 0:
                weight = (1 - float(move.sigma_to) / float(move.sigma_hat)) * float(move.rescale)
            of_first = weight if i == 1 and history is None else 0.0
            ahead, h = lead(x, move, h, config, i, sigmas, momentum, of_first)
            m = (x - ahead) / move.sigma_hat
            moved = x + m * (move.sigma_to - move.sigma_hat)
        elif momentum != 1 and config.momentum_mode == "classic":
            m, h = correct_batch(m, h, momentum, hist, signs_at(config, twin.seeds, i))
            moved = x + m * (move.sigma_to - move.sigma_hat)
        trace.corrected.append(m)
        trace.histories.append(h)
        x = moved
        factor = at(config.ref_factor, i)
        if r is not None and factor != 0 and first <= i <= last:
            x = pull(x, move.denoised, r, sigmas[i], sigmas[i + 1], factor, config.ref_method)
        if move.noise:
            is_second = config.sampler == "dpmpp_sde"
            interval = twin.interval if is_second else (sigmas[i], sigmas[i + 1])
            noise = twin.draw(i, *interval, again=is_second)
            for factor in move.noise:
                noise = noise * factor
            x = x * t(move.rescale) + noise
    trace.out = x
    return trace
