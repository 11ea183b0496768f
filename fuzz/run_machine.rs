//! Feeds a run in every legal and illegal order, with right, wrong and broken arrays.
//!
//! What is promised: no panic; an error says what was asked and leaves the run as it was, unless it is a numeric one,
//! which ends it; and the run that is fed wrongly in between gives the bits of the run that is not, and that steps in
//! place.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test run_machine` looks for long.

use proptest::prelude::*;
use proptest::sample::select;
use sonar_sampler::config::{RunOptions, Seed};
use sonar_sampler::direction::{HistoryInit, MomentumMode, MomentumOptions, MomentumSign, Sign};
use sonar_sampler::options::{PerStep, StepPosition};
use sonar_sampler::pull::{RefMatch, RefMethod, ReferenceOptions};
use sonar_sampler::run::{Manner, Start};
use sonar_sampler::schedule::Elementary;
use sonar_sampler::solver::{Sampler, SolverOptions};
use sonar_sampler::storage::Own;
use sonar_sampler::{Config, Error, Request};

type Run = sonar_sampler::Run<f32, Vec<f32>>;

/// What the fuzzer does next. Lengths are in numbers beyond the right one; `poison` puts a NaN.
#[derive(Debug, Clone)]
enum Deed {
    Ask,
    Feed { wrong: isize, poison: bool },
    Draw,
    Replace { wrong: isize, poison: bool },
    Copy,
    Legal,
}

fn deed() -> impl Strategy<Value = Deed> {
    let wrong = || select(vec![0_isize, 0, 0, 0, -1, 1, -100, 7]);
    let poison = || select(vec![false; 9].into_iter().chain([true]).collect::<Vec<_>>());
    prop_oneof![
        2 => Just(Deed::Ask),
        4 => (wrong(), poison()).prop_map(|(wrong, poison)| Deed::Feed { wrong, poison }),
        1 => Just(Deed::Draw),
        1 => (wrong(), poison()).prop_map(|(wrong, poison)| Deed::Replace { wrong, poison }),
        1 => Just(Deed::Copy),
        6 => Just(Deed::Legal),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        40 => 0.0..=1.0_f64,
        1 => select(vec![0.0, -0.0, 1.0, 0.5, -1.0, 2.0, f64::NAN, f64::INFINITY, 1e300, 1e-300]),
    ]
}

fn per_step(steps: usize) -> impl Strategy<Value = PerStep> {
    prop_oneof![
        20 => number().prop_map(PerStep::Constant),
        6 => prop::collection::vec(number(), steps).prop_map(PerStep::Sequence),
        1 => prop::collection::vec(number(), 0..6).prop_map(PerStep::Sequence),
    ]
}

fn position() -> impl Strategy<Value = StepPosition> {
    prop_oneof![any::<u64>().prop_map(StepPosition::Index), number().prop_map(StepPosition::Fraction)]
}

prop_compose! {
    fn momentum(steps: usize)(
        mode in select(vec![MomentumMode::Classic, MomentumMode::Classic, MomentumMode::Lead]),
        momentum in per_step(steps),
        momentum_hist in per_step(steps),
        init in select(HistoryInit::ALL),
        signs in prop_oneof![
            4 => Just(MomentumSign::Always(Sign::Pos)),
            1 => Just(MomentumSign::Always(Sign::Neg)),
            1 => Just(MomentumSign::Rand),
            1 => prop::collection::vec(select(vec![Sign::Pos, Sign::Neg]), steps).prop_map(MomentumSign::Sequence),
        ],
        range in prop_oneof![2 => Just(None), 1 => (position(), position()).prop_map(Some)],
        lead_guard in number(),
    ) -> MomentumOptions {
        let mut options = MomentumOptions {
            momentum_mode: mode,
            momentum,
            momentum_hist,
            momentum_hist_init: if mode == MomentumMode::Lead { HistoryInit::Zero } else { init },
            momentum_sign: signs,
            lead_guard,
            ..MomentumOptions::default()
        };
        if let Some((start, stop)) = range {
            (options.momentum_start, options.momentum_stop) = (start, stop);
        }
        options
    }
}

prop_compose! {
    fn config(steps: usize)(
        sampler in select(Sampler::ALL),
        momentum in momentum(steps),
        ref_method in select(RefMethod::ALL),
        ref_match in select(RefMatch::ALL),
        ref_factor in per_step(steps),
        ref_window in (0.0..1.1_f64, 0.0..1.1_f64),
        positions in (position(), position()),
        numbers in (number(), number(), number(), number(), number()),
        flags in (prop::bool::weighted(0.3), any::<bool>()),
        seed in prop_oneof![
            1 => Just(Seed::Unset),
            9 => any::<u64>().prop_map(Seed::First),
            1 => prop::collection::vec(any::<u64>(), 0..4).prop_map(Seed::Each)],
    ) -> Config {
        Config {
            run: RunOptions { sampler, exact_last_step: flags.1, seed },
            momentum,
            reference: ReferenceOptions {
                ref_method,
                ref_factor,
                ref_start: positions.0,
                ref_stop: positions.1,
                ref_fade: ref_window.0,
                ref_match,
                ref_detail: ref_window.1,
            },
            solver: SolverOptions {
                eta: numbers.0,
                s_churn: if numbers.1 < 0.5 { 0.0 } else { numbers.1 },
                s_tmin: numbers.2,
                s_tmax: if numbers.3 < 0.5 { f64::INFINITY } else { numbers.3 },
                s_noise: numbers.4,
                flow: flags.0,
            },
        }
    }
}

