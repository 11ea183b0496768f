//! DPM-Solver++ SDE: `sample_dpmpp_sde` of k-diffusion with r = 1/2 (after Lu et al. 2022, arXiv 2211.01095).
//!
//! The model is called at the start of the step and at its middle in log sigma, where noise is added; the step goes
//! from its start towards the second answer, and noise is added again. A momentum mixes `(x - D)/sigma` with the second
//! answer, and the step goes, without its noise, to the `sigma_down` of the ancestral split. A step to sigma 0 is
//! Euler's.

use super::must_move;
use super::{Added, Facts, Level, Move, Noise, Solver, SolverOptions, Span, Stage};
use crate::error::Result;
use crate::formula::{Euler, Exponential, Form};
use crate::real::Real;
use crate::schedule::ancestral_split;

pub(super) struct DpmppSde;

impl Solver for DpmppSde {
    const FACTS: Facts = Facts {
        label: "DPM++ SDE",
        help: "adds fresh noise at each step, calls the model twice a step.",
        calls: 2,
        options: &["eta", "s_noise"],
        noise: Noise::Brownian,
        leads: false,
        flows: false,
    };

    fn stages<T: Real>(options: &SolverOptions, span: Span<'_, T>) -> Vec<Stage<T>> {
        let Span { sigma, sigma_next, elementary, .. } = span;
        let step = |form, sigma_to, noise| {
            Stage::Move(Move::Step { form, sigma_hat: sigma, sigma_to, rescale: T::one(), noise })
        };
        if sigma_next == T::zero() {
            let euler = Form::Euler(Euler { sigma_hat: sigma, dt: sigma_next - sigma });
            return vec![Stage::Denoise(Level::Start), step(euler, sigma_next, None)];
        }
        let log = |sigma| -elementary.log(sigma);
        let level = |t: T| elementary.exp(-t);
        let (t, t_next) = (log(sigma), log(sigma_next));
        let s = t + (t_next - t) * T::of(0.5);
        let (start, middle, end) = (level(t), level(s), level(t_next));
        let part = |to| {
            let split = ancestral_split(start, to, options.eta, elementary);
            let down = log(split.sigma_down);
            let form = Form::Exponential(Exponential {
                keep: level(down) / start,
                weight: elementary.expm1(t - down),
            });
            (form, split.sigma_down, Added::new(options.s_noise, split.sigma_up))
        };
        let (ahead, _, noise_ahead) = part(middle);
        let (form, sigma_to, noise) = part(end);
        vec![
            Stage::Denoise(Level::Start),
            Stage::Noise { from: Level::At(start), to: Level::At(middle) },
            Stage::Move(Move::Ahead { form: ahead, noise: Some(noise_ahead) }),
            Stage::Denoise(Level::At(middle)),
            Stage::Noise { from: Level::At(start), to: Level::At(end) },
            step(form, sigma_to, Some(noise)),
        ]
    }

    fn check(_: &SolverOptions, sigmas: &[f64]) -> Result<()> {
        must_move("dpmpp_sde", sigmas)
    }
}
