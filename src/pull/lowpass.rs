//! A Gaussian over the last two axes: what it leaves of an image is composition and light.

use crate::real::Real;
use crate::simd;

/// Deviations at which the Gaussian ends.
const REACH: f64 = 4.0;

/// The Gaussian, as the weight of a cell and those of its neighbours on either side.
#[derive(Debug, Clone)]
pub(super) struct Lowpass<T> {
    own: T,
    beside: Vec<T>,
}

impl<T: Real> Lowpass<T> {
    /// That leaves details of `detail` in (0, 1]: its deviation is `sqrt((1 / detail^2 - 1) / 12)` cells, so that together
    /// with a cell's own extent it is that of a box of `1 / detail` cells. None where all details stay.
    pub(super) fn new(detail: f64) -> Option<Self> {
        let deviation = ((1.0 / (detail * detail) - 1.0) / 12.0).sqrt();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "detail is at least 0.01"
        )]
        let reach = (REACH * deviation + 0.5) as usize;
        if reach == 0 {
            return None;
        }
        let weight = |k: usize| (-0.5 * (k as f64 / deviation).powi(2)).exp();
        let total = 1.0 + 2.0 * (1..=reach).map(weight).sum::<f64>();
        let beside = (1..=reach).map(|k| T::of(weight(k) / total)).collect();
        Some(Self { own: T::of(1.0 / total), beside })
    }

    /// Filters planes of `width` columns and `height` rows in place; beyond an edge lies its reflection.
    pub(super) fn apply(&self, planes: &mut [T], [height, width]: [usize; 2]) {
        let mut rows = vec![T::zero(); height * width];
        let mut padded = vec![T::zero(); width + 2 * self.beside.len()];
        for plane in planes.chunks_mut(height * width) {
            for (row, filtered) in plane.chunks(width).zip(rows.chunks_mut(width)) {
                self.along(row, &mut padded, filtered);
            }
            for (y, filtered) in plane.chunks_mut(width).enumerate() {
                self.across(&rows, y, filtered);
            }
        }
    }

    /// The filter of a line of `length` cells as a matrix, row after row.
    pub(super) fn matrix(&self, length: usize) -> Vec<T> {
        let mut lines = vec![T::zero(); length * length];
        for cell in lines.iter_mut().step_by(length + 1) {
            *cell = T::one();
        }
        for line in lines.chunks_mut(length) {
            self.apply(line, [1, length]);
        }
        lines
    }

    /// One row, along itself.
    fn along(&self, row: &[T], padded: &mut [T], filtered: &mut [T]) {
        let reach = self.beside.len();
        for (at, value) in padded.iter_mut().enumerate() {
            *value = row[reflected(at, reach, row.len())];
        }
        let width = row.len();
        self.gather(filtered, |k| (&padded[reach - k..][..width], &padded[reach + k..][..width]));
    }

    /// One row, across its neighbours.
    fn across(&self, rows: &[T], y: usize, filtered: &mut [T]) {
        let (reach, width) = (self.beside.len(), filtered.len());
        let row = |at: usize| &rows[reflected(at, reach, rows.len() / width) * width..][..width];
        self.gather(filtered, |k| (row(y + reach - k), row(y + reach + k)));
    }

    /// The weighted sum of the neighbours on either side: `k` cells away.
    fn gather<'a>(&self, filtered: &mut [T], neighbours: impl Fn(usize) -> (&'a [T], &'a [T])) {
        let (weight, (cells, _)) = (self.own, neighbours(0));
        simd::widest(
            #[inline(always)]
            || {
                for (sum, cell) in filtered.iter_mut().zip(cells) {
                    *sum = weight * *cell;
                }
            },
        );
        for (k, &weight) in (1..).zip(&self.beside) {
            let (before, after) = neighbours(k);
            simd::widest(
                #[inline(always)]
                || {
                    for ((sum, before), after) in filtered.iter_mut().zip(before).zip(after) {
                        *sum = *sum + weight * (*before + *after);
                    }
                },
            );
        }
    }
}

/// The cell of a line of `length` that stands `reach` before place `at`, edges reflected: `b a | a b c | c b`.
fn reflected(at: usize, reach: usize, length: usize) -> usize {
    let period = 2 * length;
    let place = (at + period * reach.div_ceil(period) - reach) % period;
    if place < length { place } else { period - 1 - place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_reflected_as_often_as_the_gaussian_reaches() {
        let places: Vec<usize> = (0..9).map(|at| reflected(at, 4, 2)).collect();
        assert_eq!(places, [0, 1, 1, 0, 0, 1, 1, 0, 0]);
    }

    #[test]
    fn as_a_matrix_it_is_its_own_transpose_and_keeps_the_mean() {
        let (length, matrix) = (5, Lowpass::<f64>::new(0.3).unwrap().matrix(5));
        for i in 0..length {
            assert!((matrix[i * length..][..length].iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for j in 0..i {
                assert!((matrix[i * length + j] - matrix[j * length + i]).abs() < 1e-12);
            }
        }
    }
}
