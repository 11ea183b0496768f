"""momentum_mode "lead": the laws of the denoised latent that runs ahead."""

import math
import pickle

import numpy as np
import pytest
import torch

import k_sampling
from runs import LEADING, SAMPLERS, Draws, denoise, karras, latent, reply, same_bits
from sonar_sampler import ConfigError, Done, Noise, SonarConfig, Stepper, ancestral_step, sample
from sonar_sampler.torch import sample_function

k_sampling = k_sampling.load()
EACH = pytest.mark.parametrize("sampler", LEADING)
X = latent(dtype=np.float64)
EQUAL = np.geomspace(14.6, 0.3, 8)  # equal steps in log sigma


def lead(sampler="euler", **options):
    return SonarConfig(sampler=sampler, momentum_mode="lead", **options)


def model(x, sigma):
    kept = 0.49 / (0.49 + sigma.reshape(-1, *[1] * (x.ndim - 1)) ** 2)
    return torch.tanh(x * kept) + 0.2  # not linear, so that the steps differ


def numpy_model(x, sigma):
    return model(torch.from_numpy(np.array(x)), torch.tensor([sigma], dtype=torch.float64)).numpy()


def walk(config, sigmas, x=X, history=None, noise=None):
    """The answers, and after each step the latent, the history and the derivative."""
    stepper, noise = Stepper(config, sigmas, x, history=history), noise or Draws(5, x.shape, x.dtype)
    answers, states = [], []
    while not isinstance(request := stepper.request(), Done):
        step, before = stepper.step, stepper.x
        if isinstance(request, Noise):
            stepper.feed(noise(request.sigma, request.sigma_next))
        else:
            answers.append(numpy_model(request.x, request.sigma))
            stepper.feed(answers[-1])
        if stepper.step > step:
            states.append((before, stepper.history, stepper.momentum_d))
    return answers, states, stepper.result


@EACH
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("history", [False, True])
def test_momentum_1_is_the_plain_method(sampler, dtype, history):
    x = latent(1, dtype=dtype)
    given = latent(2, dtype=dtype) if history else None
    out = sample(denoise, x, karras(5), lead(sampler, momentum=1.0), history=given)
    same_bits(out, sample(denoise, x, karras(5), SonarConfig(sampler=sampler, momentum=1.0)))


