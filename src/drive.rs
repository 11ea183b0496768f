//! The callback loop on a [`Stepper`].

use ndarray::{ArrayD, ArrayViewD};

use crate::error::{Error, Result};
use crate::real::Real;
use crate::stepper::{Request, Stepper};
use crate::update::Arrays;

/// Runs `stepper` from `x` to the end and returns the result.
///
/// `denoise(x, sigma)` answers the denoised latent, shaped like `x`. `history` is the one that the stepper was told
/// of. Noise comes from the stepper's seeds.
///
/// # Errors
/// An answer of another shape, what [`Stepper::advance`] refuses, and any error of `denoise`.
pub fn run<T: Real>(
    mut stepper: Stepper<T>,
    x: ArrayD<T>,
    history: Option<ArrayD<T>>,
    mut denoise: impl FnMut(ArrayViewD<'_, T>, T) -> Result<ArrayD<T>>,
) -> Result<ArrayD<T>> {
    let mut x = x.as_standard_layout().into_owned();
    let mut noise = ArrayD::zeros(x.raw_dim());
    let mut denoised = ArrayD::zeros(x.raw_dim());
    let mut history = history.unwrap_or_else(|| ArrayD::zeros(x.raw_dim())).as_standard_layout().into_owned();
    stepper.start_history(flat(&x), flat_mut(&mut history));
    loop {
        let drawn = match stepper.request()? {
            Request::Done => return Ok(x),
            Request::Denoise { sigma } => {
                denoised = denoise(x.view(), sigma)?.as_standard_layout().into_owned();
                if denoised.shape() != x.shape() {
                    return Err(Error::Shape {
                        what: "the denoiser's answer",
                        found: denoised.shape().to_vec(),
                        allowed: format!("must be {:?} like the latent", x.shape()),
                    });
                }
                if stepper.draws_after_denoising() {
                    stepper.await_noise()?;
                    continue;
                }
                &[]
            }
            Request::Noise { .. } => {
                stepper.draw(flat_mut(&mut noise));
                flat(&noise)
            }
        };
        if stepper.asks_for_churn() {
            stepper.churn(&[], drawn, flat_mut(&mut x))?;
        } else {
            stepper.advance(Arrays {
                x: &[],
                denoised: flat(&denoised),
                noise: drawn,
                reference: &[],
                history: flat_mut(&mut history),
                momentum_d: &mut [],
                out: flat_mut(&mut x),
            })?;
        }
    }
}

fn flat<T>(array: &ArrayD<T>) -> &[T] {
    array.as_slice().unwrap_or_default()
}

fn flat_mut<T>(array: &mut ArrayD<T>) -> &mut [T] {
    array.as_slice_mut().unwrap_or_default()
}
