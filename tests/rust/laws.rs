//! Laws of the samplers, on the Rust API alone: plain method, batches, threads, convergence, closed forms.

use proptest::prelude::*;
use sonar_sampler::config::{RunOptions, Seed};
use sonar_sampler::direction::{Classic, HistoryInit, MomentumMode, MomentumOptions, MomentumSign, Sign};
use sonar_sampler::options::{PerStep, StepPosition};
use sonar_sampler::run::{Manner, Start};
use sonar_sampler::schedule::Elementary;
use sonar_sampler::solver::{Sampler, SolverOptions};
use sonar_sampler::storage::Own;
use sonar_sampler::{Config, Result, Run, noise};

const DEVIATION: f64 = 0.7;
const MEAN: f64 = 0.2;

/// The posterior mean of a normal distribution.
fn denoise(x: f64, sigma: f64) -> f64 {
    let kept = DEVIATION * DEVIATION / (DEVIATION * DEVIATION + sigma * sigma);
    MEAN + kept * (x - MEAN)
}

fn latent(shape: &[usize], seed: u64) -> Vec<f64> {
    let mut x = vec![0.0; shape.iter().product()];
    let seeds: Vec<u64> = (0..shape[0] as u64).map(|image| seed + image).collect();
    noise::fill_batch(&mut x, &seeds, 0, noise::Purpose::Initial);
    x.iter().map(|x| x * 14.0).collect()
}

fn run(config: &Config, sigmas: &[f64], shape: &[usize], x: &[f64], threads: usize) -> Result<Vec<f64>> {
    let start = Start { shape, x: x.to_vec(), history: None, reference: None, mask: None };
    let manner = Manner { threads, ..Manner::default() };
    Run::new(&Own, config.clone(), sigmas, start, manner, Elementary::own())?
        .complete(|x, sigma| Ok(x.iter().map(|&x| denoise(x, sigma)).collect()))
}

fn config(sampler: Sampler, momentum: f64, momentum_hist: f64, sign: usize, init: HistoryInit) -> Config {
    let signs = [MomentumSign::Always(Sign::Pos), MomentumSign::Always(Sign::Neg), MomentumSign::Rand];
    Config {
        run: RunOptions { sampler, seed: Seed::First(40), ..RunOptions::default() },
        momentum: MomentumOptions {
            momentum: PerStep::Constant(momentum),
            momentum_hist: PerStep::Constant(momentum_hist),
            momentum_sign: signs[sign].clone(),
            momentum_hist_init: init,
            ..MomentumOptions::default()
        },
        solver: SolverOptions { s_churn: 1.0, ..SolverOptions::default() },
        ..Config::default()
    }
}

fn same_bits(left: &[f64], right: &[f64]) -> bool {
    left.iter().map(|x| x.to_bits()).eq(right.iter().map(|x| x.to_bits()))
}

fn samplers() -> impl Strategy<Value = Sampler> {
    prop::sample::select(Sampler::ALL)
}

fn inits() -> impl Strategy<Value = HistoryInit> {
    prop::sample::select(HistoryInit::ALL)
}

