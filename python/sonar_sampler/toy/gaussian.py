"""One layout of a scene as a low-rank Gaussian mixture: projections, coordinates and variances.

A latent of the layout is `x = sum_f field[f] * colour[f] + noise`, colours Gaussian around the mean of a mode, noise
white with variance `NOISE**2`. Luma and the two colour differences are independent. In each of these planes, with
fields `F` (fields x pixels) and prior covariance `C = L L^T` of their colours, `L^T F F^T L = V S V^T` gives the
orthonormal basis `U = F^T L V S^(-1/2)`: the covariance in the plane is `U S U^T + NOISE^2 I`. Only `F` and the small
matrix `T = S^(-1/2) V^T L^T` are stored; `U^T x = T (F x)`. Directions with less than 1e-9 of the largest variance
are left out. The Gaussians are constructed from the drawn fields, not estimated from sample pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .codec import CHROMA_GAIN, GRID, LATENT_SHAPE, LUMA_GAIN, colours_to_planes, halve, split_blocks
from .scene import Scene

NOISE = 0.01  # deviation of the white noise that is part of every picture: about one 8-bit level
# Deviations that the fills of all layers share: of the brightness; of the blue and red differences.
EXPOSURE, TINT = 0.06, 0.022

Planes = list[NDArray[np.float32]]  # luma (64, 256), blue (64, 64), red (64, 64): rows of the grid, contiguous
Vector = NDArray[np.float64]


def to_planes(latent: NDArray[np.float32]) -> Planes:
    """(6, 64, 64) to planes whose rows are contiguous, so that a band of rows is a slice."""
    luma = np.ascontiguousarray(latent[:4].transpose(1, 0, 2)).reshape(GRID, -1)
    return [luma, np.ascontiguousarray(latent[4]), np.ascontiguousarray(latent[5])]


def from_planes(planes: Planes) -> NDArray[np.float32]:
    """The inverse of `to_planes`."""
    latent = np.empty(LATENT_SHAPE, dtype=np.float32)
    latent[:4] = planes[0].reshape(GRID, 4, GRID).transpose(1, 0, 2)
    latent[4:] = planes[1], planes[2]
    return latent


@dataclass(frozen=True)
class Band:
    """Fields that vanish outside some rows of the grid."""

    rows: slice
    luma: NDArray[np.float32]  # (fields, rows * 256)
    chroma: NDArray[np.float32]  # (fields, rows * 64)

    def of(self, plane: int) -> NDArray[np.float32]:
        """The fields as the plane 0 (luma), 1 or 2 (colour differences) has them."""
        return self.luma if plane == 0 else self.chroma


class Layout:
    """The Gaussians of one scene; coordinates of the three planes stand one after the other."""

    def __init__(self, scene: Scene) -> None:
        self.bands, order = _bands(scene)
        spreads = np.array(scene.spreads)[order]
        base = np.array(scene.bases, dtype=np.float64)[order]
        means = colours_to_planes(np.array(scene.means)[order])  # (fields, modes, 3)
        whiten: list[Vector] = []
        variances: list[Vector] = []
        centres: list[Vector] = []
        # The colour differences have the same fields and the same prior: one basis serves both.
        for planes, gain, shared in (((0,), LUMA_GAIN, EXPOSURE), ((1, 2), CHROMA_GAIN, TINT)):
            spread = spreads[:, planes[0] and 1]
            gram = _gram(self.bands, planes[0], len(order))
            root = np.linalg.cholesky(gain**2 * (np.diag(spread**2) + shared**2 * np.outer(base, base)))
            values, vectors = np.linalg.eigh(root.T @ gram @ root)
            kept = values > 1e-9 * values[-1]
            transform = (vectors[:, kept] / np.sqrt(values[kept])).T @ root.T
            to_coordinates = transform @ gram
            for plane in planes:
                whiten.append(transform)
                variances.append(values[kept])
                centres.append(np.einsum("fk,rf->kr", means[:, :, plane], to_coordinates))
        self._whiten = whiten
        self._ends = np.cumsum([0, *(len(values) for values in variances)])
        self.variances: Vector = np.concatenate(variances)
        self.centres: Vector = np.concatenate(centres, axis=1)  # (modes, rank): the means of the modes
        self.squares: Vector = self.centres**2

    # einsum, not BLAS: its sums do not depend on the number of threads, so neither do the pictures.

    def project(self, planes: Planes) -> Vector:
        """Coordinates `U^T x` of a latent, shape (rank,)."""
        parts: list[Vector] = []
        for plane, transform in enumerate(self._whiten):
            moments = [np.einsum("fd,d->f", band.of(plane), planes[plane][band.rows].ravel()) for band in self.bands]
            parts.append(np.einsum("rf,f->r", transform, np.concatenate(moments).astype(np.float64)))
        return np.concatenate(parts)

    def add_expanded(self, coordinates: Vector, planes: Planes) -> None:
        """Add `U z` to `planes` in place."""
        for plane, transform in enumerate(self._whiten):
            part = coordinates[self._ends[plane] : self._ends[plane + 1]]
            colours = np.einsum("rf,r->f", transform, part).astype(np.float32)
            start = 0
            for band in self.bands:
                fields = band.of(plane)
                weights = colours[start : start + len(fields)]
                start += len(fields)
                target = planes[plane][band.rows]
                target += np.einsum("fd,f->d", fields, weights).reshape(target.shape)


def _bands(scene: Scene) -> tuple[list[Band], NDArray[np.intp]]:
    """Group the fields of a scene by the rows that they touch, in steps of eight; also their new order."""
    fields = np.array(scene.fields, dtype=np.float32)
    luma, chroma = split_blocks(fields), halve(fields)
    touched = np.abs(fields).reshape(len(fields), 8, -1).max(axis=2) > 1e-3
    first, last = touched.argmax(axis=1), 8 - touched[:, ::-1].argmax(axis=1)
    groups: dict[tuple[int, int], list[int]] = {}
    for index, span in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        groups.setdefault(span, []).append(index)
    bands: list[Band] = []
    for (top, bottom), members in groups.items():
        rows = slice(top * GRID // 8, bottom * GRID // 8)
        bands.append(
            Band(
                rows,
                luma[members][:, :, rows].transpose(0, 2, 1, 3).reshape(len(members), -1),
                chroma[members][:, rows].reshape(len(members), -1),
            )
        )
    return bands, np.array([index for members in groups.values() for index in members])


def _gram(bands: list[Band], plane: int, count: int) -> Vector:
    """Inner products of all fields in a plane, (fields, fields)."""
    width = 4 * GRID if plane == 0 else GRID
    full = np.zeros((GRID, width // GRID, count, GRID))
    start = 0
    for band in bands:
        fields = band.of(plane)
        end = start + len(fields)
        full[band.rows, :, start:end] = fields.reshape(len(fields), -1, width // GRID, GRID).transpose(1, 2, 0, 3)
        start = end
    # Many small products: too small for BLAS to use threads, whose number would change the rounding.
    gram: Vector = (full @ full.swapaxes(-1, -2)).sum(axis=(0, 1))
    return gram
