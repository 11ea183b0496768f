//! Euler's method with churn: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative
//! Models" (2022), algorithm 2 without the second-order correction; `sample_euler` of k-diffusion.

use super::{Added, Plan, Span};
use crate::config::Config;
use crate::real::Real;

pub(super) fn plan<T: Real>(config: &Config, span: Span<'_, T>) -> Plan<T> {
    let Span { steps, sigma, sigma_next, sqrt } = span;
    let churns = T::of(config.s_tmin) <= sigma && sigma <= T::of(config.s_tmax);
    let gamma =
        if churns { (config.s_churn / steps as f64).min(std::f64::consts::SQRT_2 - 1.0) } else { 0.0 };
    let sigma_hat = sigma * T::of(gamma + 1.0);
    let churn = (gamma > 0.0).then(|| Added {
        s_noise: T::of(config.s_noise),
        scale: sqrt(sigma_hat * sigma_hat - sigma * sigma),
    });
    Plan { churn, sigma_hat, sigma_to: sigma_next, rescale: T::one(), noise: None }
}