def test_half_ahead_of_the_last_answer_is_dpmpp_2m_on_equal_steps():
    sigmas = np.append(EQUAL, 0.0)
    ours = sample(numpy_model, X, sigmas, lead(momentum=0.5, momentum_hist=0.0, lead_guard=0.0))
    theirs = k_sampling.sample_dpmpp_2m(model, torch.from_numpy(X), torch.from_numpy(sigmas), disable=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    plain = sample(numpy_model, X, sigmas, SonarConfig(sampler="euler", momentum=1.0))
    assert np.abs(ours - plain).max() > 1e-3


@pytest.mark.parametrize("ends_at_zero", [False, True])
def test_half_ahead_of_the_last_answer_is_dpmpp_2m_sde_on_equal_steps(ends_at_zero):
    sigmas = np.append(EQUAL, 0.0) if ends_at_zero else EQUAL
    noise = Draws(5, X.shape, np.float64)
    ours = sample(numpy_model, X, sigmas, lead("euler_a", momentum=0.5, momentum_hist=0.0, lead_guard=0.0), noise=noise)
    again = Draws(5, X.shape, np.float64)
    theirs = k_sampling.sample_dpmpp_2m_sde(
        model,
        torch.from_numpy(X),
        torch.from_numpy(sigmas),
        disable=True,
        eta=1.0,
        s_noise=1.0,
        noise_sampler=lambda *span: torch.from_numpy(again(*(float(sigma) for sigma in span))),
    )
    assert noise.asked == again.asked
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


@EACH
def test_the_history_is_an_average_of_the_answers(sampler):
    k = 0.6
    answers, states, _ = walk(lead(sampler, momentum=0.7, momentum_hist=k), EQUAL)
    for step, (_, history, _) in enumerate(states):
        weights = [k**step] + [(1 - k) * k ** (step - i) for i in range(1, step + 1)]
        assert math.isclose(sum(weights), 1)
        expected = sum(weight * answer for weight, answer in zip(weights, answers, strict=False))
        np.testing.assert_allclose(history, expected, rtol=1e-12, atol=1e-12)


@EACH
def test_a_step_goes_along_the_derivative_of_what_is_ahead(sampler):
    answers, states, _ = walk(lead(sampler, momentum=0.7, momentum_hist=0.5, lead_guard=0.0), np.append(EQUAL, 0.0))
    older = [None, *(history for _, history, _ in states)]
    for step, (x, _, derivative) in enumerate(states):
        # Without a guard neither the first step nor the one to sigma 0 leads.
        e = 0.3 * (answers[step] - older[step]) if 0 < step < len(EQUAL) - 1 else 0.0
        np.testing.assert_allclose(derivative, (x - answers[step] - e) / EQUAL[step], rtol=1e-10, atol=1e-10)


def share(size=0.1, rest=0.5, turn=0.0, guard=0.25, sigma=2.0, **options):
    """What part of its change is added to an answer that is made for it, with p = 0.6.

    The answer's deviation is 1 and its change `size`, both in root mean squares; what it takes off the latent is `rest`
    times what is to be expected, `turn` times the change and the rest of it at a right angle to that.
    """
    answer, change, other = np.linalg.qr(np.vstack([np.ones(256), np.random.default_rng(3).normal(size=(3, 256))]).T)[
        0
    ].T[1:]
    answer, change, other = answer * 255**0.5, change * size * 16, other * 16
    off = rest * math.hypot(sigma, 1 / 2.5)
    x = answer + turn * change + math.sqrt(off**2 - (turn * size) ** 2) * other
    config = lead(momentum=0.4, momentum_hist=0.0, lead_guard=guard, **options)
    shape = 1, 4, 8, 8
    stepper = Stepper(config, [sigma, sigma / 2], x.reshape(shape), history=(answer - change).reshape(shape))
    reply(stepper, answer.reshape(shape))
    e = x - answer - sigma * stepper.momentum_d.ravel()
    found = e @ change / (change @ change)
    np.testing.assert_allclose(e, found * change, atol=1e-9)
    return found


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({}, 0.6),
        ({"size": 1.0}, 0.25),  # by as much as a quarter of the answer's deviation, and no more
        ({"size": 10.0}, 0.025),
        ({"size": 10.0, "guard": 1.0}, 0.1),
        ({"rest": 1.0}, 0.6),
        ({"rest": 1.25}, 0.75 * 0.6),  # trust fades
        ({"rest": 1.75, "size": 1.0}, 0.25 * 0.25),
        ({"rest": 2.0}, 0.0),
        ({"rest": 2.5}, -0.3),  # a lag
        ({"rest": 50.0}, -0.6),
        ({"rest": 50.0, "size": 10.0}, -0.6),
        ({"turn": 3.0}, 0.6),
        ({"turn": -0.5}, 0.75 * 0.6),  # an answer that goes against what it takes off
        ({"turn": -9.0}, 0.5 * 0.6),
        ({"turn": -9.0, "rest": 50.0}, -0.6),
        ({"size": 10.0, "guard": 0.0}, 0.6),
        ({"rest": 50.0, "guard": 0.0}, 0.6),
    ],
)
def test_the_guard_leaves_as_much_as_is_to_be_trusted(case, expected):
    assert math.isclose(share(**case), expected, rel_tol=1e-6, abs_tol=1e-8)


def test_one_number_has_no_deviation_and_is_stepped_plainly():
    outs = [sample(numpy_model, X[:1, :1, 0, :1], EQUAL, lead(momentum=momentum)) for momentum in (0.5, 1.0)]
    same_bits(*outs)


def down(sampler, sigma, sigma_next, flow=False):
    """To which level a step goes before its noise, and the factor on the latent there."""
    if sampler != "euler_a":
        return sigma_next, 1.0
    to, _, rescale = ancestral_step(sigma, sigma_next, flow=flow)
    return to, rescale


