//! The momentum equation.
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

use crate::real::Real;

/// Whether the history is added to the derivative or subtracted from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Added.
    Pos,
    /// Subtracted.
    Neg,
}

/// What the history is before the first step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryInit {
    /// There is none: the first step uses `h = 0`, and the first history is that step's `m`, without the blend.
    Zero,
    /// The initial, noised latent.
    RandInit,
    /// A fresh standard normal draw from the image's seed.
    RandNew,
}

/// The four factors of one step: `m = on_d d + on_h h`, `h <- keep h + add m`.
///
/// Computed in double precision and rounded once, so that both signs and both dtypes equal the original's
/// arithmetic: `a - b h` and `a + (-b) h` are the same number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum<T> {
    /// Factor of the derivative in the corrected derivative.
    pub on_d: T,
    /// Factor of the history in the corrected derivative.
    pub on_h: T,
    /// Factor of the old history in the new one.
    pub keep: T,
    /// Factor of the corrected derivative in the new history.
    pub add: T,
}

impl<T: Real> Momentum<T> {
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

    /// The corrected derivative.
    #[inline]
    pub fn correct(&self, d: T, h: T) -> T {
        self.on_d * d + self.on_h * h
    }

    /// The history after a step of corrected derivative `m`.
    #[inline]
    pub fn blend(&self, h: T, m: T) -> T {
        self.keep * h + self.add * m
    }
}
