//! Momentum that runs ahead: the answer is extrapolated beyond a history of answers.
//!
//! With `D` the denoised latent, `H` the history of denoised latents, `p = 1 - momentum`, `k = momentum_hist`:
//!
//! ```text
//! e  = p (D - H)                          0 in the first step, and in a step that ends at sigma 0
//! e <- e guard std(D) / rms(e)            if that is smaller (guard 0: never)
//! H <- k H + (1 - k) D                    the first H is D
//! the solver's derivative is taken with D + e in the place of D
//! ```
//!
//! `std` and `rms` are taken per image. On equal steps in log sigma, `p = 1/2`, `k = 0` without the guard is
//! DPM-Solver++(2M); the guard is what lets the second-order term work at few steps and under guidance.

use super::Direction;
use crate::formula::{Formula, Point};
use crate::measure::Measured;
use crate::real::Real;

/// The factors of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lead<T> {
    p: f64,
    guard: f64,
    /// How far ahead.
    ahead: T,
    /// What the guard leaves of that.
    left: T,
    /// Factor of the old history in the new one.
    keep: T,
    /// Factor of the answer in the new history.
    add: T,
}

impl<T: Real> Lead<T> {
    /// The factors for a step that leads by `p` and keeps `k` of its history.
    #[must_use]
    pub fn new(p: f64, k: f64, guard: f64) -> Self {
        Self { p, guard, ahead: T::of(p), left: T::one(), keep: T::of(k), add: T::of(1.0 - k) }
    }

    /// Whether the guard can shorten the step's lead.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.p > 0.0 && self.guard > 0.0
    }

    /// The same for an image with these measures.
    #[must_use]
    pub(crate) fn guarded(self, measured: &Measured) -> Self {
        let (limit, size) = (self.guard * measured.std(), self.p * measured.distance());
        if size > limit { Self { left: T::of(limit / size), ..self } } else { self }
    }
}

impl<T: Real> Direction<T> for Lead<T> {
    #[inline(always)]
    fn derivative<F: Formula<T>>(self, form: F, point: Point<T>, history: T, sigma_hat: T) -> (T, T) {
        let denoised = point.denoised;
        let e = self.ahead * (denoised - history) * self.left;
        let m = form.derivative(Point { denoised: denoised + e, ..point }, sigma_hat);
        (m, self.keep * history + self.add * denoised)
    }
}