def made_good(sampler, sigmas, p, flow=False):
    """How much of its change is added to the second answer for the first step."""
    (first, rescale), (second, _) = (down(sampler, *sigmas[step : step + 2], flow) for step in (0, 1))
    return p * rescale * (1 - first / sigmas[0]) * second / (sigmas[1] - second)


@EACH
@pytest.mark.parametrize(("flow", "sigmas"), [(False, [8.0, 3.0, 1.0]), (True, [0.9, 0.6, 0.3])])
def test_the_second_step_makes_the_first_one_that_of_both_answers_mean(sampler, flow, sigmas):
    """The first step as if with the mean of its answer and the second (trapezoid), whatever the guard trusts."""
    for guard in (1e-9, 0.25):  # one that trusts nothing, and the usual one
        config = lead(sampler, momentum=0.5, momentum_hist=0.0, lead_guard=guard, flow=flow)
        (first, second), states, _ = walk(config, sigmas, X / X.std() * sigmas[0])
        after, _, derivative = states[1]
        (to, rescale), (on, _) = (down(sampler, *sigmas[step : step + 2], flow) for step in (0, 1))
        change = second - first
        corrected = after + rescale * (1 - to / sigmas[0]) * change / 2
        ahead = after - sigmas[1] * derivative - second
        share = (ahead * change).sum((1, 2, 3), keepdims=True) / np.square(change).sum((1, 2, 3), keepdims=True)
        trusted = share - made_good(sampler, sigmas, 0.5, flow)
        target = second + trusted * change
        moved = target + (corrected - target) * on / sigmas[1]
        np.testing.assert_allclose(after + derivative * (on - sigmas[1]), moved, rtol=1e-9, atol=1e-9)
        assert (np.abs(trusted) < 1e-6).all() if guard < 1e-6 else (trusted > 0.01).all()


@EACH
@pytest.mark.parametrize(
    "case", [{"lead_guard": 0.0}, {"momentum_start": 2}, {"history": latent(4, dtype=np.float64)}], ids=str
)
def test_nothing_is_made_good_without_a_guard_or_momentum_or_after_a_given_history(sampler, case):
    case = dict(case)
    config = {"momentum": 0.5, "momentum_hist": 0.0, "lead_guard": 1e-12} | case
    history = config.pop("history", None)
    answers, states, _ = walk(lead(sampler, **config), EQUAL, history=history)
    before, _, derivative = states[1]
    e = 0.5 * (answers[1] - answers[0]) if config["lead_guard"] == 0 else 0.0
    np.testing.assert_allclose(derivative, (before - answers[1] - e) / EQUAL[1], rtol=1e-9, atol=1e-9)


def answered(level):
    """What follows the square of the level, alone."""
    return 0.3 * X + 0.004 * level**2 * X[::-1]


def at_zero(sampler="euler", last=0.4, fell=1.9, **options):
    """The result of a run whose model answers so, in units of how far its last answer is from the one at 0."""
    sigmas = [last * fell**2, last * fell, last, 0.0]
    config = lead(sampler, **{"momentum": 0.5, "momentum_hist": 0.0} | options)
    noise = -0.5 * X[::-1] / X.std()  # that the answers follow
    stepper = Stepper(config, sigmas, 0.3 * X + sigmas[0] * noise)
    while not isinstance(request := stepper.request(), Done):
        stepper.feed(noise if isinstance(request, Noise) else answered(request.sigma))
    return np.abs(stepper.result - answered(0.0)).max() / np.abs(answered(last) - answered(0.0)).max()


@EACH
def test_the_step_to_zero_goes_on_in_the_square_of_the_level(sampler):
    assert at_zero(sampler) < 1e-2  # of the naive sampler its jitter is left


