//! The samplers: one file each, which turns a step of the schedule into coefficients.
//!
//! A new sampler is a file with `plan` (and `check`, if it refuses something) and a row of [`TABLE`]; see
//! `docs/your-own-sampler.md`.

mod euler;
mod euler_ancestral;
mod naive;

use crate::config::Config;
use crate::error::Result;
use crate::real::Real;
use crate::schedule::Sqrt;

/// One step of the schedule, in the latent's dtype.
#[derive(Clone, Copy)]
pub struct Span<'a, T> {
    /// Number of steps of the run.
    pub steps: usize,
    /// Where the step starts.
    pub sigma: T,
    /// Where it ends.
    pub sigma_next: T,
    /// The square root to use.
    pub sqrt: Sqrt<'a, T>,
}

/// Noise that a step adds: `x += noise * s_noise * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Added<T> {
    /// The user's factor.
    pub s_noise: T,
    /// The standard deviation that the method asks for.
    pub scale: T,
}

/// What one step computes, in order: add `churn`, denoise at `sigma_hat`, step to `sigma_to`, pull towards the
/// reference, scale by `rescale` and add `noise`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan<T> {
    /// Noise before the model is called.
    pub churn: Option<Added<T>>,
    /// Where the model is called and the derivative taken.
    pub sigma_hat: T,
    /// Where the step goes to.
    pub sigma_to: T,
    /// Factor on the latent before `noise` is added; 1 for all but flow models.
    pub rescale: T,
    /// Noise after the step.
    pub noise: Option<Added<T>>,
}

/// A sampler.
#[derive(Debug)]
pub struct Method {
    /// Its name in the Python API.
    pub name: &'static str,
    /// Its name in a user interface.
    pub label: &'static str,
    pub(crate) plan_f32: fn(&Config, Span<'_, f32>) -> Plan<f32>,
    pub(crate) plan_f64: fn(&Config, Span<'_, f64>) -> Plan<f64>,
    /// Refuses a configuration or schedule with which the method makes no sense.
    pub check: fn(&Config, &[f64]) -> Result<()>,
}

macro_rules! row {
    ($name:literal, $label:literal, $module:ident, $check:expr) => {
        Method { name: $name, label: $label, plan_f32: $module::plan, plan_f64: $module::plan, check: $check }
    };
}

/// Every sampler.
pub static TABLE: &[Method] = &[
    row!("euler_a", "Euler a", euler_ancestral, euler_ancestral::check),
    row!("euler", "Euler", euler, anything_goes),
    row!("naive", "Naive", naive, anything_goes),
];

/// The sampler of a default configuration.
pub static DEFAULT: &Method = &TABLE[0];

/// The sampler called `name`.
pub fn by_name(name: &str) -> Option<&'static Method> {
    TABLE.iter().find(|method| method.name == name)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a check")]
fn anything_goes(_: &Config, _: &[f64]) -> Result<()> {
    Ok(())
}

impl<T: Real> Plan<T> {
    /// Whether every coefficient is a finite number.
    pub fn is_finite(&self) -> bool {
        let added = |noise: Option<Added<T>>| noise.is_none_or(|noise| noise.scale.is_finite());
        self.sigma_hat.is_finite()
            && self.sigma_to.is_finite()
            && self.rescale.is_finite()
            && added(self.churn)
            && added(self.noise)
    }
}
