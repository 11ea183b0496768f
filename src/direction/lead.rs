//! Momentum that runs ahead: the answer is extrapolated beyond a history of answers, as far as it can be trusted.
//!
//! With `x` the latent that the model saw at the level `sigma_hat`, `D` its answer, `H` the history of answers,
//! `p = 1 - momentum`, `k = momentum_hist`, `g = lead_guard`, per image:
//!
//! ```text
//! y     = x - D                                                 for a flow model x - (1 - sigma_hat) D
//! trust = clip(2 - rms(y) / sqrt(sigma_hat^2 + (std(D) / 2.5)^2), -1, 1)
//! turn  = <D - H, y> / <D - H, D - H>
//! q     = p                    in a step to sigma 0: p min(1, 2 / (r^2 - 1)), r the quotient of the last two levels
//! s     = c + q trust min(1, g std(D) / (q rms(D - H))) clip(1 + turn / 2, 1/2, 1)      trust > 0
//!         c + q trust                                                                  trust <= 0: a lag, it damps
//!         p                    g = 0; not in a step to sigma 0
//!         0                    in the first step, and where the above is not finite
//! c     = p W t / (sigma_hat - t)        in the second step, which goes to t; 0 in the others
//! H    <- k H + (1 - k) D                the first H is D
//! the solver's derivative is taken with D + s (D - H) in the place of D
//! ```
//!
//! `c` makes good what the first step could not know: its answer, of weight `W` in the latent, becomes the mean of itself
//! and the second (for `p = 1/2`; the trapezoid rule). On equal steps in log sigma, `p = 1/2`, `k = 0` without the guard
//! is DPM-Solver++(2M) (Lu et al., 2022). What the guard does and why is in docs/quality.md: a posterior mean has
//! E|y|^2 <= n sigma_hat^2 and turn >= 0, and an answer that strong guidance pushed off has not.

use super::Direction;
use crate::formula::{Formula, Point};
use crate::measure::{Measured, Sums};
use crate::moments::{Moments, totals};
use crate::real::Real;

/// What stands for the spread of the image in the noise that is to be expected: this part of the answer's own.
const SPREAD: f64 = 1.0 / 2.5;

/// The numbers of one step, for all images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lead {
    /// How far ahead where all is trusted.
    pub p: f64,
    /// What is added to that for the first step, whatever is trusted.
    pub catch_up: f64,
    /// How much of the history survives the step.
    pub k: f64,
    /// How far at most, in standard deviations of the answer; 0: everything is trusted.
    pub guard: f64,
    /// The level at which the model answered.
    pub sigma_hat: f64,
    /// The factor of the clean image in what it saw.
    pub clean: f64,
}

impl Lead {
    /// Whether it depends on what is seen of the image.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.p > 0.0 && self.guard > 0.0
    }

    /// Measures at most a block of one image.
    pub(crate) fn measure<T: Real>(&self, x: &[T], denoised: &[T], history: &[T]) -> Measured {
        let clean = T::of(self.clean);
        let first = denoised.first().copied().unwrap_or_else(T::zero);
        let [sum, squares, change, rest, product] = totals(
            [x, denoised, history],
            #[inline(always)]
            move |[x, denoised, history]| {
                let (value, change, rest) = (denoised - first, denoised - history, x - clean * denoised);
                [value, value * value, change * change, rest * rest, change * rest]
            },
        );
        Measured {
            values: Moments::around(first.wide(), denoised.len() as f64, sum, squares),
            sums: Sums { change, rest, product },
        }
    }

    /// How much of the answer's change is added to it: `s`.
    fn share(&self, measured: &Measured) -> f64 {
        let Measured { values, sums } = measured;
        let (count, std) = (values.count(), values.std());
        let expected = self.sigma_hat.hypot(self.clean * std * SPREAD);
        let trust = (2.0 - (sums.rest / count).sqrt() / expected).clamp(-1.0, 1.0);
        let share = if trust > 0.0 {
            let turn = if self.clean > 0.0 { sums.product / (self.clean * sums.change) } else { 0.0 };
            let limit = self.guard * std / (self.p * (sums.change / count).sqrt());
            self.p * trust * limit.min(1.0) * (1.0 + turn / 2.0).clamp(0.5, 1.0)
        } else {
            self.p * trust
        };
        let share = self.catch_up + share;
        if share.is_finite() { share } else { 0.0 }
    }

    /// The direction for an image, which was measured if the lead is guarded.
    pub(crate) fn ahead<T: Real>(&self, measured: Option<&Measured>) -> Ahead<T> {
        let share = measured.filter(|_| self.is_guarded()).map_or(self.p, |measured| self.share(measured));
        Ahead { share: T::of(share), keep: T::of(self.k), add: T::of(1.0 - self.k) }
    }
}

/// The factors for one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ahead<T> {
    /// Of the answer's change in what is ahead of it.
    share: T,
    /// Of the old history in the new one.
    keep: T,
    /// Of the answer in the new history.
    add: T,
}

impl<T: Real> Direction<T> for Ahead<T> {
    #[inline(always)]
    fn derivative<F: Formula<T>>(self, form: F, point: Point<T>, history: T, sigma_hat: T) -> (T, T) {
        let e = self.share * (point.denoised - history);
        let m = form.derivative(Point { denoised: point.denoised + e, ..point }, sigma_hat);
        (m, self.keep * history + self.add * point.denoised)
    }
}