@pytest.mark.parametrize(
    ("case", "left"),
    [
        ({"momentum": 0.75}, 0.5),
        ({"momentum": 1.0}, 1.0),
        ({"fell": 1.1, "last": 1.0}, 1 - 0.5 * (1.1**2 - 1)),  # never further than between two other levels
        ({"lead_guard": 0.0}, 1.0),
        ({"exact_last_step": True}, 1.0),
        ({"momentum_stop": 1}, 1.0),
    ],
    ids=str,
)
def test_how_far_the_step_to_zero_goes_on(case, left):
    assert math.isclose(at_zero(**case), left, rel_tol=1e-6)


def test_a_step_to_zero_right_after_nothing_but_noise_is_plain():
    """A flow model's level 1 is infinitely far from the others."""
    config = lead(flow=True, momentum=0.5, momentum_hist=0.0)
    answers, _, out = walk(config, [1.0, 0.4, 0.0])
    np.testing.assert_allclose(out, answers[1], rtol=1e-9, atol=1e-9)


def test_a_copy_made_in_the_second_step_makes_good_what_the_run_does():
    for history in (None, latent(4, dtype=np.float64)):
        stepper = Stepper(lead(momentum=0.5), EQUAL, X, history=history)
        reply(stepper, numpy_model(X, EQUAL[0]))
        copied = pickle.loads(pickle.dumps(stepper))
        for one in (stepper, copied):
            reply(one, numpy_model(one.x, EQUAL[1]))
        same_bits(copied.x, stepper.x)


@EACH
@pytest.mark.parametrize("guard", [0.001, 0.05, 0.25, 2.0])
def test_a_run_is_never_further_ahead_than_the_guard_allows_per_image(sampler, guard):
    sigmas = np.geomspace(14.6, 0.05, 16)
    x = X * np.array([1.0, 0.001]).reshape(2, 1, 1, 1)
    answers, states, _ = walk(lead(sampler, momentum=0.2, momentum_hist=0.5, lead_guard=guard), sigmas, x)
    older, acted = [None, *(history for _, history, _ in states)], set()
    for step, (before, _, derivative) in enumerate(states[1:], 1):
        e = before - sigmas[step] * derivative - answers[step]
        change = answers[step] - older[step]
        for image in range(2):
            found = (e[image] * change[image]).sum() / np.square(change[image]).sum()
            size, limit = math.sqrt(np.square(change[image]).mean()), guard * answers[step][image].std(ddof=1)
            if step == 1:
                found -= made_good(sampler, sigmas, 0.8)
            assert -0.8 * (1 + 1e-6) <= found <= min(0.8, limit / size) * (1 + 1e-6)
            acted.add(0 < found < 0.79)
    assert True in acted


def test_a_flow_model_is_led_as_the_same_model_without_flow():
    """x_flow = (1 - v) x with v = sigma / (1 + sigma): the same images, the same answers, the same step of Euler's."""

    def guided(x, sigma):  # so strongly that the guard acts
        return 3 * numpy_model(x, sigma)

    v = EQUAL / (1 + EQUAL)
    config = {"momentum": 0.5, "momentum_hist": 0.25}
    ours = sample(guided, X, EQUAL, lead(**config))
    plain = sample(guided, X, EQUAL, lead(**config, lead_guard=0.0))
    flow = sample(
        lambda x, level: guided(x / (1 - level), level / (1 - level)), X * (1 - v[0]), v, lead(flow=True, **config)
    )
    np.testing.assert_allclose(flow / (1 - v[-1]), ours, rtol=1e-9, atol=1e-9)
    assert np.abs(ours - plain).max() > 1e-3


def test_a_flow_model_may_begin_with_nothing_but_noise():
    """At sigma 1 nothing of the image is in what the model sees."""
    history = latent(4, dtype=np.float64)
    stepper = Stepper(lead(flow=True, momentum=0.5), [1.0, 0.5], X, history=history)
    reply(stepper, 0.1 * X)
    assert np.isfinite(stepper.momentum_d).all()
    assert np.abs(stepper.momentum_d - 0.9 * X).max() > 1e-3


