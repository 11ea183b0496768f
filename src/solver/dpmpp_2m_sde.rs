//! DPM-Solver++(2M) SDE, midpoint: `sample_dpmpp_2m_sde` of k-diffusion (after Lu et al. 2022, arXiv 2211.01095).
//!
//! With `h` the step in log sigma, the step goes, without its noise, to `sigma_next exp(-eta h)`, towards the answer
//! extrapolated by half of its change: `D_d = D + (D - D_older)/(2r)`. A momentum mixes `(x - D_d)/sigma`.

use super::must_move;
use super::{Added, Facts, Level, Move, Noise, Solver, SolverOptions, Span, Stage};
use crate::error::Result;
use crate::formula::{Exponential, Form, MultistepSde};
use crate::real::Real;

pub(super) struct Dpmpp2mSde;

impl Solver for Dpmpp2mSde {
    const FACTS: Facts = Facts {
        label: "DPM++ 2M SDE",
        help: "adds fresh noise at each step, second order with one call of the model a step.",
        calls: 1,
        options: &["eta", "s_noise"],
        noise: Noise::Brownian,
        leads: false,
        flows: false,
    };

    fn stages<T: Real>(options: &SolverOptions, span: Span<'_, T>) -> Vec<Stage<T>> {
        let Span { previous, sigma, sigma_next, elementary, .. } = span;
        let step = |form, sigma_to, noise| {
            Stage::Move(Move::Step { form, sigma_hat: sigma, sigma_to, rescale: T::one(), noise })
        };
        if sigma_next == T::zero() {
            let denoised = Form::Exponential(Exponential { keep: T::zero(), weight: -T::one() });
            return vec![Stage::Denoise(Level::Start), step(denoised, T::zero(), None)];
        }
        let log = |sigma| -elementary.log(sigma);
        let (t, s) = (log(sigma), log(sigma_next));
        let h = s - t;
        let eta_h = T::of(options.eta) * h;
        let decay = elementary.exp(-eta_h);
        let weight = elementary.expm1(-h - eta_h);
        let exponential = Exponential { keep: sigma_next / sigma * decay, weight };
        let form = match previous {
            Some(previous) => {
                let r = (t - log(previous)) / h;
                let (half, inverse) = (T::of(0.5), T::one() / r);
                Form::MultistepSde(MultistepSde {
                    exponential,
                    on_change: half * -weight * inverse,
                    ahead: half * inverse,
                })
            }
            None => Form::Exponential(exponential),
        };
        let mut stages = vec![Stage::Denoise(Level::Start)];
        let draws = options.eta > 0.0;
        if draws {
            stages.push(Stage::Noise { from: Level::Start, to: Level::End });
        }
        let spread = || elementary.sqrt(-elementary.expm1(T::of(-2.0) * eta_h));
        let noise = draws.then(|| Added { factors: [sigma_next, spread(), T::of(options.s_noise)] });
        stages.push(step(form, sigma_next * decay, noise));
        stages
    }

    fn check(_: &SolverOptions, sigmas: &[f64]) -> Result<()> {
        must_move("dpmpp_2m_sde", sigmas)
    }
}
