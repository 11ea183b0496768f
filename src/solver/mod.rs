//! The solvers: one file each, which turns a step of the schedule into stages.
//!
//! A stage is data: draw noise, ask the model, move the latent. [`crate::run`] goes through them. A new solver is a
//! file with a type that is a [`Solver`], and a row of the table below; see `docs/your-own-sampler.md`.

mod dpmpp_2m;
mod dpmpp_2m_sde;
mod dpmpp_sde;
mod euler;
mod euler_ancestral;
mod heun;
mod naive;
mod options;
mod stage;

pub use options::SolverOptions;
pub use stage::{Added, Level, Move, Stage};

use crate::error::{Error, Result};
use crate::options::choices;
use crate::real::Real;
use crate::schedule::Elementary;

/// One step of the schedule, in the latent's dtype.
#[derive(Clone, Copy)]
pub struct Span<'a, T> {
    /// Number of steps of the run.
    pub steps: usize,
    /// Where the step before this one starts; none in the first step.
    pub previous: Option<T>,
    /// Where the step starts.
    pub sigma: T,
    /// Where it ends.
    pub sigma_next: T,
    /// Square root, exponential and logarithm.
    pub elementary: Elementary<'a, T>,
}

/// What hosts want to know of a solver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Its name in a user interface.
    pub label: &'static str,
    /// One sentence for a user.
    pub help: &'static str,
    /// How often it calls the model in a step.
    pub calls: usize,
    /// Those of [`SolverOptions`] that it uses.
    pub options: &'static [&'static str],
    /// Which of a host's noise it takes.
    pub noise: Noise,
    /// Whether `momentum_mode` "lead" may be used with it: whether its steps are of first order.
    pub leads: bool,
    /// Whether it may be used for flow-matching models, where x = (1 - sigma) x0 + sigma noise.
    pub flows: bool,
}

/// The noise that a solver adds, as hosts tell kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// None, but for churn before a step. k-diffusion's functions draw it in every step, used or not.
    Churn,
    /// Independent draws after the step.
    Independent,
    /// None.
    None,
    /// The increments of a Brownian motion over the intervals that it asks for.
    Brownian,
    /// Its own, never the host's.
    Private,
}

impl Noise {
    /// Its name for hosts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Churn => "churn",
            Self::Independent => "independent",
            Self::None => "none",
            Self::Brownian => "brownian",
            Self::Private => "private",
        }
    }
}

/// A solver.
pub(crate) trait Solver {
    /// What hosts want to know of it.
    const FACTS: Facts;

    /// The stages of one step.
    fn stages<T: Real>(options: &SolverOptions, span: Span<'_, T>) -> Vec<Stage<T>>;

    /// Refuses a schedule with which it makes no sense.
    fn check(_options: &SolverOptions, _sigmas: &[f64]) -> Result<()> {
        Ok(())
    }
}

macro_rules! solvers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: $solver:ty,)+) => {
        choices! {
            /// A solver, by the name that it has in the Python API.
            pub enum Sampler { $($(#[$doc])* $variant = $name,)+ }
        }

        impl Sampler {
            /// What hosts want to know of it.
            #[must_use]
            pub fn facts(self) -> Facts {
                match self { $(Self::$variant => <$solver>::FACTS,)+ }
            }

            /// The stages of one step.
            pub fn stages<T: Real>(self, options: &SolverOptions, span: Span<'_, T>) -> Vec<Stage<T>> {
                match self { $(Self::$variant => <$solver>::stages(options, span),)+ }
            }

            /// Refuses a schedule with which the solver makes no sense.
            ///
            /// # Errors
            /// [`Error::Schedule`] or [`Error::Config`] with the value and what to do.
            pub fn check(self, options: &SolverOptions, sigmas: &[f64]) -> Result<()> {
                match self { $(Self::$variant => <$solver>::check(options, sigmas),)+ }
            }
        }
    };
}

solvers! {
    /// Ancestral Euler.
    EulerAncestral = "euler_a": euler_ancestral::EulerAncestral,
    /// Euler's method.
    Euler = "euler": euler::EulerMethod,
    /// Euler's method with a jitter.
    Naive = "naive": naive::Naive,
    /// Heun's method.
    Heun = "heun": heun::Heun,
    /// DPM-Solver++(2M).
    Dpmpp2m = "dpmpp_2m": dpmpp_2m::Dpmpp2m,
    /// DPM-Solver++(2M) SDE.
    Dpmpp2mSde = "dpmpp_2m_sde": dpmpp_2m_sde::Dpmpp2mSde,
    /// DPM-Solver++ SDE.
    DpmppSde = "dpmpp_sde": dpmpp_sde::DpmppSde,
}

/// Refuses a schedule that rises somewhere.
fn must_fall(name: &str, sigmas: &[f64]) -> Result<()> {
    match sigmas.windows(2).position(|pair| pair[1] > pair[0]) {
        Some(i) => Err(Error::Schedule(format!(
            "value {} rises from {:?} to {:?}; {name} needs a schedule that never rises (euler, heun and naive take one)",
            i + 1,
            sigmas[i],
            sigmas[i + 1]
        ))),
        None => Ok(()),
    }
}

/// Refuses two neighbours that are equal, between which a step has no length in log sigma.
fn must_move(name: &str, sigmas: &[f64]) -> Result<()> {
    match sigmas.windows(2).position(|pair| pair[1] >= pair[0]) {
        Some(i) => Err(Error::Schedule(format!(
            "value {} is {:?} after {:?}; {name} needs a schedule that falls at every step",
            i + 1,
            sigmas[i + 1],
            sigmas[i]
        ))),
        None => Ok(()),
    }
}
