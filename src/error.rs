//! Everything that can go wrong, with the offending value in the message.

use thiserror::Error;

/// Shorthand for a result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// One variant per kind of mistake; each becomes a Python class of the same kind.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Error {
    /// An option has a value that is not allowed.
    #[error("{field} = {value}: {allowed}")]
    Config {
        /// Name of the option.
        field: &'static str,
        /// The value as given.
        value: String,
        /// What is allowed instead.
        allowed: String,
    },
    /// An array has the wrong shape.
    #[error("{what} has shape {found:?}: {allowed}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// What is allowed instead.
        allowed: String,
    },
    /// An array holds something that cannot be sampled from.
    #[error("{what}: {found}; {allowed}")]
    Values {
        /// Which array.
        what: &'static str,
        /// What was found in it.
        found: String,
        /// What is allowed instead.
        allowed: String,
    },
    /// The sigmas do not make a schedule.
    #[error("sigmas: {0}")]
    Schedule(String),
    /// The stepper was used out of order.
    #[error("{0}")]
    Protocol(String),
    /// There is not enough memory.
    #[error("no memory for {length} numbers of {dtype}")]
    Memory {
        /// How many numbers were to be stored.
        length: usize,
        /// Of which type.
        dtype: &'static str,
    },
    /// The latent is no longer finite.
    #[error("step {step}: {cause} at sigma {sigma} (images {images:?} of the batch)")]
    Numeric {
        /// 0-based step.
        step: usize,
        /// Noise level of the step.
        sigma: f64,
        /// Which images of the batch.
        images: Vec<usize>,
        /// What came of it.
        cause: String,
    },
}

impl Error {
    /// A configuration error of `field`.
    pub fn config(field: &'static str, value: impl ToString, allowed: impl Into<String>) -> Self {
        Self::Config { field, value: value.to_string(), allowed: allowed.into() }
    }
}
