//! Euler's method without churn, followed by a jitter: the naive sampler of stable-diffusion-webui-sonar.

use super::{Added, Facts, Level, Move, Noise, Solver, SolverOptions, Span, Stage};
use crate::formula::{Euler, Form};
use crate::real::Real;

/// Standard deviation of the noise that is added after every step, the last too.
const JITTER: f64 = 1e-5;

pub(super) struct Naive;

impl Solver for Naive {
    const FACTS: Facts = Facts {
        label: "Naive",
        help: "Euler with a tiny jitter.",
        calls: 1,
        options: &[],
        noise: Noise::Private,
        leads: true,
        flows: true,
    };

    fn stages<T: Real>(_: &SolverOptions, span: Span<'_, T>) -> Vec<Stage<T>> {
        let Span { sigma, sigma_next, .. } = span;
        vec![
            Stage::Denoise(Level::Start),
            Stage::Noise { from: Level::Start, to: Level::End },
            Stage::Move(Move::Step {
                form: Form::Euler(Euler { sigma_hat: sigma, dt: sigma_next - sigma }),
                sigma_hat: sigma,
                sigma_to: sigma_next,
                rescale: T::one(),
                noise: Some(Added::new(1.0, T::of(JITTER))),
            }),
        ]
    }
}
