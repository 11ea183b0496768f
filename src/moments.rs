//! Mean and standard deviation, summed in double precision a few numbers at a time, the same bits however the work is
//! divided.

use crate::real::Real;
use crate::simd;

/// Numbers that are summed together before blocks are merged in order; results depend on it, threads do not.
pub const BLOCK: usize = 4096;

/// Sums that are kept side by side: fewer would wait for each other, more do not fit the registers.
const LANES: usize = 16;

/// Rows of [`LANES`] numbers that are summed in their own dtype: few, so that rounding does not add up.
const ROWS: usize = 16;

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
        let shift = *first;
        let [sum, squares] = totals(
            [block],
            #[inline(always)]
            move |[value]| [value - shift, (value - shift) * (value - shift)],
        );
        Self::around(shift.wide(), block.len() as f64, sum, squares)
    }

    /// Of `count` numbers, from the sums of their deviations from `shift` and of the squares of these.
    #[must_use]
    pub(crate) fn around(shift: f64, count: f64, sum: f64, squares: f64) -> Self {
        if count == 0.0 {
            return Self::default();
        }
        let mean = sum / count;
        Self { count, mean: shift + mean, deviations2: (squares - sum * mean).max(0.0) }
    }

    /// Of all numbers of `values`.
    #[must_use]
    pub fn of<T: Real>(values: &[T]) -> Self {
        values.chunks(BLOCK).map(Self::of_block).fold(Self::default(), Self::merge)
    }

    /// Of all numbers of `values`, each counted as often as its weight says.
    #[must_use]
    pub(crate) fn weighted<T: Real>(values: &[T], weights: &[T]) -> Self {
        let blocks = values.chunks(BLOCK).zip(weights.chunks(BLOCK));
        let moments = blocks.map(|(values, weights)| {
            let shift = values[0];
            let [count, sum, squares] = totals(
                [values, weights],
                #[inline(always)]
                move |[value, weight]| {
                    let deviation = weight * (value - shift);
                    [weight, deviation, deviation * (value - shift)]
                },
            );
            Self::around(shift.wide(), count, sum, squares)
        });
        moments.fold(Self::default(), Self::merge)
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

    /// How many numbers.
    #[must_use]
    pub fn count(self) -> f64 {
        self.count
    }

    /// The mean.
    #[must_use]
    pub fn mean(self) -> f64 {
        self.mean
    }

    /// The standard deviation of just these numbers, n denominator; NaN for none.
    #[must_use]
    pub(crate) fn spread(self) -> f64 {
        (self.deviations2 / self.count).sqrt()
    }

    /// The standard deviation with the n - 1 denominator; NaN for one number.
    #[must_use]
    pub fn std(self) -> f64 {
        (self.deviations2 / (self.count - 1.0)).sqrt()
    }
}

/// The sums of the `terms` of the numbers of some arrays of one length.
///
/// Summed in the dtype of the numbers over [`ROWS`] rows, then in double precision. What `terms` needs must be moved
/// into it, as in the kernel's loops.
#[inline(always)]
pub(crate) fn totals<T: Real, const IN: usize, const OUT: usize>(
    arrays: [&[T]; IN],
    terms: impl Fn([T; IN]) -> [T; OUT],
) -> [f64; OUT] {
    simd::widest(
        #[inline(always)]
        move || {
            let mut totals = [[0.0; LANES]; OUT];
            let whole = arrays.map(|values| values.as_chunks::<LANES>().0);
            let rest = arrays.map(|values| values.as_chunks::<LANES>().1);
            let mut row = 0;
            while row < whole[0].len() {
                let end = whole[0].len().min(row + ROWS);
                let mut partial = [[T::zero(); LANES]; OUT];
                for at in row..end {
                    let rows = whole.map(|rows| &rows[at]);
                    for lane in 0..LANES {
                        let terms = terms(rows.map(|row| row[lane]));
                        for (sums, term) in partial.iter_mut().zip(terms) {
                            sums[lane] = sums[lane] + term;
                        }
                    }
                }
                for (totals, sums) in totals.iter_mut().zip(&partial) {
                    for lane in 0..LANES {
                        totals[lane] += sums[lane].wide();
                    }
                }
                row = end;
            }
            for lane in 0..rest[0].len() {
                for (totals, term) in totals.iter_mut().zip(terms(rest.map(|rest| rest[lane]))) {
                    totals[lane] += term.wide();
                }
            }
            totals.map(folded)
        },
    )
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
