"""Anything that Python can hand over: the answer is a finite latent, or an error of Sonar's own or of the host."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runs import SAMPLERS, cases, latent
from sonar_sampler import (
    SonarConfig,
    SonarError,
    Stepper,
    ancestral_step,
    guidance_step,
    initial_noise,
    momentum_step,
    normalize_reference,
    sample,
)
from sonar_sampler.registry import knobs

DTYPES = ["f2", "f4", "f8", ">f4", "<f8", "g", "i4", "u1", "?", "c8", "O", "U3", "M8[s]"]


class HostError(Exception):
    """An exception of the model's own."""


numbers = st.one_of(
    st.floats(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, 0.5, -0.0, math.nan, math.inf, 1e300, 1e-300, True, np.float32(0.5), np.True_, 1j]),
)
junk = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.text(max_size=4),
    st.binary(max_size=4),
    st.sampled_from(["pos", "neg", "rand", "zero", "rand_init", "rand_new", "linear", "classic", "lead", *SAMPLERS]),
    st.sampled_from([object(), int, [], (), {}, set(), range(3), np.zeros(3), np.array(0.5), np.array(["a"]), [[1.0]]]),
    st.lists(numbers, max_size=4),
    st.lists(st.sampled_from(["pos", "neg", "x", None]), max_size=4),
)