proptest! {
    #[test]
    fn momentum_1_is_the_plain_method(
        sampler in samplers(), hist in 0.0..=1.0, sign in 0_usize..3, init in inits(),
        mut sigmas in prop::collection::vec(0.05_f64..20.0, 1..6), ends in any::<bool>(),
    ) {
        sigmas.sort_by(|a, b| b.total_cmp(a));
        sigmas.dedup();
        if ends {
            sigmas.push(0.0);
        }
        let shape = [2, 3, 4];
        let x = latent(&shape, 1);
        let plain = run(&config(sampler, 1.0, 0.75, 0, HistoryInit::Zero), &sigmas, &shape, &x, 1)?;
        let other = run(&config(sampler, 1.0, hist, sign, init), &sigmas, &shape, &x, 1)?;
        prop_assert!(same_bits(&plain, &other));
    }

    #[test]
    fn momentum_outside_its_range_of_steps_is_off(
        sampler in samplers(), momentum in 0.0..1.0, start in 0_u64..6, stop in 0_u64..6,
    ) {
        prop_assume!(start <= stop);
        let (shape, sigmas) = ([1, 2, 5], [9.0, 6.0, 4.0, 1.0, 0.5, 0.0]);
        let x = latent(&shape, 1);
        let mut ranged = config(sampler, momentum, 0.6, 0, HistoryInit::Zero);
        ranged.momentum.momentum_start = StepPosition::Index(start);
        ranged.momentum.momentum_stop = StepPosition::Index(stop);
        let mut listed = config(sampler, momentum, 0.6, 0, HistoryInit::Zero);
        let at = |step| if (start..=stop).contains(&step) { momentum } else { 1.0 };
        listed.momentum.momentum = PerStep::Sequence((0..5).map(at).collect());
        let (ranged, listed) = (run(&ranged, &sigmas, &shape, &x, 1)?, run(&listed, &sigmas, &shape, &x, 1)?);
        prop_assert!(same_bits(&ranged, &listed));
    }

    #[test]
    fn a_batch_is_its_images_made_alone(
        sampler in samplers(), momentum in 0.0..=1.0, hist in 0.0..=1.0, sign in 0_usize..3, init in inits(),
        leads in any::<bool>(),
    ) {
        let sigmas = [9.0, 4.0, 1.0, 0.0];
        let (x, mut config) = (latent(&[3, 2, 5], 1), config(sampler, momentum, hist, sign, init));
        if leads && sampler.facts().leads {
            config.momentum.momentum_mode = MomentumMode::Lead;
            config.momentum.momentum_sign = MomentumSign::Always(Sign::Pos);
            config.momentum.momentum_hist_init = HistoryInit::Zero;
        }
        let together = run(&config, &sigmas, &[3, 2, 5], &x, 1)?;
        for (image, (x, together)) in (0..).zip(x.chunks(10).zip(together.chunks(10))) {
            config.run.seed = Seed::First(40 + image);
            prop_assert!(same_bits(together, &run(&config, &sigmas, &[1, 2, 5], x, 1)?));
        }
    }

    #[test]
    fn the_history_of_a_constant_derivative_has_its_closed_form(
        momentum in 0.0..1.0_f64, hist in 0.0..=1.0_f64, steps in 1_i32..12, d in -5.0..5.0_f64,
    ) {
        let (p, q) = (1.0 - momentum, 1.0 - hist);
        for (sign, pole, way) in [(Sign::Pos, 1.0 - q * (1.0 - p), -1.0), (Sign::Neg, 1.0 + q * (1.0 + p), 1.0)] {
            let factors = Classic::<f64>::new(momentum, hist, sign);
            let mut h = factors.correct(d, 0.0);
            for _ in 1..steps {
                let m = factors.correct(d, h);
                h = factors.blend(h, m);
            }
            let expected = d * (1.0 + way * p * pole.powi(steps - 1));
            prop_assert!((h - expected).abs() <= 1e-11 * (1.0 + d.abs() * pole.powi(steps)), "{h} {expected}");
        }
    }
}

#[test]
fn every_thread_count_gives_the_same_bits() {
    let shape = [2, 1, 366, 366];
    let x = latent(&shape, 1);
    for sampler in [Sampler::EulerAncestral, Sampler::Heun, Sampler::Dpmpp2mSde] {
        let mut configs = vec![config(sampler, 0.8, 0.6, 2, HistoryInit::RandNew)];
        if sampler.facts().leads {
            let mut lead = config(sampler, 0.5, 0.2, 0, HistoryInit::Zero);
            lead.momentum.momentum_mode = MomentumMode::Lead;
            configs.push(lead);
        }
        for config in configs {
            let one = run(&config, &[9.0, 4.0], &shape, &x, 1).unwrap();
            for threads in [2, 3] {
                assert!(
                    same_bits(&one, &run(&config, &[9.0, 4.0], &shape, &x, threads).unwrap()),
                    "{threads}"
                );
            }
        }
    }
}

