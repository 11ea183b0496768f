//! The pull of the latent after a step: the guidance of the extension stable-diffusion-webui-sonar by Kahsolt.
//!
//! The reference is normalised once, per image and channel over the spatial axes, to mean 0 and standard
//! deviation 1 (`r`). At a step, with `mean` and `std` per image over all other axes and `f` the factor:
//!
//! | method | update |
//! |---|---|
//! | linear | `shift = r std(x) + mean(x)`; `x = (1-f) x + f shift` |
//! | euler | `shift = r std(D) + mean(D)`; `x += (x - shift) / sigma ((sigma_next - sigma) f)` |

use ndarray::{ArrayD, ArrayViewD};

use super::RefMethod;
use crate::error::{Error, Result};
use crate::moments::Moments;
use crate::real::Real;

/// The factors of one step's pull.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pull<T> {
    /// `x = keep x + f shift`.
    Linear {
        /// `1 - f`
        keep: T,
        /// `f`
        f: T,
    },
    /// `x += (x - shift) / sigma dt`.
    Euler {
        /// The step's first sigma.
        sigma: T,
        /// `(sigma_next - sigma) f`
        dt: T,
    },
}

impl<T: Real> Pull<T> {
    /// The pull of `method` with `factor` in the step from `sigma` to `sigma_next`; none if it pulls the answer instead.
    pub fn new(method: RefMethod, factor: f64, sigma: T, sigma_next: T) -> Option<Self> {
        match method {
            RefMethod::Linear => Some(Self::Linear { keep: T::of(1.0 - factor), f: T::of(factor) }),
            RefMethod::Euler => Some(Self::Euler { sigma, dt: (sigma_next - sigma) * T::of(factor) }),
            RefMethod::Denoised => None,
        }
    }

    /// The latent `x` after the pull towards `shift`.
    #[inline(always)]
    pub fn apply(&self, x: T, shift: T) -> T {
        match *self {
            Self::Linear { keep, f } => keep * x + f * shift,
            Self::Euler { sigma, dt } => x + (x - shift) / sigma * dt,
        }
    }
}

/// Mean and spread that the reference takes on: those of the latent or of the denoised latent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look<T> {
    /// The mean.
    pub mean: T,
    /// The standard deviation, n - 1 denominator.
    pub std: T,
}

impl<T: Real> Look<T> {
    /// Of the numbers with these moments.
    pub fn of(moments: Moments) -> Self {
        Self { mean: T::of(moments.mean()), std: T::of(moments.std()) }
    }

    /// The reference `r` with this mean and spread.
    #[inline(always)]
    pub fn shift(&self, r: T) -> T {
        r * self.std + self.mean
    }
}

/// A reference that fits a latent of `shape`, normalised.
///
/// # Errors
/// [`Error::Shape`] if it is neither shaped like the latent nor one image of it; what [`normalize_reference`] refuses.
pub(super) fn fitting_reference<T: Real>(reference: ArrayViewD<'_, T>, shape: &[usize]) -> Result<Vec<T>> {
    let found = reference.shape();
    if found.len() != shape.len() || found[1..] != shape[1..] || (found[0] != shape[0] && found[0] != 1) {
        return Err(Error::Shape {
            what: "reference",
            found: found.to_vec(),
            allowed: format!("must be {shape:?} like the latent, or one image of it"),
        });
    }
    Ok(normalize_reference(reference)?.into_raw_vec_and_offset().0)
}

/// `(reference - mean) / std` per image and channel over the spatial axes, `std` with the n - 1 denominator.
///
/// `reference` is (batch, channel, spatial...).
///
/// # Errors
/// [`Error::Values`] if a channel is constant, has a single number, or is not finite.
pub fn normalize_reference<T: Real>(reference: ArrayViewD<'_, T>) -> Result<ArrayD<T>> {
    let shape = reference.shape().to_vec();
    let size: usize = shape.iter().skip(2).product();
    if shape.len() < 3 || size < 2 {
        return Err(Error::Shape {
            what: "reference",
            found: shape,
            allowed: "needs two spatial positions or more, after the axes batch and channel".into(),
        });
    }
    let mut normal = reference.as_standard_layout().into_owned();
    let channels = shape[1];
    let values = normal.as_slice_mut().unwrap_or_default();
    for (index, channel) in values.chunks_mut(size).enumerate() {
        let Look { mean, std } = Look::<T>::of(Moments::of(channel));
        if !(std.is_finite() && std > T::zero() && mean.is_finite()) {
            return Err(Error::Values {
                what: "reference",
                found: format!(
                    "channel {} of image {} has mean {mean:?} and standard deviation {std:?}",
                    index % channels,
                    index / channels
                ),
                allowed: "every channel must be finite and must not be constant".into(),
            });
        }
        for value in channel {
            *value = (*value - mean) / std;
        }
    }
    Ok(normal)
}
