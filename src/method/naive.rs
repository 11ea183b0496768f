//! Euler's method without churn, followed by a jitter: the naive sampler of stable-diffusion-webui-sonar.

use super::{Added, Plan, Span};
use crate::config::Config;
use crate::real::Real;

/// Standard deviation of the noise that is added after every step, the last too.
const JITTER: f64 = 1e-5;

pub(super) fn plan<T: Real>(_: &Config, span: Span<'_, T>) -> Plan<T> {
    let Span { sigma, sigma_next, .. } = span;
    let jitter = Added { s_noise: T::one(), scale: T::of(JITTER) };
    Plan { churn: None, sigma_hat: sigma, sigma_to: sigma_next, rescale: T::one(), noise: Some(jitter) }
}
