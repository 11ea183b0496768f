"""What is refused before or during a run: a typed error each time, never a panic, never a wrong picture."""

import re

import numpy as np
import pytest

from runs import SAMPLERS, denoise, karras, latent
from sonar_sampler import (
    ConfigError,
    DtypeError,
    LatentError,
    NumericError,
    ScheduleError,
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
from sonar_sampler.registry import SOLVERS

X, SIGMAS = latent(), [4.0, 2.0, 0.0]
EULER, EULER_A, CHURN = SonarConfig(sampler="euler"), SonarConfig(), SonarConfig(sampler="euler", s_churn=1.0)


class Broken:
    """Whatever one asks of it fails."""

    def __getattribute__(self, name):
        if name == "__class__":  # pytest asks for it
            return Broken
        raise RuntimeError("broken")

    def __repr__(self):
        raise RuntimeError("broken")


def with_bad(value, shape=(2, 4, 8, 8)):
    array = latent(0, shape)
    array[-1].flat[-1] = value
    return array


SCHEDULES = [
    ([], "empty"),
    (np.array([]), "empty"),
    (np.array([], int), "empty"),
    (np.array([], complex), "empty"),
    ([-1.0], "value 0 is -1.0"),
    ([2.0, -0.5], "value 1 is -0.5"),
    ([2.0, np.nan], "value 1 is NaN"),
    ([np.inf, 1.0], "value 0 is inf"),
    ([2.0, -np.inf], "value 1 is -inf"),
    ([0.0, 0.0], "value 0 is 0; there is no step from sigma 0"),
    ([2.0, 0.0, 1.0], "value 1 is 0"),
    ([2.0, -0.0, 1.0], "value 1 is 0"),
    (3.0, "one-dimensional"),
    ([[2.0, 1.0]], "one-dimensional"),
    (np.ones((2, 2, 2)), "one-dimensional"),
    ([2j, 0], "complex128"),
    (["2", "1"], "must be real numbers"),
    ([True, False], "bool"),
    ([None, 1.0], "object"),
    ([[1.0], [1.0, 2.0]], "not a list of numbers"),
    (None, "sigmas"),
    ("4, 2, 0", "sigmas"),
    ({4.0, 2.0}, "sigmas"),
    ({4.0: 2.0}, "sigmas"),
    (object(), "sigmas"),
    (Broken(), "sigmas"),
]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("sigmas", "message"), SCHEDULES, ids=[message for _, message in SCHEDULES])
def test_a_schedule_that_is_none_is_refused(sampler, sigmas, message):
    for call in (sample_it, step_it):
        with pytest.raises(ScheduleError, match=f"^sigmas: .*{re.escape(message)}|^{re.escape(message)}: "):
            call(sigmas, SonarConfig(sampler=sampler))


def sample_it(sigmas, config, x=X):
    return sample(denoise, x, sigmas, config)


def step_it(sigmas, config, x=X):
    return Stepper(config, sigmas, x)


def test_a_rising_schedule_is_refused_by_euler_a_alone():
    with pytest.raises(ScheduleError, match=r"value 2 rises from 1.0 to 3.0; .*euler, heun and naive take one"):
        sample_it([2.0, 1.0, 3.0], EULER_A)
    for sampler in ("euler", "naive"):
        sample_it([2.0, 1.0, 3.0], SonarConfig(sampler=sampler))


def test_a_flow_schedule_above_1_is_refused():
    with pytest.raises(ScheduleError, match=r"value 0 is 14.0; a flow model's sigmas are in \[0, 1\]"):
        sample_it([14.0, 1.0, 0.0], SonarConfig(flow=True))


def test_a_schedule_of_more_steps_than_can_be_made_is_refused_before_its_stages_fill_the_memory():
    with pytest.raises(ScheduleError, match="has 1000001 steps; at most 1000000 can be made"):
        sample_it(np.linspace(9, 1, 1_000_002), EULER_A)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("sigmas", [[1e-60, 1e-61], [1e60, 1e59]])
def test_a_schedule_that_float32_cannot_hold_is_refused(sampler, sigmas):
    with pytest.raises(ScheduleError, match=r"cannot be computed in float32|from .* to"):
        sample_it(sigmas, SonarConfig(sampler=sampler))
    assert np.isfinite(sample_it(sigmas, SonarConfig(sampler="euler"), X.astype(np.float64))).all()


