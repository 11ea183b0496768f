"""The functions of the k-diffusion shape: arguments, dtypes, memory, callbacks, errors."""

import re
import warnings

import numpy as np
import pytest
import torch

from runs import SAMPLERS as NAMES
from runs import denoise as numpy_denoise
from runs import flow_sigmas, karras, latent
from sonar_sampler import (
    ConfigError,
    DtypeError,
    LatentError,
    NumericError,
    ScheduleError,
    SonarConfig,
    UnknownOptionError,
    sample,
)
from sonar_sampler.registry import SOLVERS
from sonar_sampler.torch import sample_function, sample_sonar_euler, sample_sonar_euler_a

SAMPLERS = {name: sample_function(name) for name in NAMES}
ALL = pytest.mark.parametrize("name", SAMPLERS)
X, SIGMAS = torch.from_numpy(latent()), torch.tensor(karras(4), dtype=torch.float32)


def model(x, sigma, **kwargs):
    return torch.from_numpy(numpy_denoise(x.float().numpy(), float(sigma[0]))).to(x.dtype)


def double_model(x, sigma):
    return torch.from_numpy(numpy_denoise(x.numpy(), float(sigma[0])))


def close(ours, numpys):
    """Equal but for torch's square roots of the schedule, which on some processors differ in the last bit."""
    bound = 1e-5 if ours.dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(ours.numpy(), numpys, rtol=bound, atol=bound * np.abs(numpys).max())


@ALL
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_numpy_functions_run(name, dtype):
    x, reference, history = (torch.from_numpy(latent(seed)).to(dtype) for seed in range(3))
    config = SonarConfig(sampler=name, s_churn=1.0, ref_factor=0.1, momentum_sign="rand", seed=5)
    ours = SAMPLERS[name](double_model, x, SIGMAS, disable=True, config=config, reference=reference, history=history)
    numpys = sample(
        numpy_denoise, x.numpy(), SIGMAS.numpy(), config, reference=reference.numpy(), history=history.numpy()
    )
    assert ours.dtype == dtype
    close(ours, numpys)


@ALL
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_lower_precisions_stay_float32_between_the_steps(name, dtype):
    x, seen = X.to(dtype), []

    def half_model(x, sigma):
        seen.append((x.dtype, sigma.dtype))
        return model(x, sigma)

    def single_model(x, sigma):
        return model(x.to(dtype), sigma.to(dtype)).float()

    # Sigmas that bfloat16 holds, so that both models see the same.
    sigmas = torch.tensor([8.0, 4.0, 1.0, 0.0])
    out = SAMPLERS[name](half_model, x, sigmas, disable=True, seed=0)
    single = SAMPLERS[name](single_model, x.float(), sigmas, disable=True, seed=0)
    assert {*seen} == {(dtype, dtype)}
    assert torch.equal(out, single.to(dtype))


@ALL
def test_the_model_gets_one_sigma_per_image_and_the_extra_arguments(name):
    calls = []

    def watched(x, sigma, *, cond, scale):
        calls.append((sigma.shape, cond, scale))
        return model(x, sigma)

    SAMPLERS[name](watched, X, SIGMAS, {"cond": "c", "scale": 7}, disable=True, seed=0)
    # The step to sigma 0 is Euler's for those that call twice.
    assert calls == [(torch.Size([2]), "c", 7)] * (7 if SOLVERS[name].calls == 2 else 4)


@ALL
def test_the_callback_is_told_all_five_keys_as_k_diffusion_tells_them(name):
    told = []
    config = SonarConfig(s_churn=1.0, seed=0)
    SAMPLERS[name](
        model, X, SIGMAS, callback=lambda s: told.append({**s, "x": s["x"].clone()}), disable=True, config=config
    )
    assert [state["i"] for state in told] == [0, 1, 2, 3]
    for state, sigma in zip(told, SIGMAS[:-1], strict=True):
        assert set(state) == {"x", "i", "sigma", "sigma_hat", "denoised"}
        assert state["sigma"].ndim == state["sigma_hat"].ndim == 0
        assert state["sigma"] == sigma
        assert (state["sigma_hat"] > sigma) == (name in ("euler", "heun"))
        assert torch.equal(state["denoised"], model(state["x"], state["sigma_hat"][None]))


@ALL
@pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt(), torch.cuda.OutOfMemoryError("oom")])
@pytest.mark.parametrize("where", ["model", "callback"])
def test_an_exception_passes_unchanged(name, error, where):
    def raise_at_the_second(state):
        if state["i"] == 1:
            raise error

    def broken(x, sigma):
        if where == "model" and float(sigma[0]) < 5:
            raise error
        return model(x, sigma)

    callback = raise_at_the_second if where == "callback" else None
    with pytest.raises(BaseException) as caught:
        SAMPLERS[name](broken, X, SIGMAS, callback=callback, disable=True, seed=0)
    assert caught.value is error
    error.__traceback__ = None