/// The largest error at sigma `low` of `steps` steps of equal length in sigma or in log sigma.
fn error(config: &Config, steps: u32, logarithmic: bool) -> f64 {
    let (high, low): (f64, f64) = (10.0, 0.1);
    // Within the noise that is to be expected, so that lead's guard trusts the answers.
    let x: Vec<f64> = latent(&[1, 1, 16], 1).iter().map(|x| x / 2.0).collect();
    let shrinks = ((DEVIATION.powi(2) + low.powi(2)) / (DEVIATION.powi(2) + high.powi(2))).sqrt();
    let sigmas: Vec<f64> = (0..=steps)
        .map(|i| {
            let part = f64::from(i) / f64::from(steps);
            if logarithmic { high * (low / high).powf(part) } else { high + (low - high) * part }
        })
        .collect();
    let out = run(config, &sigmas, &[1, 1, 16], &x, 1).unwrap();
    let exact = x.iter().map(|x| MEAN + (x - MEAN) * shrinks);
    out.iter().zip(exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn order(config: &Config, steps: u32, logarithmic: bool) -> f64 {
    (error(config, steps, logarithmic) / error(config, 2 * steps, logarithmic)).log2()
}

fn deterministic(sampler: Sampler, momentum: f64, momentum_hist: f64) -> Config {
    let mut config = config(sampler, momentum, momentum_hist, 0, HistoryInit::Zero);
    config.solver.s_churn = 0.0;
    config
}

#[test]
fn plain_solvers_converge_with_their_order_to_the_exact_solution() {
    for (sampler, expected, logarithmic) in
        [(Sampler::Euler, 1.0, false), (Sampler::Heun, 2.0, true), (Sampler::Dpmpp2m, 2.0, true)]
    {
        for steps in [100, 200, 400] {
            let order = order(&deterministic(sampler, 1.0, 0.0), steps, logarithmic);
            assert!((order - expected).abs() < 0.1, "{}: order {order} at {steps} steps", sampler.name());
        }
    }
}

#[test]
fn lead_is_of_second_order_where_its_sliders_balance_and_of_first_elsewhere() {
    for (momentum, momentum_hist, expected) in [(0.5, 0.0, 2.0), (0.75, 0.5, 2.0), (0.8, 0.0, 1.0)] {
        let mut config = deterministic(Sampler::Euler, momentum, momentum_hist);
        config.momentum.momentum_mode = MomentumMode::Lead;
        for guard in [0.0, 0.25] {
            config.momentum.lead_guard = guard;
            let order = order(&config, 400, true);
            assert!((order - expected).abs() < 0.15, "{momentum}/{momentum_hist}: order {order}");
        }
    }
}

#[test]
fn an_answer_of_another_length_is_an_error() {
    let run = Run::own(Config::default(), &[2.0, 1.0], &[1, 2, 3], latent(&[1, 2, 3], 1)).unwrap();
    let error = run.complete(|_, _| Ok(vec![0.0; 8])).unwrap_err();
    assert_eq!(error.to_string(), "the denoiser's answer has shape [8]: must hold 6 numbers like the latent");
}

#[test]
fn a_history_of_another_length_is_an_error() {
    let shape = [1, 2, 3];
    let start = Start {
        shape: &shape,
        x: latent(&shape, 1),
        history: Some(vec![0.0; 8]),
        reference: None,
        mask: None,
    };
    let elementary = Elementary::own();
    let run = Run::new(&Own, Config::default(), &[2.0, 1.0], start, Manner::default(), elementary);
    assert!(run.unwrap_err().to_string().starts_with("history has shape [8]"));
}

#[test]
fn a_run_goes_on_from_its_state_with_the_same_bits() {
    let (shape, sigmas) = ([2, 2, 5], [9.0, 6.0, 4.0, 1.0, 0.0]);
    for &sampler in Sampler::ALL {
        let config = config(sampler, 0.7, 0.4, 0, HistoryInit::RandNew);
        let new = || Run::own(config.clone(), &sigmas, &shape, latent(&shape, 3)).unwrap();
        let answer = |x: &[f64], sigma| Ok(x.iter().map(|&x| denoise(x, sigma)).collect());
        let whole = new().complete(answer).unwrap();
        let mut begun = new();
        // Into the middle of a step, for those that have one.
        for _ in 0..4 {
            match begun.request().unwrap() {
                sonar_sampler::Request::Noise { .. } => begun.draw(&Own).unwrap(),
                sonar_sampler::Request::Denoise { sigma, .. } => {
                    let answer: Result<Vec<f64>> = answer(begun.asked(), sigma);
                    begun.feed(&Own, answer.unwrap()).unwrap();
                }
                sonar_sampler::Request::Done => {}
            }
        }
        let mut other = new();
        let Ok(state) = begun.state(|array| Ok::<_, std::convert::Infallible>(array.clone()));
        other.restore(state);
        assert!(same_bits(&whole, &other.complete(answer).unwrap()), "{}", sampler.name());
        assert!(same_bits(&whole, &begun.clone().complete(answer).unwrap()), "{}", sampler.name());
    }
}
