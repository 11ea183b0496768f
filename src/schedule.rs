//! Noise schedules: sigmas, the ancestral split of a step, elementary functions of its numbers.

use crate::error::{Error, Result};
use crate::real::Real;

/// The most steps of a run. At a millisecond each it would take twenty minutes; the stages of more fill the memory
/// before the first of them is made.
const MOST_STEPS: usize = 1_000_000;

/// Checks that `sigmas` is a schedule: one value or more, finite, at least 0, no step from 0, not over a million steps.
///
/// Neighbours may be equal, the last value need not be 0, and a rising schedule (inversion) is a schedule;
/// a solver may refuse one. A single value means no step.
///
/// # Errors
/// [`Error::Schedule`] with the position and the value.
pub fn validate(sigmas: &[f64]) -> Result<()> {
    let Some(before_last) = sigmas.len().checked_sub(1) else {
        return Err(Error::Schedule("empty; must hold one more value than there are steps".into()));
    };
    if before_last > MOST_STEPS {
        return Err(Error::Schedule(format!("has {before_last} steps; at most {MOST_STEPS} can be made")));
    }
    for (i, &sigma) in sigmas.iter().enumerate() {
        if !sigma.is_finite() || sigma < 0.0 {
            return Err(Error::Schedule(format!(
                "value {i} is {sigma:?}; each must be finite and at least 0"
            )));
        }
        if sigma == 0.0 && i < before_last {
            return Err(Error::Schedule(format!(
                "value {i} is 0; there is no step from sigma 0, it must come last"
            )));
        }
    }
    Ok(())
}

/// The elementary functions of a schedule's numbers: a host's own, or [`Elementary::own`].
///
/// A host that computes its schedule with a library whose functions are not correctly rounded (MKL's square root, on
/// some processors, is off by the last bit one time in seven) gets the host's bits only with the host's functions.
#[derive(Clone, Copy)]
pub struct Elementary<'a, T>(&'a dyn Fn(Function, T) -> T);

/// An elementary function of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The square root.
    Sqrt,
    /// The exponential function.
    Exp,
    /// The natural logarithm.
    Log,
    /// exp(x) - 1, without cancellation near 0.
    Expm1,
}

impl<'a, T: Real> Elementary<'a, T> {
    /// A host's functions.
    pub fn of_host(call: &'a dyn Fn(Function, T) -> T) -> Self {
        Self(call)
    }

    /// Computed in double precision and rounded once, by code that is the same on every system.
    pub fn own() -> Self {
        Self(&|function, value: T| {
            T::of(match function {
                Function::Sqrt => value.wide().sqrt(),
                Function::Exp => libm::exp(value.wide()),
                Function::Log => libm::log(value.wide()),
                Function::Expm1 => libm::expm1(value.wide()),
            })
        })
    }

    /// The square root.
    pub fn sqrt(&self, value: T) -> T {
        (self.0)(Function::Sqrt, value)
    }

    /// The exponential function.
    pub fn exp(&self, value: T) -> T {
        (self.0)(Function::Exp, value)
    }

    /// The natural logarithm.
    pub fn log(&self, value: T) -> T {
        (self.0)(Function::Log, value)
    }

    /// exp(value) - 1.
    pub fn expm1(&self, value: T) -> T {
        (self.0)(Function::Expm1, value)
    }
}

/// The two parts of an ancestral step: down to `sigma_down` without noise, then up again by fresh noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AncestralSplit<T> {
    /// Where the deterministic part of the step ends.
    pub sigma_down: T,
    /// Factor on the latent before noise is added; 1 except for flow models.
    pub rescale: T,
    /// Standard deviation of the noise.
    pub sigma_up: T,
}

/// Splits the step from `sigma` to `sigma_next`, in the latent's dtype.
///
/// `sigma_up = min(sigma_next, eta sqrt(sigma_next^2 (sigma^2 - sigma_next^2) / sigma^2))`,
/// `sigma_down = sqrt(sigma_next^2 - sigma_up^2)`, as `get_ancestral_step` of k-diffusion, which
/// writes the variance of Song et al., "Denoising Diffusion Implicit Models" (2020), eq. 16, in sigmas.
pub fn ancestral_split<T: Real>(
    sigma: T,
    sigma_next: T,
    eta: f64,
    elementary: Elementary<'_, T>,
) -> AncestralSplit<T> {
    if eta == 0.0 {
        return AncestralSplit { sigma_down: sigma_next, rescale: T::one(), sigma_up: T::zero() };
    }
    let (from2, to2) = (sigma * sigma, sigma_next * sigma_next);
    let up = T::of(eta) * elementary.sqrt(to2 * (from2 - to2) / from2);
    // `min` as Python's: NaN must not be replaced by the other number.
    let sigma_up = if up < sigma_next || up.is_nan() { up } else { sigma_next };
    let sigma_down = elementary.sqrt(to2 - sigma_up * sigma_up);
    AncestralSplit { sigma_down, rescale: T::one(), sigma_up }
}

/// The same for a flow-matching model, where noise must not change how much of the image is left.
///
/// `ratio = 1 + (sigma_next / sigma - 1) eta`, `sigma_down = sigma_next ratio`; after the step the latent is
/// scaled by `(1 - sigma_next) / (1 - sigma_down)` and noise of the missing variance is added: the
/// rectified-flow form of the ancestral step (`sample_euler_ancestral_RF` of `ComfyUI`).
pub fn ancestral_split_flow<T: Real>(
    sigma: T,
    sigma_next: T,
    eta: f64,
    elementary: Elementary<'_, T>,
) -> AncestralSplit<T> {
    let one = T::one();
    let ratio = one + (sigma_next / sigma - one) * T::of(eta);
    let sigma_down = sigma_next * ratio;
    if sigma_down == sigma_next {
        return AncestralSplit { sigma_down, rescale: one, sigma_up: T::zero() };
    }
    let (left, left_down) = (one - sigma_next, one - sigma_down);
    let kept = sigma_down * sigma_down * (left * left) / (left_down * left_down);
    // Rounding may leave a tiny negative number where all the variance is kept.
    let sigma_up = elementary.sqrt((sigma_next * sigma_next - kept).max(T::zero()));
    AncestralSplit { sigma_down, rescale: left / left_down, sigma_up }
}