def test_flow_is_an_option_of_the_config():
    sigmas = torch.tensor(flow_sigmas(4), dtype=torch.float32)
    out = sample_sonar_euler_a(model, X / 14, sigmas, disable=True, config=SonarConfig(flow=True, seed=0))
    expected = sample(numpy_denoise, (X / 14).numpy(), sigmas.numpy(), SonarConfig(flow=True))
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-6)


@ALL
def test_the_progress_bar_honours_disable(name, capsys):
    SAMPLERS[name](model, X, SIGMAS, disable=True, seed=0)
    assert capsys.readouterr().err == ""
    SAMPLERS[name](model, X, SIGMAS, disable=False, seed=0)
    assert re.search(r"4/4", capsys.readouterr().err)


@ALL
def test_inputs_are_never_modified(name):
    reference, history, noise = (torch.from_numpy(latent(seed)) for seed in (1, 2, 3))
    x, sigmas = X.clone(), SIGMAS.clone()
    before = [tensor.clone() for tensor in (x, sigmas, reference, history, noise)]
    config = SonarConfig(momentum_hist_init="rand_init", s_churn=1.0, ref_factor=0.2, seed=0)
    SAMPLERS[name](
        model,
        x,
        sigmas,
        disable=True,
        config=config,
        reference=reference,
        history=history,
        noise_sampler=lambda *_: noise,
    )
    for tensor, copy in zip((x, sigmas, reference, history, noise), before, strict=True):
        assert torch.equal(tensor, copy)


@ALL
def test_one_sigma_returns_x_and_not_its_memory(name):
    out = SAMPLERS[name](model, X, torch.tensor([3.0]), disable=True)
    assert torch.equal(out, X)
    assert out.data_ptr() != X.data_ptr()


@ALL
def test_layout_and_gradients_of_tensors_do_not_matter(name):
    plain = SAMPLERS[name](model, X, SIGMAS, disable=True, seed=0)
    last = X.contiguous(memory_format=torch.channels_last)
    assert torch.equal(SAMPLERS[name](model, last, SIGMAS, disable=True, seed=0), plain)
    learning = X.clone().requires_grad_()
    out = SAMPLERS[name](lambda x, sigma: model(x, sigma).requires_grad_(), learning, SIGMAS, disable=True, seed=0)
    assert torch.equal(out, plain)
    assert not out.requires_grad
    parts = torch.empty(2, 4, 8, 16)[..., ::2].copy_(X)
    assert torch.equal(SAMPLERS[name](model, parts, SIGMAS, disable=True, seed=0), plain)


