"""Momentum 1 switches the mechanism off: every solver has the bits of the real k-diffusion's function."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import k_sampling
from runs import SAMPLERS, karras, latent, schedules
from sonar_sampler import SonarConfig
from sonar_sampler.registry import SOLVERS
from sonar_sampler.torch import BrownianNoise, sample_function, sample_sonar_naive

k_sampling = k_sampling.load()
THEIRS = {
    name: getattr(k_sampling, "sample_euler_ancestral" if name == "euler_a" else f"sample_{name}")
    for name in SAMPLERS
    if name != "naive"
}
PLAIN = SonarConfig(momentum=1.0, momentum_sign="neg", momentum_hist=0.1, momentum_hist_init="rand_init")
EACH = pytest.mark.parametrize("name", THEIRS)
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
OPTIONS = [
    {"eta": 0.0},
    {"eta": 0.5, "s_noise": 1.01},
    {"eta": 2.0},
    {"s_noise": 0.9},
    {"s_churn": 3.0},
    {"s_churn": 40.0, "s_noise": 1.007, "s_tmin": 0.1, "s_tmax": 9.0},
]


def takes(name, options):
    return set(options) <= set(SOLVERS[name].options)


CASES = [(name, options) for name in THEIRS for options in [{}, *OPTIONS] if takes(name, options)]
EACH_CASE = pytest.mark.parametrize(("name", "options"), CASES, ids=[f"{name}-{options}" for name, options in CASES])


def model(x, sigma, **kwargs):
    kept = 0.49 / (0.49 + sigma**2)
    return x * kept.reshape(-1, *[1] * (x.ndim - 1)) + 0.2


def tensors(dtype, steps=7, shape=(2, 4, 8, 8)):
    return torch.from_numpy(latent(3, shape)).to(dtype), torch.tensor(karras(steps), dtype=torch.float32).to(dtype)


# torchsde warns of levels that are off by a rounding.
pytestmark = pytest.mark.filterwarnings("ignore:Should have t:UserWarning:torchsde")


def after(sampler, *args, seed_of_torch=5, **kwargs):
    """The result, and where the run leaves torch's generator."""
    torch.manual_seed(seed_of_torch)
    out = sampler(model, *args, disable=True, **kwargs)
    return out, torch.rand(4)


def same(ours, theirs):
    assert ours[0].dtype == theirs[0].dtype
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


@DTYPES
@EACH_CASE
@pytest.mark.parametrize("ends_at_zero", [True, False])
def test_it_is_k_diffusions_on_its_own_default_noise(name, options, dtype, ends_at_zero):
    """Each draws from torch's generator, in the same order and as often."""
    x, sigmas = tensors(dtype)
    sigmas = sigmas if ends_at_zero else sigmas[:-1]
    before = x.clone()
    ours = after(sample_function(name), x, sigmas, config=PLAIN, **options)
    same(ours, after(THEIRS[name], x, sigmas, **options))
    assert torch.equal(x, before)


class Draws:
    """A host's noise sampler, which notes the intervals it is asked for."""

    def __init__(self, x):
        self.like, self.asked = x, []

    def __call__(self, sigma, sigma_next):
        self.asked.append((sigma.dtype, sigma.ndim, float(sigma), float(sigma_next)))
        return torch.randn_like(self.like)


@DTYPES
@pytest.mark.parametrize(
    ("name", "options"), [case for case in CASES if SOLVERS[case[0]].noise in ("independent", "brownian")]
)
def test_it_is_k_diffusions_on_a_given_noise_sampler_and_asks_it_for_the_same_intervals(name, options, dtype):
    x, sigmas = tensors(dtype)
    noises = [Draws(x) for _ in range(2)]
    ours = after(sample_function(name), x, sigmas, config=PLAIN, noise_sampler=noises[0], **options)
    same(ours, after(THEIRS[name], x, sigmas, noise_sampler=noises[1], **options))
    assert noises[0].asked == noises[1].asked
    # DPM++ 2M SDE alone does not draw what counts for nothing.
    assert bool(noises[0].asked) == (name != "dpmpp_2m_sde" or options.get("eta") != 0)


@DTYPES
@pytest.mark.parametrize("name", ["dpmpp_2m_sde", "dpmpp_sde"])
@pytest.mark.parametrize("seed", [7, [7, 8]])
def test_it_is_k_diffusions_on_its_brownian_tree(name, seed, dtype):
    """As webuis give one, with a seed for each image."""
    x, sigmas = tensors(dtype)
    outs = []
    for function, options in ((sample_function(name), {"config": PLAIN}), (THEIRS[name], {})):
        tree = k_sampling.BrownianTreeNoiseSampler(x, sigmas[sigmas > 0].min(), sigmas.max(), seed=seed)
        outs.append(after(function, x, sigmas, noise_sampler=tree, **options))
    same(*outs)


@DTYPES
def test_the_brownian_noise_is_k_diffusions(dtype):
    x, sigmas = tensors(dtype)
    noises = []
    for kind in (BrownianNoise, k_sampling.BrownianTreeNoiseSampler):
        torch.manual_seed(3)
        noise = kind(x, sigmas[-2], sigmas[0])
        noises.append([noise(*pair) for pair in ((sigmas[0], sigmas[2]), (sigmas[4], sigmas[2]), sigmas[3:5])])
    for ours, theirs in zip(*noises, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["euler", "heun"])
