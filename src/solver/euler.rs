//! Euler's method with churn: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative
//! Models" (2022), algorithm 2 without the second-order correction; `sample_euler` of k-diffusion.

use super::{Added, Facts, Level, Move, Noise, Solver, SolverOptions, Span, Stage};
use crate::formula::{Euler, Form};
use crate::real::Real;

pub(super) struct EulerMethod;

impl Solver for EulerMethod {
    const FACTS: Facts = Facts {
        label: "Euler",
        help: "deterministic, first order.",
        calls: 1,
        options: &["s_churn", "s_tmin", "s_tmax", "s_noise"],
        noise: Noise::Churn,
        leads: true,
        flows: true,
    };

    fn stages<T: Real>(options: &SolverOptions, span: Span<'_, T>) -> Vec<Stage<T>> {
        let Churned { mut stages, sigma_hat, at } = churned(options, span);
        let form = Form::Euler(Euler { sigma_hat, dt: span.sigma_next - sigma_hat });
        stages.push(Stage::Denoise(at));
        stages.push(Stage::Move(Move::Step {
            form,
            sigma_hat,
            sigma_to: span.sigma_next,
            rescale: T::one(),
            noise: None,
        }));
        stages
    }
}

/// The beginning of a step with churn.
pub(super) struct Churned<T> {
    /// The stages that add it; none where there is no churn.
    pub(super) stages: Vec<Stage<T>>,
    /// The level to which it raises the latent.
    pub(super) sigma_hat: T,
    /// The same level, as a stage has it.
    pub(super) at: Level<T>,
}

/// Adds noise before the model is called: `gamma = min(s_churn / n, sqrt(2) - 1)`, `sigma_hat = sigma (1 + gamma)`.
pub(super) fn churned<T: Real>(options: &SolverOptions, span: Span<'_, T>) -> Churned<T> {
    let Span { steps, sigma, elementary, .. } = span;
    let churns = T::of(options.s_tmin) <= sigma && sigma <= T::of(options.s_tmax);
    let gamma =
        if churns { (options.s_churn / steps as f64).min(std::f64::consts::SQRT_2 - 1.0) } else { 0.0 };
    let sigma_hat = sigma * T::of(gamma + 1.0);
    if gamma <= 0.0 {
        return Churned { stages: Vec::new(), sigma_hat, at: Level::Start };
    }
    let added = Added::new(options.s_noise, elementary.sqrt(sigma_hat * sigma_hat - sigma * sigma));
    let stages = vec![Stage::Noise { from: Level::Start, to: Level::End }, Stage::Move(Move::Churn(added))];
    Churned { stages, sigma_hat, at: Level::At(sigma_hat) }
}
