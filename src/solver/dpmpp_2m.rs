//! DPM-Solver++(2M): Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models"
//! (2022, arXiv 2211.01095), algorithm 2; `sample_dpmpp_2m` of k-diffusion.
//!
//! The answer is extrapolated with that of the step before: `D_d = (1 + 1/2r) D - 1/2r D_older`, `r` the ratio of the
//! steps in log sigma. A momentum mixes `(x - D_d)/sigma`, and the step goes to `sigma_next`.

use super::must_move;
use super::{Facts, Level, Move, Noise, Solver, SolverOptions, Span, Stage};
use crate::error::Result;
use crate::formula::{Exponential, Form, Multistep};
use crate::real::Real;

pub(super) struct Dpmpp2m;

impl Solver for Dpmpp2m {
    const FACTS: Facts = Facts {
        label: "DPM++ 2M",
        help: "deterministic, second order with one call of the model a step.",
        calls: 1,
        options: &[],
        noise: Noise::None,
        leads: false,
        flows: false,
    };

    fn stages<T: Real>(_: &SolverOptions, span: Span<'_, T>) -> Vec<Stage<T>> {
        let Span { previous, sigma, sigma_next, elementary, .. } = span;
        let log = |sigma| -elementary.log(sigma);
        let (t, t_next) = (log(sigma), log(sigma_next));
        let h = t_next - t;
        let exponential =
            Exponential { keep: elementary.exp(-t_next) / elementary.exp(-t), weight: elementary.expm1(-h) };
        let form = match previous {
            Some(previous) if sigma_next > T::zero() => {
                let r = (t - log(previous)) / h;
                let on_older = T::one() / (T::of(2.0) * r);
                Form::Multistep(Multistep { exponential, on_new: T::one() + on_older, on_older })
            }
            _ => Form::Exponential(exponential),
        };
        vec![
            Stage::Denoise(Level::Start),
            Stage::Move(Move::Step {
                form,
                sigma_hat: sigma,
                sigma_to: sigma_next,
                rescale: T::one(),
                noise: None,
            }),
        ]
    }

    fn check(_: &SolverOptions, sigmas: &[f64]) -> Result<()> {
        must_move("dpmpp_2m", sigmas)
    }
}
