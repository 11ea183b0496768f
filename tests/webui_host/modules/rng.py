"""One random generator per image, so that an image does not depend on its batch."""

import torch

from modules import devices, shared


def create_generator(seed):
    return torch.Generator("cpu").manual_seed(int(seed))


def randn(seed, shape, generator=None):
    """Seeds the global generator too, as the real host does."""
    torch.manual_seed(int(seed))
    return torch.randn(shape, generator=generator)


def randn_without_seed(shape, generator=None):
    return torch.randn(shape, generator=generator)


def randn_local(seed, shape):
    return torch.randn(shape, generator=create_generator(seed))


class ImageRNG:
    def __init__(self, shape, seeds, subseeds=None, subseed_strength=0.0, seed_resize_from_h=0, seed_resize_from_w=0):
        self.shape = tuple(map(int, shape))
        self.seeds, self.subseeds, self.subseed_strength = seeds, subseeds, subseed_strength
        self.seed_resize_from_h, self.seed_resize_from_w = seed_resize_from_h, seed_resize_from_w
        self.generators = [create_generator(seed) for seed in seeds]
        self.is_first = True

    def next(self):
        generators = self.generators
        if self.is_first:
            self.is_first = False
            if delta := shared.opts.eta_noise_seed_delta or 0:  # changes all draws but this one
                self.generators = [create_generator(seed + delta) for seed in self.seeds]
            draws = [randn(seed, self.shape, generator) for seed, generator in zip(self.seeds, generators, strict=True)]
        else:
            draws = [randn_without_seed(self.shape, generator) for generator in generators]
        return torch.stack(draws).to(devices.device)
