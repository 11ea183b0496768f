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
        best: what had the lowest loss, image by image.
        losses: the loss of each image (rows) before each iteration and after the last (columns); nan where it
            had stopped.
        of: what was moved: "condition", "latent", or "reference" for the latent before a step, towards the reference.
        step: the step of the run, 0-based; None after the last.
    """

    best: Tensor
    losses: Tensor
    of: str = ""
    step: int | None = None

    @property
    def before(self) -> list[float]:
        """The loss of each image at the start."""
        return [float(loss) for loss in self.losses[:, 0]]

    @property
    def after(self) -> list[float]:
        """The loss of each image's best."""
        return [float(loss) for loss in self.losses.nan_to_num(torch.inf).amin(1)]


def descend(
    loss: Callable[[Tensor], Tensor],
    start: Tensor,
    iterations: int,
    alpha: float,
    rule: str,
    unit: Tensor | None = None,
) -> Descent:
    """Lowers a loss from a start, which is not written to.

    Args:
        loss: answers one number per image (batch,).
        start: a floating tensor (batch, ...).
        iterations: at most so many; an image whose loss rises stops, and keeps its best.
        alpha: the length of a step, in units.
        rule: "norm": v -= alpha unit g / rms(g); "sign": v -= alpha unit sign(g).
        unit: one number per image, of a shape that fits the start's; None: for "norm" the image's own root mean square,
            for "sign" 1.

    Raises:
        RuntimeError: torch cannot go back through the loss, or has not enough memory.
    """
    with torch.enable_grad():
        value = usual(start)
        best, lowest, moves = value, torch.full((len(value),), torch.inf, dtype=wide(value), device=value.device), None
        rows = []
        for iteration in range(iterations + 1):
            leaf = value.clone().requires_grad_(iteration < iterations)
            losses = loss(leaf)
            found = losses.detach().to(lowest.dtype)
            falls = found < lowest
            moves = falls if moves is None else moves & falls
            rows.append(found.masked_fill(~moves, torch.nan) if iteration else found)
            best = torch.where(_as(moves, value), value, best)
            lowest = torch.where(moves, found, lowest)
            if iteration == iterations or not moves.any():
                break
            # The slope of a mean over so many numbers would be 0 in float16. Its size does not matter.
            (gradient,) = torch.autograd.grad(losses.sum() * value[0].numel(), leaf)
            value = torch.where(_as(moves, value), value - _step(value, gradient, alpha, rule, unit), value)
    return Descent(best, torch.stack(rows, 1))


def usual(tensor: Tensor) -> Tensor:
    """A copy that may take part in a gradient, also of a tensor from inference mode, in which some hosts sample."""
    with torch.inference_mode(False):
        return tensor.detach().clone()


def wide(like: Tensor) -> torch.dtype:
    """The dtype in which a loss is computed: float32 at least."""
    return torch.promote_types(like.dtype, torch.float32)


def _step(value: Tensor, gradient: Tensor, alpha: float, rule: str, unit: Tensor | None) -> Tensor:
    if rule == "sign":
        return alpha * (1 if unit is None else unit) * gradient.sign()
    size = _rms(gradient)
    length = alpha * (_rms(value) if unit is None else unit)
    # Where there is no slope, there is no way down.
    step = torch.where(size > 0, length * gradient / size.clamp_min(torch.finfo(size.dtype).tiny), 0)
    return step.to(value.dtype)


def _rms(value: Tensor) -> Tensor:
    return value.to(wide(value)).square().flatten(1).mean(1).sqrt().reshape(-1, *[1] * (value.ndim - 1))


def _as(images: Tensor, like: Tensor) -> Tensor:
    return images.reshape(-1, *[1] * (like.ndim - 1))
