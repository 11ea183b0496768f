"""Anything that a torch host can answer: the bits of the plain answer, or an error of Sonar's own."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runs import cases
from sonar_sampler import SonarConfig, SonarError
from sonar_sampler.torch import sample_function


class Mine(torch.Tensor):
    """A host's own kind of tensor."""


class Liar:
    """No tensor, whatever it says."""

    dtype = torch.float32

    def numpy(self):
        return [1.0]


def strided(tensor):
    wide = torch.zeros(*tensor.shape[:-1], 2 * tensor.shape[-1], dtype=tensor.dtype)
    wide[..., ::2] = tensor
    return wide[..., ::2]


# Each keeps the numbers.
RIGHT = {
    "plain": lambda tensor: tensor,
    "clone": torch.clone,
    "double": torch.Tensor.double,
    "strided": strided,
    "transposed": lambda tensor: tensor.transpose(0, -1).contiguous().transpose(0, -1),
    "with a gradient": lambda tensor: tensor.clone().requires_grad_(),
    "of a graph": lambda tensor: tensor.clone().requires_grad_() * 1,
    "parameter": lambda tensor: torch.nn.Parameter(tensor.clone()),
    "negated twice": lambda tensor: torch._neg_view(-tensor),
    "of inference": lambda tensor: torch.inference_mode()(torch.clone)(tensor),
    "subclass": lambda tensor: tensor.as_subclass(Mine),
}
WRONG = {
    "none": lambda _: None,
    "array": lambda tensor: tensor.numpy(),
    "list": lambda tensor: tensor.tolist(),
    "number": lambda _: 1.0,
    "liar": lambda _: Liar(),
    "ints": torch.Tensor.long,
    "bools": torch.Tensor.bool,
    "complex": lambda tensor: torch.complex(tensor, tensor),
    "one number": lambda tensor: tensor.sum(),
    "flat": lambda tensor: tensor.reshape(-1, 1, 1),
    "wider": lambda tensor: torch.cat([tensor, tensor], -1),
    "empty": lambda tensor: tensor[:0],
    "nan": lambda tensor: tensor * torch.nan,
    "infinite": lambda tensor: tensor + torch.inf,
}

runs = cases(dtypes=(np.float32, np.float64))
forms = st.lists(st.sampled_from(sorted(RIGHT)), min_size=1, max_size=6)


def run(case, answer, noise=None):
    """The result, with `answer(step, denoised)` for what the model computes and `noise(draw, noise)` for the host's."""
    x, sigmas, config, reference, history = case
    steps, draws = iter(range(99)), iter(range(99))

    def model(x, sigma):
        return answer(next(steps), x.detach() * 0.5)

    def noise_sampler(*_):
        draw = next(draws)
        generator = torch.Generator().manual_seed(draw)
        return noise(draw, torch.randn(x.shape, generator=generator, dtype=torch.float64).to(torch.from_numpy(x).dtype))

    return sample_function(config.sampler)(
        model,
        torch.from_numpy(x),
        torch.tensor(sigmas, dtype=torch.float64),
        disable=True,
        config=config,
        noise_sampler=noise_sampler if noise else None,
        reference=None if reference is None else torch.from_numpy(reference),
        history=None if history is None else torch.from_numpy(history),
    )


def outcome(call):
    """What a call answers, or the class of Sonar's error."""
    try:
        return call()
    except SonarError as error:
        return type(error)


@given(runs, forms, forms)
def test_the_form_of_answers_and_noise_changes_no_bit(case, answers, noises):
    def formed(names):
        return lambda k, tensor: RIGHT[names[k % len(names)]](tensor)

    plain = outcome(lambda: run(case, formed(["plain"]), formed(["plain"])))
    other = outcome(lambda: run(case, formed(answers), formed(noises)))
    if isinstance(plain, torch.Tensor):
        assert torch.equal(other, plain)
    else:
        assert other is plain


@given(runs, st.data())
def test_an_answer_or_noise_of_no_use_is_an_error_of_ours(case, data):
    steps = len(case[1]) - 1
    at, wrong = data.draw(st.integers(0, 5)), data.draw(st.sampled_from(sorted(WRONG)))
    spoils_noise = data.draw(st.booleans())
    spoilt = []

    def answer(step, tensor):
        if step == at and not spoils_noise:
            spoilt.append(step)
            return WRONG[wrong](tensor)
        return tensor

    def noise(draw, tensor):
        if draw == at and spoils_noise:
            spoilt.append(draw)
            return WRONG[wrong](tensor)
        return tensor

    before = case[0].copy()
    ended = outcome(lambda: run(case, answer, noise))
    if isinstance(ended, torch.Tensor):
        # A shape of one number, in which flat is no other shape, or numbers that count for nothing.
        assert not spoilt or wrong in ("flat", "nan", "infinite", "one number"), f"{wrong} at {at} of {steps}"
        assert ended.isfinite().all()
    np.testing.assert_array_equal(case[0], before)


CASE = (np.full((2, 3, 4, 4), 9.0, np.float32), [9.0, 3.0, 1.0, 0.0], SonarConfig(), None, None)
BOTH = pytest.mark.parametrize("where", ["answer", "noise"])


def once(form, where, kind):
    return lambda k, tensor: form(tensor) if kind == where and k == 1 else tensor


@BOTH
@pytest.mark.parametrize("form", RIGHT)
def test_every_right_form_is_taken(where, form):
    plain = run(CASE, lambda _, tensor: tensor, lambda _, tensor: tensor)
    other = run(CASE, once(RIGHT[form], where, "answer"), once(RIGHT[form], where, "noise"))
    assert torch.equal(other, plain)


@BOTH
@pytest.mark.parametrize("form", WRONG)
def test_every_wrong_form_is_refused(where, form):
    with pytest.raises(SonarError):
        run(CASE, once(WRONG[form], where, "answer"), once(WRONG[form], where, "noise"))
