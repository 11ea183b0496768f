//! What a step depends on and measures of its images first, block by block: the same bits however the work is divided.

use crate::moments::Moments;

/// What was measured of an image or a part of one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    /// Of what the reference or the guard is held against: the answer, or the latent.
    pub(crate) values: Moments,
    /// Of the answer against its history and the latent.
    pub(crate) sums: Sums,
}

/// Sums of products of an answer's change and of what it took off the latent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    /// Of the change squared: the answer less the history.
    pub(crate) change: f64,
    /// Of the rest squared: the latent less the answer.
    pub(crate) rest: f64,
    /// Of change and rest.
    pub(crate) product: f64,
}

impl Measured {
    /// The moments alone.
    pub(crate) fn of(values: Moments) -> Self {
        Self { values, sums: Sums::default() }
    }

    /// Of the numbers of both parts.
    #[must_use]
    pub(crate) fn merge(self, other: Self) -> Self {
        let sums = Sums {
            change: self.sums.change + other.sums.change,
            rest: self.sums.rest + other.sums.rest,
            product: self.sums.product + other.sums.product,
        };
        Self { values: self.values.merge(other.values), sums }
    }
}