@st.composite
def arrays(draw):
    """An array of any shape, dtype and layout, with numbers that may be of any size."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=5)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    values = np.random.default_rng(draw(st.integers(0, 99))).standard_normal(shape) * draw(
        st.sampled_from([0.0, 1.0, 14.0, 1e5, 1e38, 1e300])
    )
    if values.size and draw(st.booleans()):
        values.flat[draw(st.integers(0, values.size - 1))] = draw(st.sampled_from([math.nan, math.inf, -math.inf, 0.0]))
    with np.errstate(all="ignore"):
        array = (values * 0).astype("i8").astype(dtype) if dtype.kind in "MUiu" else values.astype(dtype)
    return layout(draw, np.asarray(array))


def layout(draw, array):
    way = draw(st.sampled_from(["plain", "fortran", "backwards", "strided", "read-only", "broadcast", "subclass"]))
    if way == "fortran":
        return np.asfortranarray(array)
    if way == "backwards":
        return array[..., ::-1] if array.ndim else array
    if way == "strided" and array.ndim:
        return np.repeat(array, 2, -1)[..., ::2]
    if way == "read-only":
        array.flags.writeable = False
    if way == "broadcast" and array.ndim and array.shape[0]:
        return np.broadcast_to(array[:1], array.shape)
    return array.view(type("Mine", (np.ndarray,), {})) if way == "subclass" else array


def answers(call):
    """What a call answers, if anything; any error but the known ones is a find."""
    with np.errstate(all="ignore"):
        try:
            return call()
        except (SonarError, HostError, MemoryError):
            return None


def is_picture(out, like):
    assert type(out) is np.ndarray
    assert (out.shape, out.dtype.kind) == (like.shape, "f")
    assert np.isfinite(out).all()


@given(options=st.dictionaries(st.sampled_from([*knobs(), "momentun", "x"]), junk, max_size=5))
def test_any_options(options):
    config = answers(lambda: SonarConfig(**options))
    if config is not None:
        assert eval(repr(config), {"inf": math.inf, "SonarConfig": SonarConfig}) == config
        x = latent(0, (1, 2, 2, 2))
        out = answers(lambda: sample(lambda x, s: x / 2, x, [1.0, 0.5, 0.1], config, reference=latent(1, x.shape)))
        if out is not None:
            is_picture(out, x)


@given(
    x=arrays(),
    sigmas=st.one_of(st.lists(st.floats(0, 20), max_size=5), st.lists(numbers, max_size=4), arrays(), junk),
    reference=st.one_of(st.none(), arrays()),
    history=st.one_of(st.none(), arrays()),
    threads=st.one_of(st.none(), st.integers(1, 3), junk),
    sampler=st.sampled_from(SAMPLERS),
)
def test_any_arrays(x, sigmas, reference, history, threads, sampler):
    config, before = SonarConfig(sampler=sampler, s_churn=0.5), x.tobytes()
    out = answers(
        lambda: sample(lambda x, s: x / 2, x, sigmas, config, reference=reference, history=history, threads=threads)
    )
    if out is not None:
        is_picture(out, x)
    stepper = answers(lambda: Stepper(config, sigmas, x, reference=reference, history=history, threads=threads))
    assert (out is None) or (stepper is not None)
    assert x.tobytes() == before


class Host:
    """A model, a noise and a callback that misbehave at one call."""

    def __init__(self, draw, like):
        self.draw, self.like, self.calls, self.kept = draw, like, 0, []
        self.when = draw(st.integers(0, 8))

    def deed(self, right):
        self.calls += 1
        if self.calls - 1 != self.when:
            return right()
        return self.draw(
            st.one_of(
                st.just(right()),
                junk,
                arrays(),
                st.sampled_from([self.like, self.like[:1], self.like.T, self.like * np.nan, self.like.astype("f2")]),
                st.sampled_from(self.kept or [None]),
                st.just(HostError),
            )
        )

    def answer(self, right):
        out = self.deed(right)
        if out is HostError:
            raise HostError
        return out

    def model(self, x, sigma):
        for held, then in self.kept:
            assert held.tobytes() == then
        if self.draw(st.booleans()):
            self.kept.append((x, x.tobytes()))
        return self.answer(lambda: x / 2 if self.calls % 2 else x[:])

    def noise(self, sigma, sigma_next):
        return self.answer(lambda: np.ones_like(self.like))

    def callback(self, state):
        if self.answer(lambda: None) is not None:
            state.clear()


@given(data=st.data(), case=cases(dtypes=("f2", "f4", "f8")))
def test_any_host(data, case):
    x, sigmas, config, reference, history = case
    host = Host(data.draw, x)
    noise = data.draw(st.sampled_from([None, host.noise]))
    callback = data.draw(st.sampled_from([None, host.callback]))
    out = answers(
        lambda: sample(
            host.model, x, sigmas, config, reference=reference, history=history, noise=noise, callback=callback
        )
    )
    if out is not None:
        is_picture(out, x)
        assert out.dtype == x.dtype
    for held, then in host.kept:
        assert held.tobytes() == then


@given(values=st.lists(junk, min_size=3, max_size=3), flow=st.booleans())
def test_any_ancestral_step(values, flow):
    out = answers(lambda: ancestral_step(*values, flow=flow))
    if out is not None:
        assert all(type(value) is float and math.isfinite(value) for value in out)


@given(d=arrays(), h=st.one_of(st.none(), arrays()), p=junk, q=junk, sign=junk)
def test_any_momentum_step(d, h, p, q, sign):
    out = answers(lambda: momentum_step(d, h, momentum=p, momentum_hist=q, sign=sign))
    if out is not None:
        assert out[0].shape == d.shape


@given(x=arrays(), d=arrays(), r=arrays(), sigma=numbers, sigma_next=numbers, factor=junk, same=st.booleans())
def test_any_guidance_step(x, d, r, sigma, sigma_next, factor, same):
    r = answers(lambda: normalize_reference(x if same else r))
    if r is not None:
        out = answers(lambda: guidance_step(x, x if same else d, r, sigma, sigma_next, factor=factor, method="euler"))
        assert out is None or out.shape == x.shape


@given(shape=st.one_of(junk, st.lists(st.integers(-1, 3), max_size=40)), seeds=junk)
def test_any_initial_noise(shape, seeds):
    out = answers(lambda: initial_noise(shape, seeds))
    if out is not None:
        is_picture(out, out)


@given(config=junk, denoise=junk, noise=junk, callback=junk)
def test_any_arguments(config, denoise, noise, callback):
    x = latent(0, (1, 1, 2, 2))
    answers(lambda: sample(denoise, x, [1.0, 0.5], config, noise=noise, callback=callback))
    if not callable(noise) and not callable(callback):
        answers(lambda: sample(lambda x, s: x, x, [1.0, 0.5], SonarConfig(), noise=noise, callback=callback))
