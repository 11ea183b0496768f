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
