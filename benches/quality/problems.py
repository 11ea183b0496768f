"""The problems: each answers with guided denoised latents and has data to compare with."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from .landscapes import LandscapesProblem
from .mixtures import MixtureProblem
from .network import WEIGHTS, load
from .networks import NETWORKS

MIXTURE_SIDES = (8, 10, 12, 14)


class Problem(Protocol):
    """What a sampler is tested on."""

    name: str
    fingerprint: str  # changes with what it answers
    shape: tuple[int, int, int]
    classes: int
    images: int  # of one seed, as far as its costs allow

    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor, guidance: float) -> Tensor:
        """Uncond + guidance (cond - uncond), for x (n, c, h, w) at the levels sigma (n,) with labels (n,)."""
        ...

    def data(self, labels: Tensor, seed: int) -> Tensor:
        """One true sample for each label."""
        ...

    def measured(self, samples: Tensor) -> Tensor:
        """What of samples (n, c, h, w) the distances are taken of."""
        ...


class NetworkProblem:
    """A trained network and what it was trained on."""

    images = 200

    def __init__(self, name: str) -> None:
        recipe = NETWORKS[name]
        self.name, self.shape, self.classes = name, recipe.shape.image, recipe.shape.classes
        self.fingerprint = hashlib.sha256((WEIGHTS / f"{name}.safetensors").read_bytes()).hexdigest()
        self._network = load(name, recipe.shape)
        self._training = cache(recipe.data)

    @torch.no_grad()
    def denoise(self, x: Tensor, sigma: Tensor, labels: Tensor, guidance: float) -> Tensor:
        """As `Problem` says."""
        conditional = self._network(x, sigma, labels)
        if guidance == 1:
            return conditional
        unconditional = self._network(x, sigma, torch.full_like(labels, self.classes))
        return unconditional + guidance * (conditional - unconditional)

    def data(self, labels: Tensor, seed: int) -> Tensor:
        """Training images of the labels, drawn with replacement."""
        images, classes = self._training()
        random = torch.Generator().manual_seed(seed)
        result = images.new_empty(len(labels), *self.shape)
        for label in range(self.classes):
            known, wanted = (classes == label).nonzero().flatten(), labels == label
            result[wanted] = images[known[torch.randint(len(known), (int(wanted.sum()),), generator=random)]]
        return result

    def measured(self, samples: Tensor) -> Tensor:
        """All of them."""
        return samples


def problem(name: str) -> Problem:
    """`mixture64_7`: 64 dimensions, seed 7; `landscapes`: the embedded model; other names are those of `networks`."""
    if name.startswith("mixture"):
        dimension, seed = name.removeprefix("mixture").split("_")
        return MixtureProblem(int(seed), round(int(dimension) ** 0.5))
    if name == LandscapesProblem.name:
        return LandscapesProblem()
    return NetworkProblem(name)
