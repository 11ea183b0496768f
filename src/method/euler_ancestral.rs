//! Ancestral sampling with Euler steps: `sample_euler_ancestral` of k-diffusion, and its rectified-flow form.

use super::{Added, Plan, Span};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::real::Real;
use crate::schedule::{ancestral_split, ancestral_split_flow};

pub(super) fn plan<T: Real>(config: &Config, span: Span<'_, T>) -> Plan<T> {
    let Span { sigma, sigma_next, sqrt, .. } = span;
    let split = if config.flow {
        ancestral_split_flow(sigma, sigma_next, config.eta, sqrt)
    } else {
        ancestral_split(sigma, sigma_next, config.eta, sqrt)
    };
    // A draw for every step that does not end at 0, even one that counts for nothing: k-diffusion draws it too.
    let noise =
        (sigma_next > T::zero()).then(|| Added { s_noise: T::of(config.s_noise), scale: split.sigma_up });
    Plan { churn: None, sigma_hat: sigma, sigma_to: split.sigma_down, rescale: split.rescale, noise }
}

pub(super) fn check(config: &Config, sigmas: &[f64]) -> Result<()> {
    if let Some(i) = sigmas.windows(2).position(|pair| pair[1] > pair[0]) {
        return Err(Error::Schedule(format!(
            "value {} rises from {:?} to {:?}; euler_a needs a schedule that never rises (euler and naive take one)",
            i + 1,
            sigmas[i],
            sigmas[i + 1]
        )));
    }
    match sigmas.first() {
        Some(&first) if config.flow && first > 1.0 => Err(Error::Schedule(format!(
            "value 0 is {first:?}; a flow model's sigmas are in [0, 1] (flow = True)"
        ))),
        _ => Ok(()),
    }
}
