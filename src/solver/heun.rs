//! Heun's method with churn: Karras et al. (2022), algorithm 2; `sample_heun` of k-diffusion.
//!
//! The model is called at the start of the step and where Euler's step from there would end; the step goes along the
//! mean of both derivatives, which is what a momentum mixes. A step to sigma 0 is Euler's.

use super::euler::{Churned, churned};
use super::{Facts, Level, Move, Noise, Solver, SolverOptions, Span, Stage};
use crate::formula::{Derivatives, Euler, Form};
use crate::real::Real;

pub(super) struct Heun;

impl Solver for Heun {
    const FACTS: Facts = Facts {
        label: "Heun",
        help: "deterministic, second order, calls the model twice a step.",
        calls: 2,
        options: &["s_churn", "s_tmin", "s_tmax", "s_noise"],
        noise: Noise::Churn,
        leads: false,
        flows: true,
    };

    fn stages<T: Real>(options: &SolverOptions, span: Span<'_, T>) -> Vec<Stage<T>> {
        let Churned { mut stages, sigma_hat, at } = churned(options, span);
        let sigma_to = span.sigma_next;
        let euler = Euler { sigma_hat, dt: sigma_to - sigma_hat };
        let half = T::of(0.5);
        stages.push(Stage::Denoise(at));
        let form = if sigma_to > T::zero() {
            stages.push(Stage::Move(Move::Ahead { form: Form::Euler(euler), noise: None }));
            stages.push(Stage::Denoise(Level::End));
            // k-diffusion halves the sum: the same bits, since halving is exact.
            Form::Derivatives(Derivatives {
                ahead: euler,
                sigma_ahead: sigma_to,
                on_first: half,
                on_second: half,
                dt: euler.dt,
            })
        } else {
            Form::Euler(euler)
        };
        stages.push(Stage::Move(Move::Step { form, sigma_hat, sigma_to, rescale: T::one(), noise: None }));
        stages
    }
}