@DTYPES
def test_churn_is_k_diffusions_on_draws_of_a_given_noise_sampler(name, dtype):
    """k-diffusion draws in every step, used or not; a given noise sampler is asked only where there is churn."""
    churn = {"s_churn": 40.0, "s_noise": 1.007, "s_tmax": 9.0}
    x, sigmas = tensors(dtype)
    theirs, _ = after(THEIRS[name], x, sigmas, **churn)
    torch.manual_seed(5)
    draws = {float(sigma): torch.randn_like(x) for sigma in sigmas[:-1]}
    asked = []

    def noise_sampler(sigma, sigma_next):
        asked.append(float(sigma))
        return draws[float(sigma)]

    ours, _ = after(sample_function(name), x, sigmas, config=PLAIN, noise_sampler=noise_sampler, **churn)
    assert torch.equal(ours, theirs)
    assert asked == [float(sigma) for sigma in sigmas[:-1] if sigma <= 9]


@EACH
def test_the_model_and_the_callback_are_told_what_k_diffusion_tells_them(name):
    x, sigmas = tensors(torch.float32, shape=(2, 1, 4, 4))
    outs = []
    for function, options in ((sample_function(name), {"config": PLAIN}), (THEIRS[name], {})):
        told = []

        def watched(x, sigma, told=told, **extra):
            told.append(("model", x.clone(), sigma.clone(), extra))
            return model(x, sigma)

        def callback(state, told=told):
            told.append(("callback", *(torch.as_tensor(state[key]).clone() for key in sorted(state))))
            assert {value.ndim for key, value in state.items() if key in ("sigma", "sigma_hat")} == {0}

        torch.manual_seed(5)
        noise = {"noise_sampler": Draws(x)} if "noise_sampler" in inspect.signature(THEIRS[name]).parameters else {}
        churn = {"s_churn": 3.0} if "s_churn" in SOLVERS[name].options else {}
        extra = {"cond": 1}
        function(watched, x, sigmas, extra_args=extra, callback=callback, disable=True, **noise, **churn, **options)
        outs.append(told)
    for ours, theirs in zip(*outs, strict=True):
        assert len(ours) == len(theirs)
        for left, right in zip(ours, theirs, strict=True):
            assert torch.equal(left, right) if isinstance(left, torch.Tensor) else left == right


@DTYPES
@EACH
@settings(max_examples=25)
@given(data=st.data())
def test_any_schedule_has_k_diffusions_bits(name, dtype, data):
    values = data.draw(schedules(name))
    x, sigmas = torch.from_numpy(latent(3, (1, 2, 3, 3))).to(dtype), torch.tensor(values, dtype=dtype)
    if name == "dpmpp_2m_sde" and values[1:] == [0.0]:
        return  # there k-diffusion's function ends with an UnboundLocalError
    noise = {"noise_sampler": lambda *_: torch.randn_like(x)} if SOLVERS[name].noise == "brownian" else {}
    options = {} if SOLVERS[name].options[:1] != ("s_churn",) else {"s_churn": data.draw(st.floats(0, 5))}
    ours = after(sample_function(name), x, sigmas, config=PLAIN, **noise, **options)
    same(ours, after(THEIRS[name], x, sigmas, **noise, **options))


@DTYPES
def test_naive_is_k_diffusions_euler_with_a_jitter(dtype):
    x, sigmas = tensors(dtype)
    ours, _ = after(sample_sonar_naive, x, sigmas, config=PLAIN, noise_sampler=lambda *_: torch.randn_like(x))
    torch.manual_seed(5)
    jitters = [torch.randn_like(x) for _ in sigmas[:-1]]
    theirs = x
    for i, jitter in enumerate(jitters):
        theirs = k_sampling.sample_euler(model, theirs, sigmas[i : i + 2], disable=True) + jitter * 1e-5
    assert torch.equal(ours, theirs)


@EACH
@pytest.mark.parametrize("random", [{"momentum_sign": "rand"}, {"momentum_hist_init": "rand_new"}])
def test_what_is_private_takes_one_key_from_torchs_generator_and_only_if_it_is_used(name, random):
    x, sigmas = tensors(torch.float32, shape=(2, 1, 4, 4))

    def run(momentum, seed_of_torch=5, **options):
        return after(sample_function(name), x, sigmas, momentum=momentum, seed_of_torch=seed_of_torch, **options)

    same(run(1.0, **random), run(1.0))
    used = run(0.5, **random)
    assert not torch.equal(used[1], run(1.0)[1])
    same(run(0.5, **random), used)
    noise = {"noise_sampler": lambda *_: torch.zeros_like(x)}
    # With a noise sampler the config's own seed is used, and the generator left alone.
    assert torch.equal(run(0.5, **random, **noise)[1], run(1.0, **noise)[1])
    # Without one, what is private changes with torch's seed alone.
    if SOLVERS[name].noise in ("none", "churn"):
        assert not torch.equal(run(0.5, seed_of_torch=6, **random)[0], used[0])


@EACH
def test_a_seed_has_its_own_streams_and_leaves_torchs_generator_alone(name):
    x, sigmas = tensors(torch.float32, shape=(2, 1, 4, 4))
    torch.manual_seed(5)
    untouched = torch.rand(4)
    ours = after(sample_function(name), x, sigmas, seed=7, momentum_sign="rand", momentum_hist_init="rand_new")
    assert torch.equal(ours[1], untouched)
    one = after(sample_function(name), x[1:], sigmas, seed=8, momentum_sign="rand", momentum_hist_init="rand_new")
    np.testing.assert_array_equal(one[0], ours[0][1:])
