"""One random generator per image, so that an image does not depend on its batch."""

import torch

from modules import shared


def randn_without_seed(shape, generator=None):
    return torch.randn(shape, generator=generator)


class ImageRNG:
    def __init__(self, shape, seeds):
        self.shape, self.seeds = tuple(map(int, shape)), seeds
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.is_first = True

    def next(self):
        generators = self.generators
        if self.is_first:
            self.is_first = False
            torch.manual_seed(self.seeds[-1])  # as the real host does
            if delta := shared.opts.eta_noise_seed_delta:  # changes all draws but this one
                self.generators = [torch.Generator().manual_seed(seed + delta) for seed in self.seeds]
        return torch.stack([randn_without_seed(self.shape, generator) for generator in generators])
