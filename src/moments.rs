//! Mean and standard deviation in double precision, the same bits however the work is divided.

use fearless_simd::{Level, Simd, dispatch, f64x4, prelude::*};

use crate::real::Real;

/// Numbers that are summed together before blocks are merged in order; results depend on it, threads do not.
pub const BLOCK: usize = 4096;

/// Sums that are kept side by side, in four vectors: fewer would wait for each other, more do not fit the registers.
const LANES: usize = 16;

/// Count, mean and sum of squared deviations of some numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    count: f64,
    mean: f64,
    deviations2: f64,
}

impl Moments {
    /// Of at most [`BLOCK`] numbers, in one pass: sums of the deviations from the first number and of their squares.
    #[must_use]
    pub fn of_block<T: Real>(block: &[T]) -> Self {
        let Some(first) = block.first() else {
            return Self::default();
        };
        let (count, shift) = (block.len() as f64, first.wide());
        let [sum, squares] = dispatch!(Level::new(), simd => sums(simd, block, shift));
        let mean = sum / count;
        Self { count, mean: shift + mean, deviations2: (squares - sum * mean).max(0.0) }
    }

    /// Of all numbers of `values`.
    #[must_use]
    pub fn of<T: Real>(values: &[T]) -> Self {
        values.chunks(BLOCK).map(Self::of_block).fold(Self::default(), Self::merge)
    }

    /// Of the numbers of both: Chan, Golub and `LeVeque` (1979), "Updating formulae and a pairwise algorithm".
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.count == 0.0 {
            return other;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + delta * (other.count / count),
            deviations2: self.deviations2
                + other.deviations2
                + delta * delta * (self.count * other.count / count),
        }
    }

    /// The mean.
    #[must_use]
    pub fn mean(self) -> f64 {
        self.mean
    }

    /// The standard deviation with the n - 1 denominator; NaN for one number.
    #[must_use]
    pub fn std(self) -> f64 {
        (self.deviations2 / (self.count - 1.0)).sqrt()
    }
}

/// Count and sum of the squares of some numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Squares {
    count: f64,
    sum: f64,
}

impl Squares {
    /// Of the differences of at most [`BLOCK`] numbers, each rounded to the latent's dtype.
    #[must_use]
    pub fn of_difference<T: Real>(values: &[T], others: &[T]) -> Self {
        let sum = dispatch!(Level::new(), simd => difference_squares(simd, values, others));
        Self { count: values.len() as f64, sum }
    }

    /// Of the numbers of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { count: self.count + other.count, sum: self.sum + other.sum }
    }

    /// The root of the mean square; NaN of no numbers.
    #[must_use]
    pub fn rms(self) -> f64 {
        (self.sum / self.count).sqrt()
    }
}

/// The sum of the deviations from `shift` and the sum of their squares.
#[inline(always)]
fn sums<S: Simd, T: Real>(simd: S, values: &[T], shift: f64) -> [f64; 2] {
    let (pairs, rest) = values.as_chunks::<LANES>();
    let zero = f64x4::splat(simd, 0.0);
    let shifts = f64x4::splat(simd, shift);
    let (mut sum, mut squares) = ([zero; 4], [zero; 4]);
    for pair in pairs {
        let wide = widened(simd, pair);
        for k in 0..4 {
            let deviation = wide[k] - shifts;
            sum[k] += deviation;
            squares[k] += deviation * deviation;
        }
    }
    let (mut sum, mut squares) = (lanes(sum), lanes(squares));
    for (lane, value) in rest.iter().enumerate() {
        let deviation = value.wide() - shift;
        sum[lane] += deviation;
        squares[lane] += deviation * deviation;
    }
    [folded(sum), folded(squares)]
}

#[inline(always)]
fn difference_squares<S: Simd, T: Real>(simd: S, values: &[T], others: &[T]) -> f64 {
    let ((pairs, rest), (other_pairs, other_rest)) =
        (values.as_chunks::<LANES>(), others.as_chunks::<LANES>());
    let mut squares = [f64x4::splat(simd, 0.0); 4];
    for (pair, other) in pairs.iter().zip(other_pairs) {
        let mut differences = *pair;
        for (difference, other) in differences.iter_mut().zip(other) {
            *difference = *difference - *other;
        }
        let wide = widened(simd, &differences);
        for k in 0..4 {
            squares[k] += wide[k] * wide[k];
        }
    }
    let mut squares = lanes(squares);
    for (lane, (value, other)) in rest.iter().zip(other_rest).enumerate() {
        let difference = (*value - *other).wide();
        squares[lane] += difference * difference;
    }
    folded(squares)
}

#[inline(always)]
fn widened<S: Simd, T: Real>(simd: S, numbers: &[T; LANES]) -> [f64x4<S>; 4] {
    let (halves, _) = numbers.as_chunks::<8>();
    let [low, high] = [T::widened(simd, &halves[0]), T::widened(simd, &halves[1])];
    [low[0], low[1], high[0], high[1]]
}

#[inline(always)]
fn lanes<S: Simd>(vectors: [f64x4<S>; 4]) -> [f64; LANES] {
    let mut lanes = [0.0; LANES];
    for (four, vector) in lanes.as_chunks_mut::<4>().0.iter_mut().zip(vectors) {
        vector.store_slice(four);
    }
    lanes
}

/// Halves onto halves.
#[inline(always)]
fn folded(mut lanes: [f64; LANES]) -> f64 {
    let mut left = LANES;
    while left > 1 {
        left /= 2;
        for lane in 0..left {
            lanes[lane] += lanes[lane + left];
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_offset_does_not_drown_a_small_spread() {
        let values: Vec<f64> = (0..10_000).map(|i| 1e8 + f64::from(i % 2) * 1e-3).collect();
        let moments = Moments::of(&values);
        assert!((moments.std() / 5.000_250e-4 - 1.0).abs() < 1e-4, "{moments:?}");
    }
}
