"""Pinned memory between a GPU and the core, on a stand-in for the GPU: an ordinary tensor that is said to be far away.

It shows what is copied where, in what order and how often; it shows nothing about speed. `test_torch_memory.py` counts
the transfers of a device without pinned memory.
"""

import pytest
import torch

from runs import SAMPLERS as NAMES
from runs import karras, latent
from sonar_sampler import SonarConfig, tensors
from sonar_sampler.torch import sample_function, sample_sonar_euler

QUIET = ("euler", "heun", "dpmpp_2m")  # draw nothing without churn
STEPS = 6
SIGMAS = torch.tensor(karras(STEPS), dtype=torch.float32)
SAMPLERS = [sample_function(name) for name in NAMES]


class Far(torch.Tensor):
    """A tensor that says it is not on the CPU; whatever is computed from it is far away too."""

    is_cpu = property(lambda self: False)


class Bus:
    """Pinned buffers as they are made, and what crosses over through them."""

    def __init__(self, monkeypatch):
        self.made, self.down, self.up = [], [], []
        to, copy_ = torch.Tensor.to, torch.Tensor.copy_
        bus = self

        class Pinned(torch.Tensor):
            __torch_function__ = torch._C._disabled_torch_function_impl

            def copy_(self, source):
                if isinstance(source, Far):
                    bus.down.append(tuple(source.shape))
                return copy_(self, source)

            def to(self, target):
                if not isinstance(target, torch.device):
                    return to(self, target).as_subclass(torch.Tensor)
                bus.up.append((tuple(self.shape), self.dtype))
                return self.as_subclass(torch.Tensor).clone().as_subclass(Far)

        def pinned(shape, dtype):
            bus.made.append((tuple(shape), dtype))
            return torch.full(shape, torch.nan, dtype=dtype).as_subclass(Pinned)

        monkeypatch.setattr(tensors, "_pins", lambda tensor: isinstance(tensor, Far))
        monkeypatch.setattr(tensors, "_pinned", pinned)


def noise(k):
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(k))


def run(sampler, x, wrap, own_noise):
    draws = iter(range(2 * STEPS))
    options = {"seed": 0} if own_noise else {"noise_sampler": lambda *_: wrap(noise(next(draws)).to(x.dtype))}
    seen = []

    def model(x, sigma):
        seen.append(type(x))
        return x * 0.5

    out = sampler(model, wrap(x), SIGMAS, disable=True, **options)
    return out, seen, next(draws)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("own_noise", [False, True])
def test_pinned_memory_gives_the_same_bits_in_one_transfer_each_way_per_call(monkeypatch, sampler, dtype, own_noise):
    x = torch.from_numpy(latent()).to(dtype)
    expected, _, draws = run(sampler, x, lambda tensor: tensor, own_noise)
    bus = Bus(monkeypatch)
    out, seen, _ = run(sampler, x, lambda tensor: tensor.as_subclass(Far), own_noise)
    assert set(seen) == {Far}
    assert torch.equal(out.as_subclass(torch.Tensor), expected)
    shape = tuple(x.shape)
    assert (draws > 0) == (not own_noise and sampler.__name__.removeprefix("sample_sonar_") not in QUIET)
    # The latent that a run starts from is kept, so it does not go through a buffer.
    assert sorted(bus.down) == sorted([shape] * (len(seen) - draws) + [(2, *shape)] * draws)
    assert bus.up == [(shape, dtype)] * (len(seen) + 1)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_latent_reference_and_history_of_a_run_do_not_meet_in_one_buffer(monkeypatch, sampler, dtype):
    x, reference, history = (torch.from_numpy(latent(seed)).to(dtype) for seed in range(3))

    def result(wrap):
        config = SonarConfig(ref_factor=0.1, seed=0)
        options = {"reference": wrap(reference), "history": wrap(history), "config": config}
        return sampler(lambda x, sigma: x * 0.5, wrap(x), SIGMAS, disable=True, **options).as_subclass(torch.Tensor)

    expected = result(lambda tensor: tensor)
    Bus(monkeypatch)
    assert torch.equal(result(lambda tensor: tensor.as_subclass(Far)), expected)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_pinned_buffers_are_made_once_for_each_need(monkeypatch, sampler):
    bus = Bus(monkeypatch)
    run(sampler, torch.from_numpy(latent()), lambda tensor: tensor.as_subclass(Far), own_noise=True)
    assert bus.made == [((2, 4, 8, 8), torch.float32)] * 2


def test_what_the_model_keeps_is_not_the_pinned_buffer(monkeypatch):
    Bus(monkeypatch)
    kept = []

    def model(x, sigma):
        kept.append((x, x.clone()))
        return x * 0.5

    sample_sonar_euler(model, torch.from_numpy(latent()).as_subclass(Far), SIGMAS, disable=True)
    assert all(torch.equal(x, copy) for x, copy in kept)
    assert len({x.data_ptr() for x, _ in kept}) == STEPS
