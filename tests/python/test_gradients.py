"""Optimisation of condition and latent: it goes downhill, on copies of its own, and off it is not there."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from runs import karras
from sonar_sampler import ConfigError, SonarConfig, UnknownOptionError, sample
from sonar_sampler.descent import descend
from sonar_sampler.gradients import Gradients, GradientWarning
from sonar_sampler.torch import sample_sonar_euler, sample_sonar_euler_a, sample_sonar_lead

SIGMAS = torch.tensor(karras(5), dtype=torch.float32)


class Network(torch.nn.Module):
    """A small denoiser whose answer depends on a condition (batch, 3, 5)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.body = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(8, 4, 1))
        self.told = torch.nn.Linear(15, 8)

    def forward(self, x, sigma, cond=None):
        level = sigma.reshape(-1, 1, 1, 1)
        hidden = self.body[0](x / (1 + level**2).sqrt()) + self.told(cond.flatten(1))[:, :, None, None]
        return x / (1 + level**2) + level / (1 + level**2).sqrt() * self.body[2](self.body[1](hidden))


def start(batch=2):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(batch, 4, 8, 8, generator=generator) * SIGMAS[0], torch.randn(batch, 3, 5, generator=generator)


def run(gradients, batch=2, function=sample_sonar_euler_a, model=None, **options):
    x, cond = start(batch)
    with torch.no_grad():
        options = {"seed": 7, "disable": True, "extra_args": {"cond": cond}, **options}
        return function(model or Network(), x, SIGMAS, gradients=gradients, **options)


@pytest.mark.parametrize("function", [sample_sonar_euler, sample_sonar_euler_a, sample_sonar_lead])
def test_off_it_changes_no_bit(function):
    assert run(Gradients(), function=function).equal(run(None, function=function))


@pytest.mark.parametrize("rule", ["norm", "sign"])
@pytest.mark.parametrize("function", [sample_sonar_euler_a, sample_sonar_lead])
def test_the_loss_falls_at_every_iteration(function, rule):
    told = []
    alphas = {"grad_c_alpha": 0.003, "grad_x_alpha": 0.003}
    gradients = Gradients(grad_c_iter=6, grad_c_skip=1, grad_x_iter=6, grad_rule=rule, told=told.append, **alphas)
    out = run(gradients, function=function)
    assert [descent.step for descent in told] == [1, 2, 3, 4, None]
    for descent in told:
        losses = descent.losses
        assert losses.shape == (2, 7)
        assert (losses[:, 1:] < losses[:, :-1]).all(), losses
        assert all(after < before for before, after in zip(descent.before, descent.after, strict=True))
    assert not out.equal(run(None, function=function))


def test_on_a_linear_denoiser_it_is_the_closed_form():
    """D(x; c) = a x + c: over both signs it is a^2 mean eps^2 + mean((a - 1) x + c)^2 / s^2, whose slope is known."""
    a, sigma, alpha = 0.7, 0.5, 0.05
    x, told = torch.randn(2, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), []
    cond = torch.full((2, 1, 1, 1), 0.3, dtype=torch.float64)

    def linear(latent, _sigma, cond):
        return a * latent + cond

    out = sample_sonar_euler(
        linear, x, torch.tensor([]).new_tensor([1.0]).double(), extra_args={"cond": cond}, disable=True,
        gradients=Gradients(grad_x_iter=1, grad_x_alpha=alpha, grad_x_sigma=sigma, told=told.append),
    )  # fmt: skip
    off = (a - 1) * x + cond
    slope = off / off.square().mean((1, 2, 3), keepdim=True).sqrt()
    expected = x + alpha * x.square().mean((1, 2, 3), keepdim=True).sqrt() * slope  # a - 1 is negative
    torch.testing.assert_close(out, expected)
    noise = a**2 * torch.tensor([1.0, 1.0])
    torch.testing.assert_close(
        torch.tensor(told[0].before), noise + off.square().mean((1, 2, 3)).float() / sigma**2, rtol=0.2, atol=0.2
    )


@given(st.integers(0, 1000))
def test_the_gradient_is_that_of_finite_differences(seed):
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(1, 6, dtype=torch.float64, generator=generator)
    weights = torch.randn(6, 6, dtype=torch.float64, generator=generator)

    def loss(value):
        return torch.tanh(value @ weights).square().mean(1)

    alpha, small = 1e-7, 1e-6
    stepped = descend(loss, start, 1, alpha, "norm", None).best - start
    slopes = torch.stack(
        [(loss(start + small * unit) - loss(start - small * unit)) / (2 * small) for unit in torch.eye(6).double()], 1
    )
    expected = -alpha * start.square().mean().sqrt() * slopes / slopes.square().mean().sqrt()
    # Past the bottom of a flat valley it keeps the start.
    if loss(start + expected) < loss(start):
        torch.testing.assert_close(stepped, expected, rtol=1e-3, atol=1e-11)


def test_an_image_whose_loss_rises_stops_and_keeps_its_best():
    start = torch.tensor([[1.0, 1.0], [100.0, 100.0]])
    found = descend(lambda value: value.square().mean(1), start, 8, 0.9, "sign", None)
    torch.testing.assert_close(found.best[0], torch.tensor([0.1, 0.1]))
    torch.testing.assert_close(found.best[1], torch.tensor([92.8, 92.8]))
    assert found.after == pytest.approx([0.01, 92.8**2])
    assert torch.isnan(found.losses[0, 3:]).all() and not torch.isnan(found.losses[1]).any()


def test_where_there_is_no_slope_nothing_moves():
    start = torch.ones(2, 3)
    assert descend(lambda value: value.sum(1) * 0 + 1, start, 3, 0.5, "norm", None).best.equal(start)