@pytest.mark.parametrize(
    "sigmas", [karras(3), list(karras(3)), torch.tensor(karras(3))], ids=["array", "list", "tensor"]
)
def test_sigmas_are_anything_that_torch_reads_as_numbers(sigmas):
    out = sample_sonar_euler_a(model, X, sigmas, disable=True, seed=0)
    close(out, sample(numpy_denoise, X.numpy(), karras(3), SonarConfig()))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": 3}, ConfigError, "model = 3: must be callable"),
        ({"x": X.numpy()}, DtypeError, "x is a ndarray; must be a torch tensor"),
        ({"x": X.long()}, DtypeError, r"x has dtype torch\.int64"),
        ({"x": X.to(torch.complex64)}, DtypeError, r"x has dtype torch\.complex64"),
        ({"x": None}, DtypeError, "x is a NoneType"),
        ({"x": X[:0]}, LatentError, r"x has shape \[0, 4, 8, 8\]"),
        ({"x": X[0, 0, 0]}, LatentError, "x has shape"),
        ({"x": X * torch.nan}, LatentError, "x: holds NaN"),
        ({"sigmas": torch.tensor(3.0)}, ScheduleError, "one-dimensional"),
        ({"sigmas": torch.ones(2, 2)}, ScheduleError, "one-dimensional"),
        ({"sigmas": torch.tensor([])}, ScheduleError, "empty"),
        ({"sigmas": torch.tensor([1j, 0])}, ScheduleError, "complex"),
        ({"sigmas": torch.tensor([True, False])}, ScheduleError, "bool"),
        ({"sigmas": ["a"]}, ScheduleError, "not a list of numbers"),
        ({"sigmas": None}, ScheduleError, "not a list of numbers"),
        ({"sigmas": torch.tensor([2.0, -1.0])}, ScheduleError, "value 1 is -1"),
        ({"sigmas": torch.tensor([2.0, torch.nan])}, ScheduleError, "value 1 is NaN"),
        ({"sigmas": torch.tensor([1.0, 2.0])}, ScheduleError, "rises"),
        ({"model": lambda x, s: None}, DtypeError, "the denoiser's answer is a NoneType"),
        ({"model": lambda x, s: x.numpy()}, DtypeError, "the denoiser's answer is a ndarray"),
        ({"model": lambda x, s: x.long()}, DtypeError, r"the denoiser's answer has dtype torch\.int64"),
        ({"model": lambda x, s: x[:1]}, LatentError, "the denoiser's answer has shape"),
        ({"model": lambda x, s: x * torch.nan}, NumericError, "step 0: the denoiser answered NaN"),
        ({"noise_sampler": lambda *_: None}, DtypeError, "the noise is a NoneType"),
        ({"noise_sampler": lambda *_: X[:1]}, LatentError, "the noise has shape"),
        ({"noise_sampler": lambda *_: X * torch.nan}, NumericError, "the noise holds NaN"),
        ({"reference": X[:, :1]}, LatentError, "reference has shape"),
        ({"reference": X.numpy()}, DtypeError, "reference is a ndarray"),
        ({"reference": torch.ones_like(X)}, LatentError, "must not be constant"),
        ({"history": X[:1]}, LatentError, "history has shape"),
        ({"history": 3}, DtypeError, "history is a int"),
        ({"eta": -1.0}, ConfigError, "eta = -1"),
        ({"eta": "much"}, ConfigError, "eta = 'much'"),
    ],
)
def test_bad_input_is_a_typed_error_that_says_what(change, error, message):
    arguments = {"model": model, "x": X, "sigmas": SIGMAS, "disable": True} | change
    with pytest.raises(error, match=message):
        sample_sonar_euler_a(**arguments)


@ALL
@pytest.mark.parametrize("sigmas", [[0.0, 0.0], [-1.0, -2.0], [torch.nan, 1.0], [2.0, torch.inf], []])
def test_no_schedule_is_a_typed_error_before_any_noise_is_made(name, sigmas):
    with pytest.raises(ScheduleError):
        SAMPLERS[name](model, X, torch.tensor(sigmas), disable=True)


def test_a_result_too_large_for_float16_is_an_error_and_not_infinity():
    x = torch.full((1, 1, 2, 2), 60000.0, dtype=torch.float16)
    with pytest.raises(NumericError, match=r"largest torch\.float16"):
        sample_sonar_euler(
            lambda x, s: x * 0, x, torch.tensor([2.0, 4.0]), disable=True, config=SonarConfig(momentum=1.0)
        )


def test_a_misspelt_option_is_named():
    with pytest.raises(UnknownOptionError, match="did you mean momentum_sign"):
        sample_sonar_euler(model, X, SIGMAS, config=SonarConfig(momentum_sing="pos"))


def test_nothing_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in SAMPLERS:
            SAMPLERS[name](model, X.clone().requires_grad_(), SIGMAS, disable=True, seed=0)


@ALL
def test_it_runs_in_inference_mode_and_on_tensors_made_in_it(name):
    """Forge samples in inference mode."""

    def scaling(x, sigma):
        sigma *= 2  # what an inference tensor allows only in its mode, and a view of many only without a gradient
        return model(x, sigma / 2)

    config = SonarConfig(s_churn=1.0, seed=0)
    expected = SAMPLERS[name](model, X, SIGMAS, disable=True, config=config)
    with torch.inference_mode():
        x, sigmas = X.clone(), SIGMAS.clone()
        assert torch.equal(SAMPLERS[name](scaling, x, sigmas, disable=True, config=config), expected)
    assert torch.equal(SAMPLERS[name](scaling, x, sigmas, disable=True, config=config), expected)


def test_elementary_functions_are_torchs_and_kept_but_not_for_ever():
    from sonar_sampler.elementary import ELEMENTARY

    single, double = ELEMENTARY[torch.float32], ELEMENTARY[torch.float64]
    assert single.func.cache_info().maxsize < 10_000
    for name in ("sqrt", "exp", "log", "expm1"):
        for value in (0.03, 0.7, 2.9):
            assert double(name, value) == getattr(torch.tensor(value, dtype=torch.float64), name)().item()
            assert single(name, value) == getattr(torch.tensor(value), name)().item() != double(name, value)
    hits = single.func.cache_info().hits
    single("sqrt", 0.7)
    assert single.func.cache_info().hits == hits + 1
