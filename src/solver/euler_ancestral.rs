//! Ancestral sampling with Euler steps: `sample_euler_ancestral` of k-diffusion, and its rectified-flow form.

use super::{Added, Facts, Level, Move, Noise, Solver, SolverOptions, Span, Stage, must_fall};
use crate::error::{Error, Result};
use crate::formula::{Euler, Form};
use crate::real::Real;
use crate::schedule::{ancestral_split, ancestral_split_flow};

pub(super) struct EulerAncestral;

impl Solver for EulerAncestral {
    const FACTS: Facts = Facts {
        label: "Euler a",
        help: "adds fresh noise at each step.",
        calls: 1,
        options: &["eta", "s_noise"],
        noise: Noise::Independent,
        leads: true,
        flows: true,
    };

    fn stages<T: Real>(options: &SolverOptions, span: Span<'_, T>) -> Vec<Stage<T>> {
        let Span { sigma, sigma_next, elementary, .. } = span;
        let split = if options.flow {
            ancestral_split_flow(sigma, sigma_next, options.eta, elementary)
        } else {
            ancestral_split(sigma, sigma_next, options.eta, elementary)
        };
        let mut stages = vec![Stage::Denoise(Level::Start)];
        // A draw for every step that does not end at 0, even one that counts for nothing: k-diffusion draws it too.
        let draws = sigma_next > T::zero();
        if draws {
            stages.push(Stage::Noise { from: Level::Start, to: Level::End });
        }
        stages.push(Stage::Move(Move::Step {
            form: Form::Euler(Euler { sigma_hat: sigma, dt: split.sigma_down - sigma }),
            sigma_hat: sigma,
            sigma_to: split.sigma_down,
            rescale: split.rescale,
            noise: draws.then(|| Added::new(options.s_noise, split.sigma_up)),
        }));
        stages
    }

    fn check(options: &SolverOptions, sigmas: &[f64]) -> Result<()> {
        must_fall("euler_a", sigmas)?;
        match sigmas.first() {
            Some(&first) if options.flow && first > 1.0 => Err(Error::Schedule(format!(
                "value 0 is {first:?}; a flow model's sigmas are in [0, 1] (flow = True)"
            ))),
            _ => Ok(()),
        }
    }
}
