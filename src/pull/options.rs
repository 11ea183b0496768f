//! The options of the pull.

use std::f64::consts::PI;

use crate::error::{Error, Result};
use crate::options::{PerStep, StepPosition, choices, in_range, options, shown};

choices! {
    /// How the reference pulls.
    pub enum RefMethod {
        /// Blends the latent with the reference, scaled to the latent's mean and spread.
        Linear = "linear",
        /// An Euler step of weight `f` towards the reference, scaled to the denoised latent's mean and spread.
        Euler = "euler",
        /// Blends what the model answers with the reference, before the step.
        Denoised = "denoised",
    }
}

choices! {
    /// What of the reference is made like the model's answer first.
    pub enum RefMatch {
        /// Mean and spread of every channel.
        Channel = "channel",
        /// Nothing.
        None = "none",
    }
}

options! {
    /// What the pull towards a reference can be told.
    pub struct ReferenceOptions {
        /// How the reference pulls.
        ref_method: RefMethod = RefMethod::Linear,
        /// How strongly the reference pulls; negative pushes away.
        ref_factor: PerStep = PerStep::Constant(0.02),
        /// First step at which the reference pulls; of `denoised`, the progress from which it does.
        ref_start: StepPosition = StepPosition::Fraction(0.0),
        /// Last step at which the reference pulls, inclusive; of `denoised`, the progress to which it does.
        ref_stop: StepPosition = StepPosition::Fraction(0.75),
        /// How long the pull of `denoised` takes to come and go, in progress.
        ref_fade: f64 = 0.1,
        /// What of the reference `denoised` makes like the answer.
        ref_match: RefMatch = RefMatch::Channel,
        /// How fine the details are in which `denoised` pulls; 1: all of them.
        ref_detail: f64 = 1.0,
    }
}

/// The coarsest detail: a Gaussian of 29 latent cells, to which an image is not much more than its mean.
const COARSEST: f64 = 0.01;

impl ReferenceOptions {
    /// Checks every option that can be checked without a schedule.
    ///
    /// # Errors
    /// [`Error::Config`] with the option, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        if let Some(bad) = self.ref_factor.values().iter().find(|factor| !factor.is_finite()) {
            return Err(Error::config("ref_factor", shown(*bad), "must be a finite number"));
        }
        in_range("ref_fade", self.ref_fade, [0.0, 1.0])?;
        in_range("ref_detail", self.ref_detail, [COARSEST, 1.0])?;
        let range = [self.ref_start, self.ref_stop];
        StepPosition::validate_range(["ref_start", "ref_stop"], range)?;
        if self.ref_method == RefMethod::Denoised {
            self.window()?;
        }
        Ok(())
    }

    /// The factor of a step for the methods that act on the latent; 0, which is none, outside its range.
    #[must_use]
    pub fn at(&self, step: usize, steps: usize) -> f64 {
        let range = self.ref_start.resolve(steps)..=self.ref_stop.resolve(steps);
        if range.contains(&(step as u64)) { self.ref_factor.at(step) } else { 0.0 }
    }

    /// How strongly the answer at a noise level is pulled, in the run's progress `u` there and not in its steps:
    /// the factor inside the window, falling to 0 as a raised cosine over `ref_fade` on both sides of it.
    #[must_use]
    pub fn weight(&self, step: usize, u: f64) -> f64 {
        let [from, to] = self.window().unwrap_or([0.0, 1.0]);
        let outside = (from - u).max(u - to).max(0.0);
        let fade = if outside == 0.0 {
            1.0
        } else if outside < self.ref_fade {
            0.5 + 0.5 * (PI * outside / self.ref_fade).cos()
        } else {
            0.0
        };
        self.ref_factor.at(step) * fade
    }

    /// The window in progress: a number of steps is none.
    fn window(&self) -> Result<[f64; 2]> {
        let fraction = |field, position| match position {
            StepPosition::Fraction(fraction) => Ok(fraction),
            StepPosition::Index(0) => Ok(0.0),
            StepPosition::Index(index) => Err(Error::config(
                field,
                index,
                "must be a fraction such as 0.75 with ref_method = denoised, whose window does not depend on the number of steps",
            )),
        };
        let [start, stop] = [fraction("ref_start", self.ref_start)?, fraction("ref_stop", self.ref_stop)?];
        if start > stop {
            let allowed = format!("must not be after ref_stop ({})", shown(stop));
            return Err(Error::config("ref_start", shown(start), allowed));
        }
        Ok([start, stop])
    }
}

/// How far a run is at a noise level: 0 at the first, 1 at sigma 0. `u = 1 - tau(sigma) / tau(first)` with
/// `tau = sigma / (1 + sigma)`, and `tau = sigma` for a flow model.
///
/// It depends on the level alone, not on how many steps lead there; and a pull that is constant in it has a limit as the
/// steps become many, which one that is constant in log sigma has not.
#[must_use]
pub fn progress(sigma: f64, first: f64, flow: bool) -> f64 {
    let tau = |sigma: f64| if flow { sigma } else { sigma / (1.0 + sigma) };
    (1.0 - tau(sigma) / tau(first)).clamp(0.0, 1.0)
}
