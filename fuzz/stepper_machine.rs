//! Feeds the stepper in every legal and illegal order, with right, wrong and broken arrays.
//!
//! What is promised: no panic; an error says what was asked and leaves the run as it was, unless it is a numeric one,
//! which ends it; and the run that is fed wrongly in between gives the bits of the run that is not, and that steps in
//! place.
//!
//! `PROPTEST_CASES=100000 cargo test --release --test stepper_machine` looks for long.

use proptest::prelude::*;
use proptest::sample::select;
use sonar_sampler::config::{Config, MomentumSign, PerStep, Seed};
use sonar_sampler::guidance::RefMethod;
use sonar_sampler::method::TABLE;
use sonar_sampler::momentum::{HistoryInit, Sign};
use sonar_sampler::schedule::StepPosition;
use sonar_sampler::update::Arrays;
use sonar_sampler::{Error, Request, Stepper};

/// What the fuzzer does next. Lengths are in numbers beyond the right one; `poison` puts a NaN.
#[derive(Debug, Clone)]
enum Deed {
    Ask,
    Churn { wrong: isize, poison: bool },
    AwaitNoise,
    Advance { wrong: [isize; 5], poison: bool },
    Draw,
    Legal,
}

fn deed() -> impl Strategy<Value = Deed> {
    let wrong = || select(vec![0_isize, 0, 0, 0, -1, 1, -100, 7]);
    let poison = || select(vec![false; 9].into_iter().chain([true]).collect::<Vec<_>>());
    prop_oneof![
        1 => Just(Deed::Ask),
        2 => (wrong(), poison()).prop_map(|(wrong, poison)| Deed::Churn { wrong, poison }),
        2 => Just(Deed::AwaitNoise),
        4 => (prop::array::uniform5(wrong()), poison()).prop_map(|(wrong, poison)| Deed::Advance { wrong, poison }),
        1 => Just(Deed::Draw),
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
    fn config(steps: usize)(
        sampler in 0..TABLE.len(),
        momentum in per_step(steps),
        momentum_hist in per_step(steps),
        init in select(vec![HistoryInit::Zero, HistoryInit::RandInit, HistoryInit::RandNew]),
        signs in prop_oneof![
            Just(MomentumSign::Always(Sign::Pos)),
            Just(MomentumSign::Always(Sign::Neg)),
            Just(MomentumSign::Rand),
            prop::collection::vec(select(vec![Sign::Pos, Sign::Neg]), steps).prop_map(MomentumSign::Sequence),
        ],
        ref_method in select(vec![RefMethod::Linear, RefMethod::Euler]),
        ref_factor in per_step(steps),
        positions in (position(), position()),
        numbers in (number(), number(), number(), number(), number()),
        flags in any::<(bool, bool)>(),
        seed in prop_oneof![
            9 => any::<u64>().prop_map(Seed::First),
            1 => prop::collection::vec(any::<u64>(), 0..4).prop_map(Seed::Each)],
    ) -> Config {
        Config {
            sampler: &TABLE[sampler],
            momentum,
            momentum_hist,
            momentum_hist_init: init,
            momentum_sign: signs,
            ref_method,
            ref_factor,
            ref_start: positions.0,
            ref_stop: positions.1,
            eta: numbers.0,
            s_churn: if numbers.1 < 0.5 { 0.0 } else { numbers.1 },
            s_tmin: numbers.2,
            s_tmax: if numbers.3 < 0.5 { f64::INFINITY } else { numbers.3 },
            s_noise: numbers.4,
            flow: flags.0,
            exact_last_step: flags.1,
            seed,
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

/// Where the latent is and where the next one goes.
fn places(x: &[f32], in_place: bool, out: usize) -> (&[f32], Vec<f32>) {
    if in_place { (&[], x.to_vec()) } else { (x, vec![0.0; out]) }
}

/// A run and its driver's arrays.
struct Run {
    stepper: Stepper<f32>,
    in_place: bool,
    x: Vec<f32>,
    history: Vec<f32>,
    fed: u64,
}

impl Run {
    fn new(
        sigmas: &[f64],
        config: &Config,
        shape: &[usize],
        reference: bool,
        in_place: bool,
    ) -> Result<Self, Error> {
        let size = shape.iter().product();
        let x = values(size, 1, false);
        let reference = reference.then(|| {
            ndarray::ArrayD::from_shape_vec(shape.to_vec(), values(size, 2, false)).expect("as many numbers")
        });
        let view = reference.as_ref().map(|reference| reference.view());
        let mut stepper = Stepper::new(config.clone(), sigmas, shape, &x, view, false, &f32::sqrt)?;
        let mut history = vec![0.0; size];
        stepper.start_history(&x, &mut history);
        Ok(Self { stepper, in_place, x, history, fed: 0 })
    }

    fn churn(&mut self, wrong: isize, poison: bool) -> Result<(), Error> {
        let noise = values(beyond(self.x.len(), wrong), 100 + self.fed, poison);
        let (x, mut out) = places(&self.x, self.in_place, self.x.len());
        self.stepper.churn(x, &noise, &mut out)?;
        self.fed += 1;
        self.x = out;
        Ok(())
    }

    fn advance(&mut self, wrong: [isize; 5], poison: bool) -> Result<(), Error> {
        let size = self.x.len();
        let [denoised, noise, history, momentum_d, out] = wrong.map(|wrong| beyond(size, wrong));
        let denoised = values(denoised, 200 + self.fed, poison);
        let noise = values(noise, 300 + self.fed, false);
        let mut momentum_d = vec![0.0; momentum_d];
        let mut written = self.history.clone();
        written.resize(history, 0.0);
        let (x, mut out) = places(&self.x, self.in_place, out);
        self.stepper.advance(Arrays {
            x,
            denoised: &denoised,
            noise: &noise,
            reference: &[],
            history: &mut written,
            momentum_d: &mut momentum_d,
            out: &mut out,
        })?;
        self.fed += 1;
        if written.len() == size {
            self.history = written;
        }
        self.x = out;
        Ok(())
    }

    /// The one thing that is asked for.
    fn legal(&mut self) -> Result<(), Error> {
        match self.stepper.request()? {
            Request::Done => Ok(()),
            Request::Noise { .. } if self.stepper.asks_for_churn() => self.churn(0, false),
            Request::Denoise { .. } if self.stepper.draws_after_denoising() => self.stepper.await_noise(),
            Request::Noise { .. } | Request::Denoise { .. } => self.advance([0; 5], false),
        }
    }

    fn state(&self) -> (usize, Result<Request<f32>, Error>, bool) {
        (self.stepper.step(), self.stepper.request(), self.stepper.asks_for_churn())
    }
}

proptest! {
    #[test]
    fn no_order_of_deeds_breaks_a_run(
        (sigmas, config) in case(),
        deeds in prop::collection::vec(deed(), 0..40),
        shape in shape(),
        reference in any::<bool>(),
    ) {
        let Ok(mut run) = Run::new(&sigmas, &config, &shape, reference, false) else { return Ok(()) };
        let mut twin = Run::new(&sigmas, &config, &shape, reference, true).expect("made as the other one");
        let mut failed = false;
        for deed in deeds {
            let (before, fed) = (run.state(), run.fed);
            let done = match deed {
                Deed::Ask => run.stepper.request().map(|_| ()),
                Deed::Churn { wrong, poison } => run.churn(wrong, poison),
                Deed::AwaitNoise => run.stepper.await_noise(),
                Deed::Advance { wrong, poison } => run.advance(wrong, poison),
                Deed::Draw => {
                    let mut noise = vec![0.0; run.x.len()];
                    run.stepper.draw(&mut noise);
                    Ok(())
                }
                Deed::Legal => run.legal(),
            };
            match done {
                Ok(()) => {
                    prop_assert!(!failed || matches!(deed, Deed::Draw), "{deed:?} after the end");
                    prop_assert!(run.x.iter().all(|value| value.is_finite()));
                }
                Err(Error::Numeric { step, ref images, .. }) => {
                    prop_assert_eq!(step, before.0);
                    prop_assert!(!images.is_empty() && images.iter().all(|&image| image < shape[0]));
                    failed = true;
                    prop_assert!(run.stepper.request().is_err());
                }
                Err(Error::Protocol(_) | Error::Shape { .. }) => prop_assert_eq!(run.state(), before),
                Err(other) => prop_assert!(false, "{other:?} in mid-run"),
            }
            if run.fed > fed {
                // The twin is never fed wrongly.
                while twin.fed < run.fed {
                    prop_assert!(twin.legal().is_ok());
                }
                prop_assert!(run.x.iter().map(|x| x.to_bits()).eq(twin.x.iter().map(|x| x.to_bits())));
                prop_assert_eq!(&run.history, &twin.history);
            }
        }
    }
}