def test_in_float16_a_slope_that_a_mean_would_lose_is_found():
    start = torch.full((1, 4, 128, 128), 0.2005, dtype=torch.float16)
    found = descend(lambda value: (value - 0.2).square().flatten(1).float().mean(1), start, 2, 0.001, "norm", None)
    assert found.after[0] < 0.5 * found.before[0]
    assert found.best.dtype is torch.float16


def test_a_batch_is_its_images():
    gradients = Gradients(grad_c_iter=2, grad_x_iter=2)
    batch = run(gradients)
    x, cond = start()
    for k in range(2):
        one = slice(k, k + 1)
        with torch.no_grad():
            alone = sample_sonar_euler_a(
                Network(), x[one], SIGMAS, {"cond": cond[one]}, disable=True, seed=7 + k, gradients=gradients
            )
        torch.testing.assert_close(alone, batch[one], rtol=1e-5, atol=1e-5)


def test_nothing_of_the_callers_changes_and_the_next_run_is_the_same():
    x, cond = start()
    network, args = Network(), {"cond": cond, "else": None}
    before, gradients = cond.clone(), Gradients(grad_c_iter=3, grad_x_iter=3)

    def model(x, sigma, cond, **_):
        return network(x, sigma, cond=cond)

    with torch.no_grad():
        runs = [sample_sonar_euler_a(model, x, SIGMAS, args, disable=True, seed=7, gradients=gradients) for _ in "ab"]
    assert runs[0].equal(runs[1])
    assert args["cond"] is cond
    assert cond.equal(before)
    assert all(weight.grad is None for weight in network.parameters())
    assert not runs[0].requires_grad


def test_the_conditional_branch_may_be_another_model():
    network, calls = Network(), []

    def conditional(x, sigma, cond):
        calls.append(len(x))
        return network(x, sigma, cond=cond)

    run(Gradients(grad_c_iter=2, model=conditional), model=network)
    assert len(calls) == 5 * 2 * 3


def test_in_inference_mode_it_works_where_the_weights_are_none_of_it():
    x, cond = start()
    network, told = Network(), []
    with torch.inference_mode():
        gradients = Gradients(grad_c_iter=2, told=told.append)
        x, cond = x + 0, cond + 0  # made here, as everything of such a host is
        sample_sonar_euler(network, x, SIGMAS, {"cond": cond}, disable=True, seed=7, gradients=gradients)
    assert len(told) == 5
    assert all(descent.after < descent.before for descent in told)


@pytest.mark.parametrize("reason", ["quantised", "memory", "inference"])
def test_a_model_that_cannot_is_one_word_and_the_run_goes_on_plain(reason):
    network = Network()
    if reason == "inference":
        with torch.inference_mode():
            network = Network()

    def model(x, sigma, cond):
        answer = network(x, sigma, cond=cond)
        if reason == "quantised":
            return answer.detach()
        if reason == "memory" and torch.is_grad_enabled():
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return answer

    with pytest.warns(GradientWarning, match="cannot be gone back through.*the run goes on") as caught:
        out = run(Gradients(grad_c_iter=2, grad_x_iter=2), model=model)
    assert len(caught) == 1
    assert out.equal(run(None, model=model))


def test_an_interrupt_passes_between_iterations():
    network, calls = Network(), []

    def model(x, sigma, cond):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return network(x, sigma, cond=cond)

    with pytest.raises(KeyboardInterrupt):
        run(Gradients(grad_c_iter=50), model=model)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"grad_c_iter": 101}, "grad_c_iter = 101: must be a whole number from 0 to 100"),
        ({"grad_x_iter": -1}, "grad_x_iter = -1"),
        ({"grad_x_iter": True}, "grad_x_iter = True"),
        ({"grad_c_skip": 1.5}, "grad_c_skip = 1.5"),
        ({"grad_c_alpha": -0.1}, "grad_c_alpha = -0.1: must be a finite number above 0"),
        ({"grad_x_alpha": float("nan")}, "grad_x_alpha = nan"),
        ({"grad_x_sigma": 0}, "grad_x_sigma = 0"),
        ({"grad_rule": "adam"}, "grad_rule = 'adam': must be one of norm, sign"),
        ({"told": 3}, "told = 3: must be callable"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        Gradients(**options)


def test_conditions_that_there_are_not_are_refused():
    for condition, text in (("cont", r"extra_args\['cont'\] is None"), ("cond", r"has shape \[1, 3, 5\]")):
        cond = {"extra_args": {"cond": start(1)[1]}} if condition == "cond" else {}
        with pytest.raises(ConfigError, match=text):
            run(Gradients(condition=condition, grad_c_iter=1), **cond)
    with pytest.raises(ConfigError, match="gradients = 3: must be a Gradients"):
        run(3)


def test_a_numpy_model_has_no_gradient():
    with pytest.raises(TypeError, match="gradients"):
        sample(lambda x, _: x, np.zeros((1, 1, 2, 2)), [1.0, 0.0], gradients=Gradients(grad_x_iter=1))
    with pytest.raises(UnknownOptionError, match=r"grad_x_iter = 1: is an option of.*a numpy model has no gradient"):
        SonarConfig(grad_x_iter=1)


def test_nothing_is_warned_of_where_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(Gradients(grad_c_iter=1, grad_x_iter=1))


def test_the_guides_example_runs(capsys):
    guide = (Path(__file__).parents[2] / "docs" / "gradients.md").read_text()
    exec(compile(re.search(r"```python\n(.*?)```", guide, re.S)[1], "gradients.md", "exec"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["0", "1", "2", "3", "None"]
