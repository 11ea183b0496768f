//! Mean and standard deviation in double precision, the same bits however the work is divided.

use crate::real::Real;

/// Numbers that are summed together before blocks are merged in order; results depend on it, threads do not.
pub const BLOCK: usize = 4096;

/// Sums that are kept side by side: as many as the compiler leaves a loop, which it then vectorises.
const LANES: usize = 64;

/// Count, mean and sum of squared deviations of some numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    count: f64,
    mean: f64,
    deviations2: f64,
}

impl Moments {
    /// Of at most [`BLOCK`] numbers, in two passes while they are in the cache.
    #[must_use]
    #[inline(always)]
    pub fn of_block<T: Real>(block: &[T]) -> Self {
        let count = block.len() as f64;
        let mean = lane_sum(block, |value| value) / count;
        let deviations2 = lane_sum(block, |value| (value - mean) * (value - mean));
        Self { count, mean, deviations2 }
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

    /// The root of the mean square.
    #[must_use]
    pub fn rms(self) -> f64 {
        (self.mean * self.mean + self.deviations2 / self.count).sqrt()
    }
}

#[inline(always)]
fn lane_sum<T: Real>(values: &[T], term: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += term(value.wide());
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += term(value.wide());
    }
    // Halves onto halves.
    let mut left = LANES;
    while left > 1 {
        left /= 2;
        let (low, high) = lanes.split_at_mut(left);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
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
