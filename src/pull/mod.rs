//! The pull towards a reference image: of the model's answer before a step ([`answer`]), or of the latent after it
//! ([`step`]).

mod answer;
mod lowpass;
mod options;
mod reference;
mod step;

pub use options::{RefMatch, RefMethod, ReferenceOptions, progress};
pub use reference::Reference;
pub use step::{Look, Pull, normalize_reference};

/// The low-pass of a line of `length` cells as a matrix, row after row; None where all details stay.
#[must_use]
pub fn lowpass_matrix(length: usize, detail: f64) -> Option<Vec<f64>> {
    lowpass::Lowpass::new(detail).map(|lowpass| lowpass.matrix(length))
}