LATENTS = [
    (None, DtypeError, "NoneType"),
    (3.0, DtypeError, "float"),
    ([[1.0]], DtypeError, "list"),
    ("x", DtypeError, "str"),
    (np.float32(1), DtypeError, "is a float32"),
    (Broken(), DtypeError, "Broken"),
    (X.astype(int), DtypeError, "int64"),
    (X.astype(np.uint8), DtypeError, "uint8"),
    (X > 0, DtypeError, "bool"),
    (X.astype(complex), DtypeError, "complex128"),
    (X.astype(object), DtypeError, "object"),
    (np.array([["a"]]), DtypeError, "<U1"),
    (np.zeros((2, 2), [("a", "f4")]), DtypeError, "dtype"),
    (X.astype(np.longdouble), DtypeError, "float128"),
    (np.zeros((), np.float32), LatentError, r"shape []"),
    (X[0, 0, 0], LatentError, "shape [8]"),
    (X[:0], LatentError, "shape [0, 4, 8, 8]"),
    (X[..., :0], LatentError, "shape [2, 4, 8, 0]"),
    (with_bad(np.nan), LatentError, "NaN"),
    (with_bad(np.inf), LatentError, "infinite"),
    (with_bad(-np.inf).astype(np.float64), LatentError, "infinite"),
    (with_bad(np.nan).astype(np.float16), LatentError, "NaN"),
]


@pytest.mark.parametrize(("x", "error", "found"), LATENTS, ids=[found for _, _, found in LATENTS])
def test_a_latent_that_is_none_is_refused(x, error, found):
    # A stepper without a latent is one that gets it later.
    for call in (sample_it,) if x is None else (sample_it, step_it):
        with pytest.raises(error, match=rf"^x(:| ).*{re.escape(found)}"):
            call(SIGMAS, EULER, x)


MISFITS = [
    (3.0, DtypeError),
    (X.tolist(), DtypeError),
    (X.astype(int), DtypeError),
    (X.astype(complex), DtypeError),
    (X[:, :1], LatentError),
    (X[..., None], LatentError),
    (X[0], LatentError),
    (np.repeat(X, 2, 0), LatentError),
    (X[..., :0], LatentError),
    (with_bad(np.nan), LatentError),
    (with_bad(np.inf), LatentError),
]


@pytest.mark.parametrize("name", ["reference", "history"])
@pytest.mark.parametrize(("value", "error"), MISFITS, ids=range(len(MISFITS)))
def test_a_reference_or_history_that_does_not_fit_is_refused(name, value, error):
    with pytest.raises(error, match=f"^{name}"):
        sample(denoise, X, SIGMAS, EULER, **{name: value})
    with pytest.raises(error, match=f"^{name}"):
        Stepper(EULER, SIGMAS, X, **{name: value})


def test_a_history_of_one_image_is_not_broadcast():
    with pytest.raises(LatentError, match=r"history has shape \[1, 4, 8, 8\]: must be \[2, 4, 8, 8\] like the latent"):
        sample(denoise, X, SIGMAS, EULER, history=X[:1])


def test_a_constant_channel_of_a_reference_is_named():
    reference = X.copy()
    reference[1, 2] = 0.5
    with pytest.raises(LatentError, match=r"reference: channel 2 of image 1 has mean 0.5 .*must not be constant"):
        sample(denoise, X, SIGMAS, EULER, reference=reference)
    with pytest.raises(LatentError, match="channel 2 of image 1"):
        normalize_reference(reference)


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 1), (2, 4, 1, 1)])
def test_a_reference_without_space_is_refused(shape):
    with pytest.raises(LatentError, match="needs two spatial positions or more"):
        sample(denoise, latent(0, shape), SIGMAS, EULER, reference=latent(1, shape))


