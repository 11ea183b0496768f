//! The directions: what a step takes from the model's answer and the history, one file for each kind of momentum.

mod classic;
mod lead;
mod options;
mod plain;

pub use classic::{Classic, Sign};
pub(crate) use lead::Ahead;
pub use lead::Lead;
pub use options::{HistoryInit, MomentumMode, MomentumOptions, MomentumSign};
pub(crate) use plain::Plain;

use crate::formula::{Formula, Point};
use crate::measure::Measured;
use crate::noise;
use crate::real::Real;

/// A kind of momentum, with the factors of one step and image.
pub(crate) trait Direction<T: Real>: Copy + Sync {
    /// Whether it reads and writes the history.
    const HISTORY: bool = true;

    /// The derivative that the step goes along, and the history after the step. The derivative of `form` is taken at
    /// the level `sigma_hat`.
    fn derivative<F: Formula<T>>(self, form: F, point: Point<T>, history: T, sigma_hat: T) -> (T, T);

    /// The latent after a step of length `dt`, and the history.
    #[inline(always)]
    fn step<F: Formula<T>>(self, form: F, point: Point<T>, history: T, sigma_hat: T, dt: T) -> (T, T) {
        let (m, history) = self.derivative(form, point, history, sigma_hat);
        (point.x + m * dt, history)
    }
}

/// The direction of one step.
#[derive(Debug, Clone)]
pub enum Directed<T> {
    /// The solver's own.
    Plain,
    /// That of the original, for each image or one for all.
    Classic(Vec<Classic<T>>),
    /// The denoised image ahead of the history; how far, is measured.
    Lead(Lead),
}

/// What the direction of a step depends on.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    /// 0-based step.
    pub step: usize,
    /// Number of steps.
    pub steps: usize,
    /// Whether the step ends at sigma 0.
    pub ends_at_zero: bool,
    /// How many times as much noise as now the latent had, in units of the image in it, when the model answered before;
    /// none in the first step.
    pub fell: Option<f64>,
    /// How much of a change of the first answer, on which no momentum acted, would now be one of the present answer; 0
    /// in all but the second step.
    pub first_left: f64,
    /// The level at which the model answered.
    pub sigma_hat: f64,
    /// The factor of the clean image in what it saw: 1, for a flow model 1 - `sigma_hat`.
    pub clean: f64,
    /// Whether any step of the run has momentum.
    pub acts: bool,
    /// Whether there is a history.
    pub has_history: bool,
    /// The seeds of the images.
    pub seeds: &'a [u64],
}

impl MomentumOptions {
    /// The direction of a step.
    #[must_use]
    pub fn direction<T: Real>(&self, present: Present<'_>) -> Directed<T> {
        let Present { step, steps, sigma_hat, clean, acts, has_history, seeds, .. } = present;
        let (momentum, momentum_hist) = (self.at(step, steps), self.momentum_hist.at(step));
        match self.momentum_mode {
            MomentumMode::Lead if acts => {
                let guard = self.lead_guard;
                let p = if has_history { (1.0 - momentum) * reach(guard, &present) } else { 0.0 };
                let catch_up = if guard > 0.0 { (1.0 - momentum) * present.first_left } else { 0.0 };
                let k = if has_history { momentum_hist } else { 0.0 };
                Directed::Lead(Lead { p, catch_up, k, guard, sigma_hat, clean })
            }
            MomentumMode::Classic if momentum < 1.0 => {
                let classic = |sign| {
                    let factors = Classic::new(momentum, momentum_hist, sign);
                    if has_history { factors } else { factors.beginning() }
                };
                Directed::Classic(match &self.momentum_sign {
                    MomentumSign::Always(sign) => vec![classic(*sign)],
                    MomentumSign::Sequence(signs) => vec![classic(signs[step])],
                    MomentumSign::Rand => {
                        let sign = |&seed| if noise::coin(seed, step) { Sign::Pos } else { Sign::Neg };
                        seeds.iter().map(|seed| classic(sign(seed))).collect()
                    }
                })
            }
            _ => Directed::Plain,
        }
    }
}

/// How far ahead a lead goes in a step, in units of `1 - momentum`: 1, but as far as the answer may be taken to go on
/// in the square of the level where the step ends at sigma 0.
fn reach(guard: f64, present: &Present<'_>) -> f64 {
    match present.fell {
        _ if !present.ends_at_zero => 1.0,
        Some(fell) if guard > 0.0 && fell > 1.0 => (2.0 / (fell * fell - 1.0)).min(1.0),
        _ => 0.0,
    }
}

impl<T: Real> Directed<T> {
    /// Whether it reads and writes the history.
    #[must_use]
    pub fn uses_history(&self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// What must measure the images first, if anything.
    #[must_use]
    pub fn guarded(&self) -> Option<&Lead> {
        match self {
            Self::Lead(lead) if lead.is_guarded() => Some(lead),
            _ => None,
        }
    }

    /// The same for one image, which was measured if that is needed.
    #[must_use]
    pub(crate) fn of_image(&self, image: usize, measured: Option<&Measured>) -> OfImage<T> {
        match self {
            Self::Plain => OfImage::Plain,
            Self::Classic(factors) => OfImage::Classic(factors[image % factors.len()]),
            Self::Lead(lead) => OfImage::Lead(lead.ahead(measured)),
        }
    }
}

/// The direction of one step for one image.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OfImage<T> {
    /// The solver's own.
    Plain,
    /// That of the original.
    Classic(Classic<T>),
    /// The denoised image ahead of the history.
    Lead(Ahead<T>),
}
