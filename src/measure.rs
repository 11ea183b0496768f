//! Moments of images that a step depends on, taken block by block: the same bits however the work is divided.

use crate::moments::{BLOCK, Moments};
use crate::real::Real;
use crate::simd;

/// What was measured of an image or a part of one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    /// Of what the reference or the guard is held against: the answer, or the latent.
    pub(crate) values: Moments,
    /// Of the answer less the history.
    pub(crate) change: Moments,
}

impl Measured {
    /// Of the numbers of both parts.
    #[must_use]
    pub(crate) fn merge(self, other: Self) -> Self {
        Self { values: self.values.merge(other.values), change: self.change.merge(other.change) }
    }

    /// The standard deviation of the answer, n - 1 denominator.
    #[must_use]
    pub(crate) fn std(&self) -> f64 {
        self.values.std()
    }

    /// The root of the mean square of the answer less the history.
    #[must_use]
    pub(crate) fn distance(&self) -> f64 {
        self.change.rms()
    }
}

/// Measures `values`, and its difference to `history` if that is there, one entry a block.
pub(crate) fn measure<T: Real>(values: &[T], history: &[T], blocks: &mut [Measured]) {
    let mut histories = history.chunks(BLOCK);
    for (block, measured) in values.chunks(BLOCK).zip(blocks) {
        let history = histories.next().unwrap_or_default();
        *measured = simd::widest(
            #[inline(always)]
            || {
                let change = if history.is_empty() { Moments::default() } else { change(block, history) };
                Measured { values: Moments::of_block(block), change }
            },
        );
    }
}

/// Moments of the differences, each rounded to the latent's dtype, as the step takes them.
#[inline(always)]
fn change<T: Real>(values: &[T], history: &[T]) -> Moments {
    let mut differences = [T::zero(); BLOCK];
    let differences = &mut differences[..values.len()];
    for ((difference, &value), &history) in differences.iter_mut().zip(values).zip(history) {
        *difference = value - history;
    }
    Moments::of_block(differences)
}
