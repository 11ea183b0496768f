//! Every option of a run, validated when it is made.

use crate::error::{Error, Result};
use crate::guidance::RefMethod;
use crate::method::{self, Method};
use crate::momentum::{HistoryInit, Sign};
use crate::schedule::StepPosition;

/// A number that is the same at every step, or one number per step.
#[derive(Debug, Clone, PartialEq)]
pub enum PerStep {
    /// The same at every step.
    Constant(f64),
    /// One for each step of the run.
    Sequence(Vec<f64>),
}

impl PerStep {
    /// The number of `step`.
    #[must_use]
    pub fn at(&self, step: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Sequence(values) => values[step],
        }
    }

    fn values(&self) -> &[f64] {
        match self {
            Self::Constant(value) => std::slice::from_ref(value),
            Self::Sequence(values) => values,
        }
    }
}

/// Which of the two signs of the momentum each step takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MomentumSign {
    /// The same at every step.
    Always(Sign),
    /// Chosen per step and image from the image's seed.
    Rand,
    /// One for each step of the run, for all images.
    Sequence(Vec<Sign>),
}

/// The seeds of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seed {
    /// Image `k` has this seed plus `k`.
    First(u64),
    /// One seed per image.
    Each(Vec<u64>),
}

impl Seed {
    /// One seed for each of `batch` images.
    ///
    /// # Errors
    /// A sequence of another length, or a seed past 2^64 - 1.
    pub fn of_batch(&self, batch: usize) -> Result<Vec<u64>> {
        match self {
            Self::First(seed) => (0..batch as u64)
                .map(|image| {
                    seed.checked_add(image).ok_or_else(|| {
                        Error::config("seed", seed, format!("seed + {image} must be below 2^64"))
                    })
                })
                .collect(),
            Self::Each(seeds) if seeds.len() == batch => Ok(seeds.clone()),
            Self::Each(seeds) => Err(Error::config(
                "seed",
                format!("{} seeds", seeds.len()),
                format!("must be one number, or one per image of the batch ({batch})"),
            )),
        }
    }
}

/// Every option of a run. The fields have the names of the Python API; make one with [`Config::default`] and
/// struct update, then [`Config::validate`] it (the stepper does).
#[derive(Debug, Clone)]
pub struct Config {
    /// The sampler: a row of [`method::TABLE`].
    pub sampler: &'static Method,
    /// How much of each step is the present derivative, in [0, 1]; 1 switches momentum off.
    pub momentum: PerStep,
    /// How much of the history survives each step, in [0, 1].
    pub momentum_hist: PerStep,
    /// What the history is before the first step.
    pub momentum_hist_init: HistoryInit,
    /// Whether the history is added to the derivative or subtracted from it.
    pub momentum_sign: MomentumSign,
    /// How the reference pulls.
    pub ref_method: RefMethod,
    /// How strongly the reference pulls; negative pushes away.
    pub ref_factor: PerStep,
    /// First step at which the reference pulls.
    pub ref_start: StepPosition,
    /// Last step at which the reference pulls, inclusive.
    pub ref_stop: StepPosition,
    /// How much of the step is replaced by fresh noise (`euler_a`).
    pub eta: f64,
    /// Churn: how much noise is added before a step (`euler`).
    pub s_churn: f64,
    /// Lowest sigma at which churn acts.
    pub s_tmin: f64,
    /// Highest sigma at which churn acts.
    pub s_tmax: f64,
    /// Factor on the noise that is added.
    pub s_noise: f64,
    /// The model is a flow-matching one: x = (1 - sigma) x0 + sigma noise.
    pub flow: bool,
    /// The step to sigma 0 takes the denoised latent as it is.
    pub exact_last_step: bool,
    /// The seeds of the run's own noise.
    pub seed: Seed,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sampler: method::DEFAULT,
            momentum: PerStep::Constant(0.95),
            momentum_hist: PerStep::Constant(0.75),
            momentum_hist_init: HistoryInit::Zero,
            momentum_sign: MomentumSign::Always(Sign::Pos),
            ref_method: RefMethod::Linear,
            ref_factor: PerStep::Constant(0.02),
            ref_start: StepPosition::Fraction(0.0),
            ref_stop: StepPosition::Fraction(0.75),
            eta: 1.0,
            s_churn: 0.0,
            s_tmin: 0.0,
            s_tmax: f64::INFINITY,
            s_noise: 1.0,
            flow: false,
            exact_last_step: false,
            seed: Seed::First(0),
        }
    }
}

impl Config {
    /// Checks every option that can be checked without a schedule.
    ///
    /// # Errors
    /// [`Error::Config`] with the field, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        in_unit_interval("momentum", &self.momentum)?;
        in_unit_interval("momentum_hist", &self.momentum_hist)?;
        for factor in self.ref_factor.values() {
            if !factor.is_finite() {
                return Err(Error::config("ref_factor", shown(*factor), "must be a finite number"));
            }
        }
        self.ref_start.validate("ref_start")?;
        self.ref_stop.validate("ref_stop")?;
        at_least_zero("eta", self.eta)?;
        at_least_zero("s_churn", self.s_churn)?;
        at_least_zero("s_tmin", self.s_tmin)?;
        if self.s_tmax.is_nan() || self.s_tmax < 0.0 {
            return Err(Error::config(
                "s_tmax",
                shown(self.s_tmax),
                "must be at least 0 (infinity: no upper limit)",
            ));
        }
        at_least_zero("s_noise", self.s_noise)?;
        if self.flow && self.s_churn > 0.0 {
            return Err(Error::config(
                "s_churn",
                shown(self.s_churn),
                "must be 0 with flow = True: churn adds noise without scaling the image, which a flow model needs",
            ));
        }
        Ok(())
    }

    /// Checks that every sequence has one entry for each of `steps` steps.
    ///
    /// # Errors
    /// [`Error::Config`] with the field and the two lengths.
    pub fn validate_steps(&self, steps: usize) -> Result<()> {
        let signs = match &self.momentum_sign {
            MomentumSign::Sequence(signs) => Some(signs.len()),
            _ => None,
        };
        let numbers = |values: &PerStep| match values {
            PerStep::Sequence(values) => Some(values.len()),
            PerStep::Constant(_) => None,
        };
        for (field, length) in [
            ("momentum", numbers(&self.momentum)),
            ("momentum_hist", numbers(&self.momentum_hist)),
            ("momentum_sign", signs),
            ("ref_factor", numbers(&self.ref_factor)),
        ] {
            match length {
                Some(length) if length != steps => {
                    let allowed =
                        format!("a sequence needs one entry for each of the {steps} steps of the run");
                    return Err(Error::config(field, format!("{length} entries"), allowed));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// A number for a message: 1e300 in five letters, not in 301 digits.
fn shown(number: f64) -> String {
    format!("{number:?}")
}

fn in_unit_interval(field: &'static str, value: &PerStep) -> Result<()> {
    match value.values().iter().find(|number| !(0.0..=1.0).contains(*number)) {
        Some(bad) => Err(Error::config(field, shown(*bad), "must be in [0, 1]")),
        None => Ok(()),
    }
}

fn at_least_zero(field: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(Error::config(field, shown(value), "must be a finite number of at least 0"))
    }
}
