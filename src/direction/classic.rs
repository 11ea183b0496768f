//! The momentum equation of stable-diffusion-webui-sonar.
//!
//! With `d` the derivative `(x - denoised) / sigma`, `h` the history, `p = 1 - momentum`,
//! `q = 1 - momentum_hist`:
//!
//! | sign | corrected derivative `m` | history update |
//! |---|---|---|
//! | pos | `(1-p) d + p h` | `h <- (1-q) h + q m` |
//! | neg | `(1+p) d - p h` | `h <- (1+q) h - q m` |
//!
//! and the step is `x += m dt`. This is the rule of the extension stable-diffusion-webui-sonar by Kahsolt.
//! `pos` is a lag filter on the derivative; `neg` extrapolates, and its history grows (it has the pole
//! `1 + q (1 + p) > 1`), so it diverges with many steps.

use super::Direction;
use crate::formula::{Formula, Point};
use crate::options::choices;
use crate::real::Real;

choices! {
    /// Whether the history is added to the derivative or subtracted from it.
    pub enum Sign {
        /// Added.
        Pos = "pos",
        /// Subtracted.
        Neg = "neg",
    }
}

/// The four factors of one step: `m = on_d d + on_h h`, `h <- keep h + add m`.
///
/// Computed in double precision and rounded once, so that both signs and both dtypes equal the original's
/// arithmetic: `a - b h` and `a + (-b) h` are the same number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classic<T> {
    /// Factor of the derivative in the corrected derivative.
    pub on_d: T,
    /// Factor of the history in the corrected derivative.
    pub on_h: T,
    /// Factor of the old history in the new one.
    pub keep: T,
    /// Factor of the corrected derivative in the new history.
    pub add: T,
}

impl<T: Real> Classic<T> {
    /// The factors for `momentum` and `momentum_hist` in [0, 1].
    #[must_use]
    pub fn new(momentum: f64, momentum_hist: f64, sign: Sign) -> Self {
        let (p, q) = (1.0 - momentum, 1.0 - momentum_hist);
        let [on_d, on_h, keep, add] = match sign {
            Sign::Pos => [1.0 - p, p, 1.0 - q, q],
            Sign::Neg => [1.0 + p, -p, 1.0 + q, -q],
        };
        Self { on_d: T::of(on_d), on_h: T::of(on_h), keep: T::of(keep), add: T::of(add) }
    }

    /// The factors of a step before which there is no history: with a history of zeros, the first history is `m`
    /// itself, without the blend.
    #[must_use]
    pub fn beginning(self) -> Self {
        Self { keep: T::zero(), add: T::one(), ..self }
    }

    /// The corrected derivative.
    #[inline(always)]
    pub fn correct(&self, d: T, h: T) -> T {
        self.on_d * d + self.on_h * h
    }

    /// The history after a step of corrected derivative `m`.
    #[inline(always)]
    pub fn blend(&self, h: T, m: T) -> T {
        self.keep * h + self.add * m
    }
}

impl<T: Real> Direction<T> for Classic<T> {
    #[inline(always)]
    fn derivative<F: Formula<T>>(self, form: F, point: Point<T>, history: T, sigma_hat: T) -> (T, T) {
        let m = self.correct(form.derivative(point, sigma_hat), history);
        (m, self.blend(history, m))
    }
}
