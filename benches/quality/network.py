"""Small denoising networks that this benchmark trains itself: a UNet and a residual MLP, class-conditional.

Preconditioned as in Karras et al. 2022 (arXiv:2206.00364, table 1). Class `classes` is the empty label, which stands
for "no class" (classifier-free guidance, arXiv:2207.12598).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import silu

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Shape:
    """What a network is made of: `kind` "unet" or "mlp", its width, and how many pixels a side of its grid folds in."""

    kind: str
    image: tuple[int, int, int]  # channels, height, width
    classes: int
    width: int
    fold: int = 1


class Embedding(nn.Module):
    """Noise level and label as one vector."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.exp(torch.linspace(-1.0, 3.0, 16)))
        self.label = nn.Embedding(classes + 1, width)
        self.level = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """(n,) and (n,) to (n, width)."""
        angles = noise[:, None] * self.frequencies
        return silu(self.level(torch.cat([angles.sin(), angles.cos()], 1)) + self.label(labels))


class Block(nn.Module):
    """Residual convolutions, scaled and shifted by the embedding."""

    def __init__(self, inputs: int, outputs: int, embedding: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(8, inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulate = nn.Linear(embedding, 2 * outputs)
        self.norm2 = nn.GroupNorm(8, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h, w)."""
        scale, shift = self.modulate(embedding)[:, :, None, None].chunk(2, 1)
        h = self.conv1(silu(self.norm1(x)))
        h = self.conv2(silu(self.norm2(h) * (1 + scale) + shift))
        return self.skip(x) + h


class UNet(nn.Module):
    """Two resolutions, two blocks each way."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels = shape.image[0] * shape.fold**2
        width, deep, embedding = shape.width, 2 * shape.width, 4 * shape.width
        self.fold, self.unfold = nn.PixelUnshuffle(shape.fold), nn.PixelShuffle(shape.fold)
        self.embedding = Embedding(shape.classes, embedding)
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList([Block(width, width, embedding), Block(width, width, embedding)])
        self.shrink = nn.Conv2d(width, deep, 3, stride=2, padding=1)
        self.middle = nn.ModuleList([Block(deep, deep, embedding), Block(deep, deep, embedding)])
        self.grow = nn.Sequential(nn.Conv2d(deep, 4 * width, 1), nn.PixelShuffle(2))
        self.up = nn.ModuleList([Block(2 * width, width, embedding), Block(width, width, embedding)])
        self.last = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1))
        nn.init.zeros_(self.last[-1].weight)

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor) -> Tensor:
        """Latents x (n, c, h, w) at the scaled noise levels (n,) with labels (n,); shaped like x."""
        embedding = self.embedding(noise, labels)
        h = self.first(self.fold(x))
        for block in self.down:
            h = block(h, embedding)
        deep = self.shrink(h)
        for block in self.middle:
            deep = block(deep, embedding)
        h = torch.cat([h, self.grow(deep)], 1)
        for block in self.up:
            h = block(h, embedding)
        return self.unfold(self.last(h))


class Mlp(nn.Module):
    """Residual layers on the flattened image, scaled and shifted by the embedding."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels, height, width = shape.image
        pixels = channels * height * width
        self.embedding = Embedding(shape.classes, shape.width)
        self.first = nn.Linear(pixels, shape.width)
        self.norms = nn.ModuleList([nn.LayerNorm(shape.width) for _ in range(4)])
        self.modulate = nn.ModuleList([nn.Linear(shape.width, 2 * shape.width) for _ in range(4)])
        self.wide = nn.ModuleList([nn.Linear(shape.width, 2 * shape.width) for _ in range(4)])
        self.narrow = nn.ModuleList([nn.Linear(2 * shape.width, shape.width) for _ in range(4)])
        self.last = nn.Linear(shape.width, pixels)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor) -> Tensor:
        """Latents x (n, c, h, w) at the scaled noise levels (n,) with labels (n,); shaped like x."""
        embedding = self.embedding(noise, labels)
        h = self.first(x.flatten(1))
        for norm, modulate, wide, narrow in zip(self.norms, self.modulate, self.wide, self.narrow, strict=True):
            scale, shift = modulate(embedding).chunk(2, 1)
            h = h + narrow(silu(wide(norm(h) * (1 + scale) + shift)))
        return self.last(silu(h)).view_as(x)


class Denoiser(nn.Module):
    """The network with its preconditioning: noisy latents and levels in, denoised latents out."""

    def __init__(self, shape: Shape, deviation: float) -> None:
        super().__init__()
        self.inner: nn.Module = UNet(shape) if shape.kind == "unet" else Mlp(shape)
        self.register_buffer("deviation", torch.tensor(deviation))

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """X (n, c, h, w), sigma (n,), labels (n,) of int64; the denoised x."""
        level = sigma[:, None, None, None]
        total = (level**2 + self.deviation**2).sqrt()
        inner = self.inner(x / total, sigma.log() / 4, labels)
        return x * (self.deviation / total) ** 2 + inner * level * self.deviation / total


def load(name: str, shape: Shape) -> Denoiser:
    """The trained network `name`, ready to answer."""
    network = Denoiser(shape, 1.0)
    network.load_state_dict({key: value.float() for key, value in load_file(WEIGHTS / f"{name}.safetensors").items()})
    return network.eval().requires_grad_(False)
