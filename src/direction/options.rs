//! The options of the momentum.

use super::Sign;
use crate::error::{Error, Result};
use crate::options::{
    PerStep, Plain, StepPosition, Value, at_least_zero, choices, in_unit_interval, one_per_step, options,
};

choices! {
    /// The kind of momentum.
    pub enum MomentumMode {
        /// That of the original, on the derivative.
        Classic = "classic",
        /// Ahead, on the denoised latent.
        Lead = "lead",
    }
}

choices! {
    /// What the history is before the first step.
    pub enum HistoryInit {
        /// There is none: the first step uses `h = 0`, and the first history is that step's `m`, without the blend.
        Zero = "zero",
        /// The initial, noised latent.
        RandInit = "rand_init",
        /// A fresh standard normal draw from the image's seed.
        RandNew = "rand_new",
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

impl MomentumSign {
    fn words(&self) -> String {
        match self {
            Self::Always(sign) => sign.name().into(),
            Self::Rand => "rand".into(),
            Self::Sequence(signs) => signs.iter().map(|sign| sign.name()).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Value for MomentumSign {
    fn read(plain: &Plain) -> std::result::Result<Self, String> {
        let allowed =
            |_| "must be one of pos, neg, rand, or a sequence of pos and neg with one entry per step".into();
        match plain {
            Plain::Text(word) if word == "rand" => Ok(Self::Rand),
            Plain::List(entries) => entries
                .iter()
                .map(Sign::read)
                .collect::<std::result::Result<_, _>>()
                .map(Self::Sequence)
                .map_err(allowed),
            plain => Sign::read(plain).map(Self::Always).map_err(allowed),
        }
    }

    fn plain(&self) -> Plain {
        match self {
            Self::Always(sign) => sign.plain(),
            Self::Rand => Plain::Text("rand".into()),
            Self::Sequence(signs) => Plain::List(signs.iter().map(Value::plain).collect()),
        }
    }
}

options! {
    /// What the momentum can be told.
    pub struct MomentumOptions {
        /// The kind of momentum.
        momentum_mode: MomentumMode = MomentumMode::Classic,
        /// How much of each step is the model's present direction, in [0, 1]; 1 switches momentum off.
        momentum: PerStep = PerStep::Constant(0.95),
        /// How much of the history survives each step, in [0, 1].
        momentum_hist: PerStep = PerStep::Constant(0.75),
        /// What the history is before the first step.
        momentum_hist_init: HistoryInit = HistoryInit::Zero,
        /// Whether the history is added to the derivative or subtracted from it.
        momentum_sign: MomentumSign = MomentumSign::Always(Sign::Pos),
        /// First step with momentum.
        momentum_start: StepPosition = StepPosition::Fraction(0.0),
        /// Last step with momentum, inclusive.
        momentum_stop: StepPosition = StepPosition::Fraction(1.0),
        /// How far `lead` may go ahead, in standard deviations of the denoised latent; 0: as far as it likes.
        lead_guard: f64 = 0.25,
    }
}

impl MomentumOptions {
    /// Checks every option that can be checked without a schedule.
    ///
    /// # Errors
    /// [`Error::Config`] with the option, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        in_unit_interval("momentum", &self.momentum)?;
        in_unit_interval("momentum_hist", &self.momentum_hist)?;
        let range = [self.momentum_start, self.momentum_stop];
        StepPosition::validate_range(["momentum_start", "momentum_stop"], range)?;
        at_least_zero("lead_guard", self.lead_guard)?;
        if self.momentum_mode == MomentumMode::Lead {
            if self.momentum_sign != MomentumSign::Always(Sign::Pos) {
                let allowed = "must be pos with momentum_mode = lead, which always runs ahead";
                return Err(Error::config("momentum_sign", self.momentum_sign.words(), allowed));
            }
            if self.momentum_hist_init != HistoryInit::Zero {
                let allowed = "must be zero with momentum_mode = lead, whose history is of denoised latents";
                return Err(Error::config("momentum_hist_init", self.momentum_hist_init.name(), allowed));
            }
        }
        Ok(())
    }

    /// Checks that every sequence has one entry for each of `steps` steps.
    ///
    /// # Errors
    /// [`Error::Config`] with the option and the two lengths.
    pub fn validate_steps(&self, steps: usize) -> Result<()> {
        self.momentum.validate_steps("momentum", steps)?;
        self.momentum_hist.validate_steps("momentum_hist", steps)?;
        match &self.momentum_sign {
            MomentumSign::Sequence(signs) => one_per_step("momentum_sign", signs.len(), steps),
            _ => Ok(()),
        }
    }

    /// The momentum of a step: 1, which is none, outside its range.
    #[must_use]
    pub fn at(&self, step: usize, steps: usize) -> f64 {
        let range = self.momentum_start.resolve(steps)..=self.momentum_stop.resolve(steps);
        if range.contains(&(step as u64)) { self.momentum.at(step) } else { 1.0 }
    }

    /// Whether any step of a run has momentum.
    #[must_use]
    pub fn acts(&self, steps: usize) -> bool {
        (0..steps).any(|step| self.at(step, steps) < 1.0)
    }
}
