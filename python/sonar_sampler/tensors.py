"""Where a caller's tensors live, and how they get to the core and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sonar_sampler.errors import DtypeError, NumericError

Tensor = torch.Tensor
Array = np.ndarray[Any, Any]

ANSWER = "the denoiser's answer"
NOISE = "the noise"

_SHARED = (torch.float32, torch.float64)


class Tensors:
    """The way between the core's arrays and tensors of the device and dtype of `like`.

    CPU tensors of float32 and float64 are arrays of the same memory. `working` is the dtype between the steps.
    """

    def __init__(self, like: Tensor) -> None:
        if not isinstance(like, Tensor) or not like.is_floating_point():
            raise _not_a_latent(like, "x")
        self.working = like.dtype if like.dtype in _SHARED else torch.float32
        self._numbers = np.dtype("float64" if self.working is torch.float64 else "float32")
        self._like = like
        self._shares = like.is_cpu and like.dtype is self.working
        self._stages: dict[str, Tensor] = {}
        # A latent of the core for the caller.
        self.tensor: Callable[[Array], Tensor] = torch.from_numpy if self._shares else self._up

    def given(self, tensor: Tensor, name: str) -> Array:
        """What a run is made from, in the core's dtype: good for as long as it is kept."""
        return self._numbers_of(tensor, name, Tensor.cpu)

    def optional(self, tensor: Tensor | None, name: str) -> Array | None:
        """The same of what need not be given."""
        return None if tensor is None else self.given(tensor, name)

    def array(self, tensor: Tensor, name: str) -> Array:
        """A step's answer or noise in the core's dtype: from another device, good until the next comes down."""
        if self._shares:
            # To ask a tensor for its device and gradient first takes longer than to try.
            try:
                array: Array = tensor.numpy()
                if array.dtype is self._numbers:
                    return array
            except (AttributeError, RuntimeError, TypeError):
                pass
        return self._numbers_of(tensor, name, self._down)

    def _numbers_of(self, tensor: Tensor, name: str, down: Callable[[Tensor], Tensor]) -> Array:
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise _not_a_latent(tensor, name)
        array: Array = down(tensor.detach()).to(self.working).resolve_neg().numpy()
        return array

    def arrays(self, denoised: Tensor, noise: Tensor) -> tuple[Array, Array]:
        """The model's answer and the noise: from another device they come in one transfer."""
        if self._shares:
            try:
                pair = denoised.numpy(), noise.numpy()
                if pair[0].dtype is pair[1].dtype is self._numbers:
                    return pair
            except (AttributeError, RuntimeError, TypeError):
                pass
        elif _alike(denoised, noise):
            both = self.array(torch.stack([denoised.detach(), noise.detach()]), ANSWER)
            return both[0], both[1]
        return self.array(denoised, ANSWER), self.array(noise, NOISE)

    def _up(self, array: Array) -> Tensor:
        latent, like = torch.from_numpy(array), self._like
        if not _pins(like):
            return latent.to(like.device, like.dtype)
        return self._stage("up", latent.shape, like.dtype).copy_(latent).to(like.device)

    def result(self, array: Array) -> Tensor:
        """The latent of a run that is done."""
        dtype = self._like.dtype
        largest = torch.finfo(dtype).max
        if dtype is not self.working and array.size and np.abs(array).max() > largest:
            raise NumericError(f"after the last step: the latent grew past the largest {dtype}, {largest}")
        return self.tensor(array)

    def per_image(self, sigmas: list[float]) -> tuple[Tensor, ...]:
        """What a model is told at each step: one sigma for each image, in memory of the step's own."""
        like = self._like
        rows = np.repeat(np.array(sigmas, self._numbers), len(like)).reshape(len(sigmas), len(like))
        return torch.from_numpy(rows).to(like.device, like.dtype).unbind()

    def _down(self, tensor: Tensor) -> Tensor:
        """A tensor on the CPU, in its own dtype."""
        if not _pins(tensor):
            return tensor.cpu()
        return self._stage(f"down from {tensor.device}", tensor.shape, tensor.dtype).copy_(tensor)

    def _stage(self, way: str, shape: torch.Size, dtype: torch.dtype) -> Tensor:
        """Pinned memory, which a GPU reads and writes by itself; made at first use, and again if the need changes.

        Every copy into and out of it is waited for: the core reads what has arrived, and the next step writes to
        what has left.
        """
        stage = self._stages.get(way)
        if stage is None or stage.shape != shape or stage.dtype != dtype:
            stage = self._stages[way] = _pinned(shape, dtype)
        return stage


def _alike(one: object, other: object) -> bool:
    """Whether these are floating tensors that differ in nothing but their numbers."""
    return (
        isinstance(one, Tensor)
        and isinstance(other, Tensor)
        and one.is_floating_point()
        and (one.shape, one.device, one.dtype) == (other.shape, other.device, other.dtype)
    )


def _pins(tensor: Tensor) -> bool:
    """Whether a tensor crosses over through pinned memory."""
    return tensor.is_cuda


def _pinned(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, pin_memory=True)


def _not_a_latent(value: object, name: str) -> DtypeError:
    found = f"has dtype {value.dtype}" if isinstance(value, Tensor) else f"is a {type(value).__name__}"
    return DtypeError(f"{name} {found}; must be a torch tensor of a real floating dtype")
