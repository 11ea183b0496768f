"""What crosses between torch and the core: nothing on a CPU, one transfer each way per step on a device.

The device is a stand-in: tensors that claim to live on another device and count how often they are moved. It shows
how many transfers the code asks for; it shows nothing about their speed, nor about pinned memory.
"""

from collections import Counter

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from runs import SAMPLERS as NAMES
from runs import karras, latent
from sonar_sampler import SonarConfig
from sonar_sampler.registry import SOLVERS
from sonar_sampler.torch import sample_function, sample_sonar_euler, sample_sonar_euler_a

SAMPLERS = [sample_function(name) for name in NAMES]
AWAY = torch.device("meta")  # a device that torch knows by name and moves nothing to by itself
STEPS = 5
SIGMAS = torch.tensor(karras(STEPS), dtype=torch.float32)


def name_of(sampler):
    return sampler.__name__.removeprefix("sample_sonar_")


def calls_in(sampler, steps, ends_at_zero=True):
    """How often a run calls its model: the step to sigma 0 is Euler's for all that call twice."""
    calls = SOLVERS[name_of(sampler)].calls
    return calls * steps - (calls == 2 and ends_at_zero)


class Away(torch.Tensor):
    """A tensor that says it is elsewhere."""

    @staticmethod
    def __new__(cls, here):
        away = torch.Tensor._make_wrapper_subclass(cls, here.shape, dtype=here.dtype, device=AWAY)
        away.here = here
        return away

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} outside of the stand-in device")


class Transfers(TorchDispatchMode):
    """Runs the stand-in device's operations and counts the moves."""

    def __init__(self):
        super().__init__()
        self.moved = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in pytree.tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
        was_away = any(isinstance(tensor, Away) for tensor in tensors)
        goes = torch.device(kwargs["device"]) if kwargs.get("device") is not None else None
        is_away = was_away if goes is None else goes.type == AWAY.type
        if func is torch.ops.aten._to_copy.default and was_away != is_away:
            self.moved["up" if is_away else "down"] += args[0].numel()
            self.moved["ups" if is_away else "downs"] += 1
        if is_away and goes is not None:
            kwargs["device"] = torch.device("cpu")
        args, kwargs = pytree.tree_map(lambda leaf: leaf.here if isinstance(leaf, Away) else leaf, (args, kwargs))
        out = func(*args, **kwargs)
        return pytree.tree_map(lambda leaf: Away(leaf) if is_away and isinstance(leaf, torch.Tensor) else leaf, out)


def on_device(sampler, dtype=torch.float32, **arguments):
    x, devices = torch.from_numpy(latent()).to(dtype), set()

    def model(x, sigma):
        devices.add((x.device.type, sigma.device.type, x.dtype))
        return x * 0.5

    with Transfers() as device:
        out = sampler(model, Away(x), SIGMAS, disable=True, **{"seed": 0} | arguments)
        moved = Counter(device.moved)
    assert devices == {(AWAY.type, AWAY.type, dtype)}
    assert (out.device.type, out.dtype) == (AWAY.type, dtype)
    return out.here, moved, x


def here(sampler, x, **arguments):
    return sampler(lambda x, sigma: x * 0.5, x, SIGMAS, disable=True, **{"seed": 0} | arguments)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_device_tensor_costs_one_transfer_up_and_one_down_per_call(sampler, dtype):
    out, moved, x = on_device(sampler, dtype)
    # And, once per run: the first latent down, the sigmas and the result up.
    calls = calls_in(sampler, STEPS)
    assert (moved["downs"], moved["ups"]) == (1 + calls, 1 + calls + 1)
    # Two noises and the second call are at levels of the solver's own.
    own_levels = 5 * (STEPS - 1) if name_of(sampler) == "dpmpp_sde" else 0
    assert moved["up"] == x.numel() * (calls + 1) + len(x) * (len(SIGMAS) + own_levels)
    assert torch.equal(out, here(sampler, x))


DRAWING = [sampler for sampler in SAMPLERS if SOLVERS[name_of(sampler)].noise in ("independent", "brownian", "private")]


@pytest.mark.parametrize("sampler", DRAWING)
def test_answer_and_host_noise_come_down_together(sampler):
    draws = []

    def noise_sampler(*_):
        draws.append(torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(len(draws))))
        return Away(draws[-1])

    out, moved, x = on_device(sampler, noise_sampler=noise_sampler)
    calls = calls_in(sampler, STEPS)
    assert len(draws) == (STEPS if name_of(sampler) == "naive" else calls - 1)
    assert (moved["downs"], moved["ups"]) == (1 + calls, 1 + calls + 1)
    assert moved["down"] == x.numel() * (1 + calls + len(draws))
    again = iter(draws)
    assert torch.equal(out, here(sampler, x, noise_sampler=lambda *_: next(again)))


def test_k_diffusions_own_noise_is_drawn_on_the_device_and_comes_down_with_the_answer():
    torch.manual_seed(3)
    out, moved, x = on_device(sample_sonar_euler_a, seed=None)
    assert (moved["downs"], moved["ups"]) == (1 + STEPS, 1 + STEPS + 1)
    assert moved["down"] == x.numel() * (1 + STEPS + STEPS - 1)
    torch.manual_seed(3)
    assert torch.equal(out, here(sample_sonar_euler_a, x, seed=None))


