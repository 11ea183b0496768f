//! Laws of the samplers, on the Rust API alone: plain method, batches, threads, convergence, closed forms.

use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;
use sonar_sampler::config::{Config, MomentumSign, PerStep, Seed};
use sonar_sampler::method::{TABLE, by_name};
use sonar_sampler::momentum::{HistoryInit, Momentum, Sign};
use sonar_sampler::{Result, Stepper, drive, noise};

const DEVIATION: f64 = 0.7;
const MEAN: f64 = 0.2;

/// The posterior mean of a normal distribution.
fn denoise(x: f64, sigma: f64) -> f64 {
    let kept = DEVIATION * DEVIATION / (DEVIATION * DEVIATION + sigma * sigma);
    MEAN + kept * (x - MEAN)
}

fn latent(shape: &[usize], seed: u64) -> ArrayD<f64> {
    let mut x = ArrayD::zeros(IxDyn(shape));
    let seeds: Vec<u64> = (0..shape[0] as u64).map(|image| seed + image).collect();
    noise::fill_batch(x.as_slice_mut().unwrap(), &seeds, 0, noise::Purpose::Initial);
    x * 14.0
}

fn run(config: &Config, sigmas: &[f64], x: &ArrayD<f64>, threads: usize) -> Result<ArrayD<f64>> {
    let stepper =
        Stepper::new(config.clone(), sigmas, x.shape(), x.as_slice().unwrap(), None, false, &f64::sqrt)?
            .with_threads(threads);
    drive::run(stepper, x.clone(), None, |x, sigma| Ok(x.mapv(|x| denoise(x, sigma))))
}

fn config(sampler: usize, momentum: f64, momentum_hist: f64, sign: usize, init: usize) -> Config {
    Config {
        sampler: &TABLE[sampler],
        momentum: PerStep::Constant(momentum),
        momentum_hist: PerStep::Constant(momentum_hist),
        momentum_sign: [MomentumSign::Always(Sign::Pos), MomentumSign::Always(Sign::Neg), MomentumSign::Rand]
            [sign]
            .clone(),
        momentum_hist_init: [HistoryInit::Zero, HistoryInit::RandInit, HistoryInit::RandNew][init],
        s_churn: 1.0,
        seed: Seed::First(40),
        ..Config::default()
    }
}

fn same_bits<'a>(left: impl IntoIterator<Item = &'a f64>, right: impl IntoIterator<Item = &'a f64>) -> bool {
    left.into_iter().map(|x| x.to_bits()).eq(right.into_iter().map(|x| x.to_bits()))
}

proptest! {
    #[test]
    fn momentum_1_is_the_plain_method(
        sampler in 0..TABLE.len(), hist in 0.0..=1.0, sign in 0_usize..3, init in 0_usize..3,
        mut sigmas in prop::collection::vec(0.05_f64..20.0, 1..6),
    ) {
        sigmas.sort_by(|a, b| b.total_cmp(a));
        let x = latent(&[2, 3, 4], 1);
        let plain = run(&config(sampler, 1.0, 0.75, 0, 0), &sigmas, &x, 1)?;
        let other = run(&config(sampler, 1.0, hist, sign, init), &sigmas, &x, 1)?;
        prop_assert!(same_bits(&plain, &other));
    }

    #[test]
    fn a_batch_is_its_images_made_alone(
        sampler in 0..TABLE.len(), momentum in 0.0..=1.0, hist in 0.0..=1.0, sign in 0_usize..3, init in 0_usize..3,
    ) {
        let sigmas = [9.0, 4.0, 1.0, 0.0];
        let (x, config) = (latent(&[3, 2, 5], 1), config(sampler, momentum, hist, sign, init));
        let together = run(&config, &sigmas, &x, 1)?;
        for image in 0..3_usize {
            let one = ndarray::Axis(0);
            let alone = x.slice_axis(one, (image..=image).into()).to_owned();
            let config = Config { seed: Seed::First(40 + image as u64), ..config.clone() };
            let alone = run(&config, &sigmas, &alone, 1)?;
            prop_assert!(same_bits(together.slice_axis(one, (image..=image).into()), &alone));
        }
    }

    #[test]
    fn the_history_of_a_constant_derivative_has_its_closed_form(
        momentum in 0.0..1.0_f64, hist in 0.0..=1.0_f64, steps in 1_i32..12, d in -5.0..5.0_f64,
    ) {
        let (p, q) = (1.0 - momentum, 1.0 - hist);
        for (sign, pole, way) in [(Sign::Pos, 1.0 - q * (1.0 - p), -1.0), (Sign::Neg, 1.0 + q * (1.0 + p), 1.0)] {
            let factors = Momentum::<f64>::new(momentum, hist, sign);
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
    let x = latent(&[2, 4, 200, 200], 1);
    for sampler in 0..TABLE.len() {
        let config = config(sampler, 0.8, 0.6, 2, 2);
        let one = run(&config, &[9.0, 4.0, 1.0], &x, 1).unwrap();
        for threads in [2, 3, 8] {
            assert!(same_bits(&one, &run(&config, &[9.0, 4.0, 1.0], &x, threads).unwrap()), "{threads}");
        }
    }
}

#[test]
fn euler_converges_with_order_1_to_the_exact_solution() {
    let x = latent(&[1, 1, 16], 1);
    let (high, low): (f64, f64) = (10.0, 0.1);
    let shrinks = ((DEVIATION.powi(2) + low.powi(2)) / (DEVIATION.powi(2) + high.powi(2))).sqrt();
    let exact = x.mapv(|x| MEAN + (x - MEAN) * shrinks);
    let error = |steps: u32| {
        let sigmas: Vec<f64> =
            (0..=steps).map(|i| high + (low - high) * f64::from(i) / f64::from(steps)).collect();
        let config = Config {
            sampler: by_name("euler").unwrap(),
            momentum: PerStep::Constant(1.0),
            ..Config::default()
        };
        let out = run(&config, &sigmas, &x, 1).unwrap();
        out.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    for steps in [100, 200, 400] {
        let order = (error(steps) / error(2 * steps)).log2();
        assert!((order - 1.0).abs() < 0.1, "order {order} at {steps} steps");
    }
}

#[test]
fn an_answer_of_another_shape_is_an_error() {
    let x = latent(&[1, 2, 3], 1);
    let stepper = Stepper::new(
        Config::default(),
        &[2.0, 1.0],
        x.shape(),
        x.as_slice().unwrap(),
        None,
        false,
        &f64::sqrt,
    )
    .unwrap();
    let error = drive::run(stepper, x, None, |_, _| Ok(ArrayD::zeros(IxDyn(&[1, 2, 4])))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the denoiser's answer has shape [1, 2, 4]: must be [1, 2, 3] like the latent"
    );
}

#[test]
fn a_history_of_another_shape_is_an_error() {
    let x = latent(&[1, 2, 3], 1);
    let stepper = Stepper::new(
        Config::default(),
        &[2.0, 1.0],
        x.shape(),
        x.as_slice().unwrap(),
        None,
        true,
        &f64::sqrt,
    )
    .unwrap();
    let history = ArrayD::zeros(IxDyn(&[1, 2, 4]));
    let error = drive::run(stepper, x, Some(history), |x, _| Ok(x.to_owned())).unwrap_err();
    assert!(error.to_string().starts_with("history has shape [8]"), "{error}");
}
