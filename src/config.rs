//! Every option of a run, validated when it is made.

use crate::direction::{MomentumMode, MomentumOptions};
use crate::error::{Error, Result};
use crate::options::{Plain, Value, options};
use crate::pull::ReferenceOptions;
use crate::solver::{Sampler, SolverOptions};

/// The seeds of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seed {
    /// The host's choice; 0 if it makes none.
    Unset,
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
            Self::Unset => Ok((0..batch as u64).collect()),
            Self::First(seed) => {
                let last = (batch as u64).saturating_sub(1);
                match seed.checked_add(last) {
                    Some(last) => Ok((*seed..=last).collect()),
                    None => Err(Error::config("seed", seed, format!("seed + {last} must be below 2^64"))),
                }
            }
            Self::Each(seeds) if seeds.len() == batch => Ok(seeds.clone()),
            Self::Each(seeds) => Err(Error::config(
                "seed",
                format!("{} seeds", seeds.len()),
                format!("must be one number, or one per image of the batch ({batch})"),
            )),
        }
    }
}

impl Value for Seed {
    fn read(plain: &Plain) -> std::result::Result<Self, String> {
        let allowed = || "must be an int in [0, 2^64), or a sequence with one per image".to_owned();
        let seed = |plain: &Plain| match plain {
            Plain::Whole(whole) => u64::try_from(*whole).map_err(|_| allowed()),
            _ => Err(allowed()),
        };
        match plain {
            Plain::None => Ok(Self::Unset),
            Plain::List(entries) => {
                entries.iter().map(seed).collect::<std::result::Result<_, _>>().map(Self::Each)
            }
            plain => seed(plain).map(Self::First),
        }
    }

    fn plain(&self) -> Plain {
        let whole = |seed: &u64| Plain::Whole((*seed).into());
        match self {
            Self::Unset => Plain::None,
            Self::First(seed) => whole(seed),
            Self::Each(seeds) => Plain::List(seeds.iter().map(whole).collect()),
        }
    }
}

options! {
    /// The options of a run that belong to none of its parts.
    pub struct RunOptions {
        /// The solver.
        sampler: Sampler = Sampler::EulerAncestral,
        /// The step to sigma 0 takes the denoised latent as it is.
        exact_last_step: bool = false,
        /// The seeds of the run's own noise.
        seed: Seed = Seed::Unset,
    }
}

/// Every option of a run. The fields of its parts have the names of the Python API; make one with
/// [`Config::default`] and struct update, then [`Config::validate`] it (a run does).
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The options that belong to no part.
    pub run: RunOptions,
    /// The momentum.
    pub momentum: MomentumOptions,
    /// The reference.
    pub reference: ReferenceOptions,
    /// The solver.
    pub solver: SolverOptions,
}

impl Config {
    /// The names of all options.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let parts =
            [RunOptions::NAMES, MomentumOptions::NAMES, ReferenceOptions::NAMES, SolverOptions::NAMES];
        parts.into_iter().flatten().copied()
    }

    /// Sets an option by name.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn set(&mut self, name: &str, value: &Plain) -> std::result::Result<(), String> {
        let parts = self.run.set(name, value);
        let parts = parts.or_else(|| self.momentum.set(name, value));
        let parts = parts.or_else(|| self.reference.set(name, value));
        let parts = parts.or_else(|| self.solver.set(name, value));
        parts.unwrap_or_else(|| Err("no such option".into()))
    }

    /// The value of an option.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Plain> {
        let parts = self.run.get(name);
        let parts = parts.or_else(|| self.momentum.get(name));
        let parts = parts.or_else(|| self.reference.get(name));
        parts.or_else(|| self.solver.get(name))
    }

    /// Checks every option that can be checked without a schedule.
    ///
    /// # Errors
    /// [`Error::Config`] with the option, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.momentum.validate()?;
        self.reference.validate()?;
        self.solver.validate()?;
        let sampler = self.run.sampler;
        if self.solver.flow && !sampler.facts().flows {
            let others: Vec<_> =
                Sampler::ALL.iter().filter(|other| other.facts().flows).map(|other| other.name()).collect();
            let allowed = format!(
                "must be False with sampler = {}: its formula is for x = x0 + sigma noise; for a flow model take one of {}",
                sampler.name(),
                others.join(", ")
            );
            return Err(Error::config("flow", "True", allowed));
        }
        if self.momentum.momentum_mode == MomentumMode::Lead && !sampler.facts().leads {
            let allowed = format!(
                "must be classic with sampler = {}: its steps are of second order, which are led already",
                sampler.name()
            );
            return Err(Error::config("momentum_mode", MomentumMode::Lead.name(), allowed));
        }
        Ok(())
    }

    /// Checks that every sequence has one entry for each of `steps` steps.
    ///
    /// # Errors
    /// [`Error::Config`] with the option and the two lengths.
    pub fn validate_steps(&self, steps: usize) -> Result<()> {
        self.momentum.validate_steps(steps)?;
        self.reference.ref_factor.validate_steps("ref_factor", steps)
    }
}