def test_noise_from_another_device_than_the_answers_is_fine():
    noise = torch.randn(2, 4, 8, 8)
    out, moved, x = on_device(sample_sonar_euler_a, noise_sampler=lambda *_: noise)
    assert moved["downs"] == 1 + STEPS
    assert torch.equal(out, here(sample_sonar_euler_a, x, noise_sampler=lambda *_: noise))


def test_noise_of_another_dtype_than_the_answers_is_fine():
    noise = torch.randn(2, 4, 8, 8, dtype=torch.float64)
    out, _, x = on_device(sample_sonar_euler_a, noise_sampler=lambda *_: Away(noise))
    assert torch.equal(out, here(sample_sonar_euler_a, x, noise_sampler=lambda *_: noise))


def test_reference_and_history_come_down_once_per_run():
    reference, history = torch.from_numpy(latent(1)), torch.from_numpy(latent(2))
    out, moved, x = on_device(sample_sonar_euler, reference=Away(reference), history=Away(history))
    assert moved["downs"] == 3 + STEPS
    assert torch.equal(out, here(sample_sonar_euler, x, reference=reference, history=history))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_cpu_latent_is_stepped_in_place_and_the_result_lies_there_too(sampler, dtype):
    addresses, x = [], torch.from_numpy(latent()).to(dtype)

    def model(x, sigma):
        addresses.append(x.data_ptr())
        return x * 0.5

    out = sampler(model, x, torch.linspace(9, 1, 12), disable=True, seed=0)
    calls = SOLVERS[name_of(sampler)].calls
    assert len(addresses) == calls_in(sampler, 11, ends_at_zero=False)
    assert set(addresses[::calls]) == {out.data_ptr()}
    assert len(set(addresses)) == calls
    assert x.data_ptr() not in addresses


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_answers_and_noise_on_the_cpu_are_read_where_they_lie(sampler, monkeypatch):
    """The arrays that the core is fed have the addresses of the host's tensors."""
    from sonar_sampler import torch as ours

    fed, given, run_for = [], [], ours.run_for

    class Watched:
        def __init__(self, host):
            self._host, self.begin = host, host.begin

        def denoise(self, *args):
            answer, noise = self._host.denoise(*args)
            fed.extend(array.ctypes.data for array in (answer, noise) if array is not None)
            return answer, noise

        def noise(self, *levels):
            noise = self._host.noise(*levels)
            fed.append(noise.ctypes.data)
            return noise

    monkeypatch.setattr(ours, "run_for", lambda host, *args, **options: run_for(Watched(host), *args, **options))

    def keep(tensor):
        given.append(tensor)
        return tensor

    x = torch.from_numpy(latent())
    config = SonarConfig(s_churn=1.0)
    noise_sampler = lambda *_: keep(torch.randn_like(x))  # noqa: E731
    sampler(lambda x, s: keep(x * 0.5), x, SIGMAS, disable=True, noise_sampler=noise_sampler, config=config)
    assert fed == [tensor.data_ptr() for tensor in given]
    assert len(fed) >= (STEPS if name_of(sampler) == "dpmpp_2m" else 2 * STEPS - 1)


def test_a_model_may_write_to_the_sigmas_it_was_given():
    def model(x, sigma):
        told.append(sigma.clone())
        sigma *= 100
        return x * 0.5

    told = []
    x = torch.from_numpy(latent())
    out = sample_sonar_euler_a(model, x, SIGMAS, disable=True, seed=0)
    assert torch.equal(torch.stack(told), SIGMAS[:-1].unsqueeze(1).expand(STEPS, 2))
    assert torch.equal(out, here(sample_sonar_euler_a, x))


def test_a_model_may_take_the_gradient_by_its_sigma():
    def model(x, sigma):
        sigma.requires_grad_()
        denoised = x / (1 + sigma.reshape(-1, 1, 1, 1) ** 2)
        (gradient,) = torch.autograd.grad(denoised.sum(), sigma)
        assert gradient.isfinite().all()
        return denoised

    assert sample_sonar_euler(model, torch.from_numpy(latent()), SIGMAS, disable=True).isfinite().all()


def test_a_tensor_that_the_model_keeps_is_never_written_to_again():
    kept = []

    def model(x, sigma):
        kept.append((x, x.clone()))
        return x * 0.5

    sample_sonar_euler_a(model, torch.from_numpy(latent()), SIGMAS, disable=True)
    for x, copy in kept:
        assert torch.equal(x, copy)
    assert len({x.data_ptr() for x, _ in kept}) == STEPS


def test_a_view_that_the_model_keeps_is_never_written_to_again():
    kept = []

    def model(x, sigma):
        kept.append((x[:, 1:, ::2].numpy(), x[:, 1:, ::2].clone()))
        return x * 0.5

    sample_sonar_euler(model, torch.from_numpy(latent()), SIGMAS, disable=True)
    for x, copy in kept:
        assert torch.equal(torch.from_numpy(x), copy)


def test_what_a_callback_keeps_is_never_written_to_again():
    kept = []
    sample_sonar_euler(
        lambda x, sigma: x * 0.5,
        torch.from_numpy(latent()),
        SIGMAS,
        disable=True,
        config=SonarConfig(),
        callback=lambda state: kept.append((state, state["x"].clone(), state["denoised"].clone())),
    )
    for state, x, denoised in kept:
        assert torch.equal(state["x"], x)
        assert torch.equal(state["denoised"], denoised)