fn sigmas() -> impl Strategy<Value = Vec<f64>> {
    let sigma = prop_oneof![40 => 0.01..1.0_f64, 1 => number(), 1 => select(vec![0.0, 14.6, 1e-40, 1e30])];
    (prop::collection::vec(sigma, 0..6), prop::bool::weighted(0.8), any::<bool>()).prop_map(
        |(mut sigmas, falls, ends)| {
            if falls {
                sigmas.sort_by(|a, b| b.total_cmp(a));
            }
            if ends {
                sigmas.push(0.0);
            }
            sigmas
        },
    )
}

fn case() -> impl Strategy<Value = (Vec<f64>, Config)> {
    sigmas().prop_flat_map(|sigmas| {
        let steps = sigmas.len().saturating_sub(1);
        (Just(sigmas), config(steps))
    })
}

fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![9 => prop::collection::vec(1_usize..4, 2..5), 1 => prop::collection::vec(0_usize..4, 0..5)]
}

fn values(length: usize, salt: u64, poison: bool) -> Vec<f32> {
    let mut values = vec![0.0; length];
    sonar_sampler::noise::fill_normal(&mut values, salt, 0, sonar_sampler::noise::Purpose::Initial);
    if poison && let Some(last) = values.last_mut() {
        *last = f32::NAN;
    }
    values
}

fn beyond(size: usize, wrong: isize) -> usize {
    size.checked_add_signed(wrong).unwrap_or(0)
}

/// A run, and how often it was fed.
struct Fed {
    run: Run,
    fed: u64,
}

impl Fed {
    fn new(
        sigmas: &[f64],
        config: &Config,
        shape: &[usize],
        reference: bool,
        keeps_x: bool,
    ) -> Result<Self, Error> {
        let size = shape.iter().product();
        let reference = reference.then(|| {
            ndarray::ArrayD::from_shape_vec(shape.to_vec(), values(size, 2, false)).expect("as many numbers")
        });
        let start = Start {
            shape,
            x: values(size, 1, false),
            history: None,
            reference: reference.as_ref().map(|reference| reference.view()),
            mask: None,
        };
        let manner = Manner { records: keeps_x, keeps_x, threads: 1 };
        let run = Run::new(&Own, config.clone(), sigmas, start, manner, Elementary::own())?;
        Ok(Self { run, fed: 0 })
    }

    fn feed(&mut self, wrong: isize, poison: bool) -> Result<(), Error> {
        let size = self.run.x().len();
        self.run.feed(&Own, values(beyond(size, wrong), 100 + self.fed, poison))?;
        self.fed += 1;
        Ok(())
    }

    /// The one thing that is asked for.
    fn legal(&mut self) -> Result<(), Error> {
        match self.run.request()? {
            Request::Done => Ok(()),
            Request::Noise { .. } | Request::Denoise { .. } => self.feed(0, false),
        }
    }

    fn state(&self) -> (usize, Result<Request<f32>, Error>, Vec<u32>) {
        (self.run.step(), self.run.next(), bits(self.run.x()))
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #[test]
    fn no_order_of_deeds_breaks_a_run(
        (sigmas, config) in case(),
        deeds in prop::collection::vec(deed(), 0..40),
        shape in shape(),
        reference in any::<bool>(),
    ) {
        let Ok(mut run) = Fed::new(&sigmas, &config, &shape, reference, true) else { return Ok(()) };
        let mut twin = Fed::new(&sigmas, &config, &shape, reference, false).expect("made as the other one");
        let mut failed = false;
        for deed in deeds {
            let (before, fed) = (run.state(), run.fed);
            let done = match deed {
                Deed::Ask => run.run.request().map(drop),
                Deed::Feed { wrong, poison } => run.feed(wrong, poison),
                // Drawn noise is not the fed one: only what is refused is looked at here.
                Deed::Draw if matches!(before.1, Ok(Request::Noise { .. })) => Ok(()),
                Deed::Draw => run.run.draw(&Own),
                Deed::Replace { wrong, poison } => {
                    let mut x = run.run.x().clone();
                    x.resize(beyond(x.len(), wrong), 0.0);
                    if poison && let Some(last) = x.last_mut() {
                        *last = f32::INFINITY;
                    }
                    run.run.replace_x(&Own, x)
                }
                Deed::Copy => {
                    run.run = run.run.clone();
                    Ok(())
                }
                Deed::Legal => run.legal(),
            };
            match done {
                Ok(()) => {
                    prop_assert!(!failed || matches!(deed, Deed::Copy), "{deed:?} after the end");
                    prop_assert!(run.run.x().iter().all(|value| value.is_finite()));
                }
                Err(Error::Numeric { step, ref images, .. }) => {
                    prop_assert_eq!(step, before.0);
                    prop_assert!(!images.is_empty() && images.iter().all(|&image| image < shape[0]));
                    prop_assert_eq!(bits(run.run.x()), before.2);
                    failed = true;
                    prop_assert!(run.run.request().is_err());
                }
                Err(Error::Protocol(_) | Error::Shape { .. } | Error::Values { .. }) => {
                    prop_assert_eq!(run.state(), before);
                }
                Err(other) => prop_assert!(false, "{other:?} in mid-run"),
            }
            if run.fed > fed {
                // The twin is never fed wrongly.
                while twin.fed < run.fed {
                    prop_assert!(twin.legal().is_ok());
                }
                prop_assert_eq!(bits(run.run.x()), bits(twin.run.x()));
                prop_assert_eq!(run.run.history(), twin.run.history());
            }
        }
    }
}
