//! Moments of images that a step depends on, taken block by block: the same bits however the work is divided.

use crate::moments::{BLOCK, Moments, Squares};
use crate::real::Real;

/// What was measured of an image or a part of one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    /// Of what the reference or the guard is held against: the answer, or the latent.
    pub(crate) values: Moments,
    /// Of the answer less the history.
    pub(crate) change: Squares,
}

impl Measured {
    /// Of the numbers of a block, and of their difference to `history` if that is there.
    pub(crate) fn of_block<T: Real>(values: &[T], history: &[T]) -> Self {
        let change =
            if history.is_empty() { Squares::default() } else { Squares::of_difference(values, history) };
        Self { values: Moments::of_block(values), change }
    }

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
        *measured = Measured::of_block(block, histories.next().unwrap_or_default());
    }
}
