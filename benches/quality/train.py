"""Trains the benchmark's networks again: in benches/, `python -m quality.train [NAME ...]`. Minutes each on a core."""

from __future__ import annotations

import copy
import sys
import time

import torch
from safetensors.torch import save_file

from .network import WEIGHTS, Denoiser
from .networks import NETWORKS, Recipe

LOWEST, HIGHEST = 0.015, 20.0  # noise levels it learns, evenly in log sigma
NO_LABEL = 0.15  # share of the images that it sees without their class


def train(recipe: Recipe) -> Denoiser:
    """The network of a recipe: the mean of its weights over the last steps."""
    torch.manual_seed(recipe.seed)
    torch.use_deterministic_algorithms(mode=True)
    images, labels = recipe.data()
    network = Denoiser(recipe.shape, float(images.std()))
    average = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=recipe.rate)
    decay = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, recipe.steps, pct_start=0.1)
    start = time.monotonic()
    losses = []
    for step in range(recipe.steps):
        chosen = torch.randint(len(images), (recipe.batch,))
        clean = images[chosen]
        seen = torch.where(torch.rand(recipe.batch) < NO_LABEL, recipe.shape.classes, labels[chosen])
        sigma = LOWEST * (HIGHEST / LOWEST) ** torch.rand(recipe.batch)
        level = sigma[:, None, None, None]
        weight = (level**2 + network.deviation**2) / (level * network.deviation) ** 2
        loss = (weight * (network(clean + level * torch.randn_like(clean), sigma, seen) - clean) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
        losses.append(loss.item())
        kept = min(1 - 1 / (1 + step), 0.998)
        with torch.no_grad():
            for mean, now in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(now, 1 - kept)
        if (step + 1) % 250 == 0:
            print(
                f"{recipe.name} {step + 1}: {sum(losses[-250:]) / 250:.4f}, {time.monotonic() - start:.0f} s",
                flush=True,
            )
    return average


def main() -> None:
    """Trains and saves the networks that are named, or all."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or NETWORKS:
        network = train(NETWORKS[name])
        size = sum(p.numel() for p in network.parameters())
        save_file(
            {key: value.half().contiguous() for key, value in network.state_dict().items()},
            WEIGHTS / f"{name}.safetensors",
        )
        print(f"{name}: {size} weights")


if __name__ == "__main__":
    main()
