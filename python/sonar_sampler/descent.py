"""Descent along a gradient, image by image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

Tensor = torch.Tensor


@dataclass(frozen=True, eq=False)
class Descent:
    """What came of a descent.

    Attributes:
        step: the step of the run after which it was made; None after the last.
        best: what had the lowest loss, image by image.
        losses: the loss of each image (rows) before each iteration and after the last (columns); nan where it
            had stopped.
    """

    step: int | None
    best: Tensor
    losses: Tensor

    @property
    def before(self) -> list[float]:
        """The loss of each image at the start."""
        return [float(loss) for loss in self.losses[:, 0]]

    @property
    def after(self) -> list[float]:
        """The loss of each image's best."""
        return [float(loss) for loss in self.losses.nan_to_num(torch.inf).amin(1)]


def descend(
    loss: Callable[[Tensor], Tensor], start: Tensor, iterations: int, alpha: float, rule: str, step: int | None
) -> Descent:
    """Lowers a loss from a start, which is not written to.

    Args:
        loss: answers one number per image (batch,).
        start: a floating tensor (batch, ...).
        iterations: at most so many; an image whose loss rises stops, and keeps its best.
        alpha: the length of a step: for "norm" in units of the image's own root mean square, for "sign" per number.
        rule: "norm": v -= alpha rms(v) g / rms(g); "sign": v -= alpha sign(g).
        step: for the answer.

    Raises:
        RuntimeError: torch cannot go back through the loss, or has not enough memory.
    """
    with torch.enable_grad():
        value = usual(start)
        best, lowest, moves = value, torch.full((len(value),), torch.inf, dtype=_wide(value), device=value.device), None
        rows = []
        for iteration in range(iterations + 1):
            leaf = value.clone().requires_grad_(iteration < iterations)
            losses = loss(leaf)
            found = losses.detach().to(lowest.dtype)
            falls = found < lowest
            moves = falls if moves is None else moves & falls
            rows.append(found.masked_fill(~moves & (iteration > 0), torch.nan) if iteration else found)
            best = torch.where(_as(moves, value), value, best)
            lowest = torch.where(moves, found, lowest)
            if iteration == iterations or not moves.any():
                break
            (gradient,) = torch.autograd.grad(losses.sum(), leaf)
            value = torch.where(_as(moves, value), value - _length(value, gradient, alpha, rule), value)
    return Descent(step, best, torch.stack(rows, 1))


def usual(tensor: Tensor) -> Tensor:
    """A copy that may take part in a gradient, also of a tensor from inference mode, in which some hosts sample."""
    with torch.inference_mode(False):
        return tensor.detach().clone()


def _wide(like: Tensor) -> torch.dtype:
    return torch.promote_types(like.dtype, torch.float32)


def _length(value: Tensor, gradient: Tensor, alpha: float, rule: str) -> Tensor:
    if rule == "sign":
        return alpha * gradient.sign()
    size = _rms(gradient)
    # Where there is no slope, there is no way down.
    return torch.where(size > 0, alpha * _rms(value) * gradient / size.clamp_min(torch.finfo(size.dtype).tiny), 0)


def _rms(value: Tensor) -> Tensor:
    return value.square().flatten(1).mean(1).sqrt().reshape(-1, *[1] * (value.ndim - 1))


def _as(images: Tensor, like: Tensor) -> Tensor:
    return images.reshape(-1, *[1] * (like.ndim - 1))