@EACH
def test_a_given_history_is_a_denoised_latent(sampler):
    history = latent(4, dtype=np.float64, scale=1.0)
    config = lead(sampler, momentum=0.6, momentum_hist=0.25, lead_guard=0.0)
    answers, states, _ = walk(config, EQUAL, history=history)
    before, after, derivative = states[0]
    e = 0.4 * (answers[0] - history)
    np.testing.assert_allclose(derivative, (before - answers[0] - e) / EQUAL[0], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(after, 0.25 * history + 0.75 * answers[0], rtol=1e-12)
    assert Stepper(config, EQUAL, X).history is None
    same_bits(Stepper(config, EQUAL, X, history=history).history, history)


@EACH
def test_the_history_is_kept_outside_of_the_range_too(sampler):
    """So that the first step with momentum has something to lead."""
    config = lead(sampler, momentum=0.5, momentum_hist=0.0, lead_guard=0.0, momentum_start=3, momentum_stop=4)
    answers, states, _ = walk(config, EQUAL)
    for step, (before, history, derivative) in enumerate(states):
        same_bits(history, answers[step])
        e = 0.5 * (answers[step] - answers[step - 1]) if step in (3, 4) else 0.0
        np.testing.assert_allclose(derivative, (before - answers[step] - e) / EQUAL[step], rtol=1e-10, atol=1e-10)


@EACH
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_it_runs_in_lower_precisions(sampler, dtype):
    x = latent(dtype=dtype)
    out = sample(denoise, x, karras(6), lead(sampler, momentum=0.5, momentum_hist=0.0))
    assert out.dtype == dtype
    wide = sample(denoise, x.astype(np.float64), karras(6), lead(sampler, momentum=0.5, momentum_hist=0.0))
    if sampler != "euler_a":  # its noise is of the same seeds
        np.testing.assert_allclose(out, wide, rtol=0.02, atol=0.02)
    np.testing.assert_allclose(out.astype(np.float64).std(), wide.std(), rtol=0.1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@EACH
def test_the_torch_functions_lead_too(sampler, dtype):
    x = torch.from_numpy(latent()).to(dtype)
    sigmas = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.0])
    outs = [
        sample_function(sampler)(
            lambda x, s: (x * 0.5).tanh(), x, sigmas, disable=True, seed=0, momentum=0.5, momentum_mode=mode
        )
        for mode in ("lead", "classic")
    ]
    assert outs[0].dtype == dtype
    assert not torch.equal(*outs)


@pytest.mark.parametrize("sampler", sorted({*SAMPLERS} - {*LEADING}))
def test_solvers_of_higher_order_refuse_it_with_a_reason(sampler):
    reason = f"^momentum_mode = lead: must be classic with sampler = {sampler}: .* second order"
    with pytest.raises(ConfigError, match=reason):
        lead(sampler)


@EACH
@pytest.mark.parametrize(("sign", "told"), [("neg", "neg"), ("rand", "rand"), (["pos", "neg"], "pos, neg")])
def test_it_has_no_sign(sampler, sign, told):
    with pytest.raises(ConfigError, match=f"^momentum_sign = {told}: must be pos with momentum_mode = lead"):
        lead(sampler, momentum_sign=sign)


@EACH
@pytest.mark.parametrize("init", ["rand_init", "rand_new"])
def test_its_history_begins_with_an_answer(sampler, init):
    with pytest.raises(ConfigError, match=r"^momentum_hist_init = .*momentum_mode = lead"):
        lead(sampler, momentum_hist_init=init)


def test_a_history_given_to_a_stepper_goes_on_where_another_run_ended():
    config = lead(momentum=0.5, momentum_hist=0.3)
    whole = sample(numpy_model, X, EQUAL, config)
    first = Stepper(config, EQUAL[:4], X)
    while not isinstance(request := first.request(), Done):
        first.feed(numpy_model(request.x, request.sigma))
    rest = sample(numpy_model, first.result, EQUAL[3:], config, history=first.history)
    same_bits(rest, whole)
    second = Stepper(config, EQUAL[3:], first.result, history=first.history)
    reply(second, numpy_model(first.result, EQUAL[3]))
    assert second.step == 1