ANSWERS = [
    (None, DtypeError, "is a NoneType"),
    (0.5, DtypeError, "is a float"),
    ([[0.5]], DtypeError, "is a list"),
    (Broken(), DtypeError, "is a Broken"),
    (X.astype(int), DtypeError, "has dtype int64"),
    (X.astype(complex), DtypeError, "has dtype complex128"),
    (X > 0, DtypeError, "has dtype bool"),
    (X.astype(object), DtypeError, "has dtype object"),
    (X[:1], LatentError, "has shape [1, 4, 8, 8]: must be [2, 4, 8, 8]"),
    (X[0], LatentError, "has shape [4, 8, 8]"),
    (X.reshape(2, 4, 64), LatentError, "has shape [2, 4, 64]"),
    (X.transpose(1, 0, 2, 3), LatentError, "has shape [4, 2, 8, 8]"),
    (np.zeros((), np.float32), LatentError, "has shape []"),
    (X[..., :0], LatentError, "has shape [2, 4, 8, 0]"),
]


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(("answer", "error", "found"), ANSWERS, ids=[found for _, _, found in ANSWERS])
def test_an_answer_or_noise_that_is_none_is_refused(answer, error, found, step):
    def at_last(right):
        calls = iter([right] * step)
        return lambda *_: next(calls, answer)

    with pytest.raises(error, match=f"^the denoiser's answer {re.escape(found)}"):
        sample(at_last(X), X, [4.0, 2.0, 1.0], EULER)
    for config in (EULER_A, CHURN):
        with pytest.raises(error, match=f"^the noise {re.escape(found)}"):
            sample(denoise, X, [4.0, 2.0, 1.0], config, noise=at_last(X))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("step", [0, 2])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_not_finite_names_step_sigma_and_images(sampler, exact, step, bad):
    calls = []

    def model(x, sigma):
        calls.append(sigma)
        return with_bad(bad) if len(calls) == call + 1 else denoise(x, sigma)

    call = step * SOLVERS[sampler].calls
    config = SonarConfig(sampler=sampler, exact_last_step=exact)
    with pytest.raises(NumericError, match=rf"^step {step}: the denoiser answered NaN .*\(images \[1\] of the batch\)"):
        sample(model, X, [4.0, 2.0, 1.0, 0.0], config)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_found_in_large_latents_too(bad):
    x = np.zeros((3, 4, 200, 200), np.float32)

    def model(x, sigma):
        answer = np.zeros_like(x)
        answer[0, 0, 0, 0] = answer[2, -1, -1, -1] = bad
        return answer

    for reference in (None, latent(1, x.shape)):
        with pytest.raises(NumericError, match=r"images \[0, 2\]"):
            sample(model, x, [2.0, 1.0], EULER, reference=reference, threads=2)


@pytest.mark.parametrize("name", ["denoise", "noise", "callback"])
@pytest.mark.parametrize("value", [3, "model", X])
def test_what_is_to_be_called_must_be_callable(name, value):
    arguments = {"denoise": denoise} | {name: value}
    with pytest.raises(ConfigError, match=f"^{name} = .*: must be callable"):
        sample(arguments.pop("denoise"), X, SIGMAS, EULER, **arguments)


@pytest.mark.parametrize("config", [(None,), ({},), ("euler",), (Broken(),)], ids=range(4))
def test_the_config_must_be_one(config):
    for call in (sample_it, step_it):
        with pytest.raises(ConfigError, match=r"config = .*must be a SonarConfig|^sampler = "):
            call(SIGMAS, *config)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, 10**30])
def test_the_number_of_threads_is_a_whole_number_from_1(threads):
    with pytest.raises(ConfigError, match=r"^threads = .*: must be an int of at least 1"):
        sample(denoise, X, SIGMAS, EULER, threads=threads)
    with pytest.raises(ConfigError, match=r"^threads = "):
        Stepper(EULER, SIGMAS, X, threads=threads)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ancestral_step("a", 1), ConfigError, "sigma = 'a': must be a number"),
        (lambda: ancestral_step(1.0, None), ConfigError, "sigma_next = None"),
        (lambda: ancestral_step(2.0, 1.0, "b"), ConfigError, "eta = 'b'"),
        (lambda: ancestral_step(2.0, 1.0, -1), ConfigError, "eta = -1"),
        (lambda: ancestral_step(2.0, 1.0, np.nan), ConfigError, "eta = NaN"),
        (lambda: ancestral_step(0.0, 0.0), ScheduleError, "no step from sigma 0"),
        (lambda: ancestral_step(1.0, 2.0), ScheduleError, "rise from 1.0 to 2.0"),
        (lambda: ancestral_step(2.0, -1.0), ScheduleError, "value 1 is -1"),
        (lambda: ancestral_step(np.inf, 1.0), ScheduleError, "value 0 is inf"),
        (lambda: ancestral_step(1e200, 1e199), ScheduleError, "from 1e200 to 1e199 cannot be computed"),
        (lambda: ancestral_step(1e-200, 1e-201), ScheduleError, "cannot be computed"),
        (lambda: ancestral_step(2.0, 1.0, flow=True), ScheduleError, r"in \[0, 1\]"),
        (lambda: momentum(X, None, momentum=1.5), ConfigError, "momentum = 1.5"),
        (lambda: momentum(X, None, momentum="a"), ConfigError, "momentum = 'a'"),
        (lambda: momentum(X, None, momentum_hist=np.nan), ConfigError, "momentum_hist = NaN"),
        (lambda: momentum(X, None, sign="rand"), ConfigError, "sign = 'rand': must be one of pos, neg"),
        (lambda: momentum(X.tolist(), None), DtypeError, "d is a list"),
        (lambda: momentum(X.astype(np.float16), None), DtypeError, "d has dtype float16"),
        (lambda: momentum(X, X[:1]), LatentError, "history has shape"),
        (lambda: momentum(X, X.astype(int)), DtypeError, "history has dtype int64"),
        (lambda: pull(factor=np.inf), ConfigError, "factor = inf"),
        (lambda: pull(factor="a"), ConfigError, "factor = 'a'"),
        (lambda: pull(method="lin"), ConfigError, "method = 'lin': must be one of linear, euler"),
        (lambda: pull(sigma=0.0), ScheduleError, "no step from sigma 0"),
        (lambda: pull(sigma="a"), ConfigError, "sigma = 'a'"),
        (lambda: pull(x=X[..., :0]), LatentError, "x has shape"),
        (lambda: pull(x=np.zeros(())), LatentError, "shape"),
        (lambda: pull(denoised=X[:1]), LatentError, "denoised has shape"),
        (lambda: pull(reference=X[:, :1]), LatentError, "reference has shape"),
        (lambda: pull(reference=3), DtypeError, "reference is a int"),
        (lambda: normalize_reference(X[:, :, 0, 0]), LatentError, "needs two spatial positions"),
        (lambda: normalize_reference(np.ones_like(X)), LatentError, "must not be constant"),
        (lambda: normalize_reference(with_bad(np.nan)), LatentError, "must be finite"),
        (lambda: normalize_reference([1.0]), DtypeError, "reference is a list"),
        (lambda: initial_noise((2, 1 << 60), [0, 1]), LatentError, "too big"),
        (lambda: initial_noise([1] * 70, [0]), LatentError, "dimension"),
        (lambda: initial_noise((0, 4), []), LatentError, "none of them empty"),
        (lambda: initial_noise((), 0), LatentError, "needs axes"),
        (lambda: initial_noise((2, 4), [0]), ConfigError, r"1 seeds: .*one per image of the batch \(2\)"),
        (lambda: initial_noise((2, -4), [0, 1]), ConfigError, r"shape = \(2, -4\)"),
        (lambda: initial_noise("ab", [0, 1]), ConfigError, "shape = 'ab'"),
        (lambda: initial_noise((2, 4), [0, -1]), ConfigError, r"seeds = \[0, -1\]"),
        (lambda: initial_noise((2, 4), None), ConfigError, "seeds = None"),
    ],
)
def test_the_pieces_refuse_what_makes_no_sense(call, error, message):
    with pytest.raises(error, match=message):
        call()


def momentum(d, history, momentum=0.5, momentum_hist=0.5, sign="pos"):
    return momentum_step(d, history, momentum=momentum, momentum_hist=momentum_hist, sign=sign)


def pull(x=X, denoised=None, reference=None, sigma=2.0, sigma_next=1.0, factor=0.1, method="linear"):
    denoised = x if denoised is None else denoised
    return guidance_step(
        x, denoised, x if reference is None else reference, sigma, sigma_next, factor=factor, method=method
    )


@pytest.mark.parametrize(("shape", "seeds"), [((2, 1 << 45), [0, 1]), ((1 << 40, 4, 8, 8), 0)])
def test_too_large_for_memory_is_a_memory_error_that_python_can_catch(shape, seeds):
    with pytest.raises(MemoryError):
        initial_noise(shape, seeds)


def test_every_error_is_one_of_ours_and_ends_before_the_model_is_called():
    called = []
    for arguments in (
        ([4.0, -2.0], EULER),
        ([4.0, 2.0], SonarConfig(momentum=[0.5, 0.5])),
        ([4.0, 2.0], SonarConfig(seed=[1, 2, 3])),
        ([1e60, 1e59], EULER),
    ):
        with pytest.raises(SonarError):
            sample(lambda x, sigma: called.append(sigma), X, *arguments)
    assert called == []


@pytest.mark.parametrize("options", [{"s_noise": 1e300}, {"eta": 1e38}, {"ref_factor": 1e300}, {"s_churn": 1e300}])
def test_huge_but_legal_numbers_end_in_a_picture_or_an_error(options):
    for sampler in SAMPLERS:
        try:
            out = sample(denoise, X, karras(3), SonarConfig(sampler=sampler, **options), reference=latent(1))
        except SonarError:
            continue
        assert np.isfinite(out).all()
