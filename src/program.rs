//! A run's stages, compiled from a configuration and a schedule.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::real::Real;
use crate::schedule::{self, Elementary};
use crate::solver::{Level, Move, Span, Stage};

/// All stages of a run, in order.
#[derive(Debug, Clone)]
pub(crate) struct Program<T> {
    stages: Vec<Numbered<T>>,
    /// The schedule, then the solver's own levels.
    levels: Vec<T>,
    steps: usize,
}

/// A stage and the step that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Numbered<T> {
    pub(crate) step: usize,
    pub(crate) stage: At<T>,
}

/// A stage whose levels are places in the program's list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum At<T> {
    /// Noise for an interval; `again` if it is the step's second draw.
    Noise { from: usize, to: usize, again: bool },
    /// The model is asked; `ahead` if it is not at the start of the step.
    Denoise { level: usize, ahead: bool },
    /// The latent moves; `keeps_answer` if a later move uses the answer.
    Move { moves: Move<T>, keeps_answer: bool },
}

impl<T: Real> Program<T> {
    /// The program of a run of `config` over `sigmas`.
    ///
    /// # Errors
    /// What the configuration, the schedule and the solver refuse; a step whose numbers cannot be computed in `T`.
    pub(crate) fn new(config: &Config, sigmas: &[f64], elementary: Elementary<'_, T>) -> Result<Self> {
        config.validate()?;
        schedule::validate(sigmas)?;
        let (sampler, options) = (config.run.sampler, &config.solver);
        sampler.check(options, sigmas)?;
        let steps = sigmas.len() - 1;
        config.validate_steps(steps)?;
        let mut program = Self {
            stages: Vec::with_capacity(3 * steps),
            levels: sigmas.iter().map(|&sigma| T::of(sigma)).collect(),
            steps,
        };
        for step in 0..steps {
            let (sigma, sigma_next) = (program.levels[step], program.levels[step + 1]);
            let previous = step.checked_sub(1).map(|before| program.levels[before]);
            let mut stages = if sigma > T::zero() {
                sampler.stages(options, Span { steps, previous, sigma, sigma_next, elementary })
            } else {
                Vec::new()
            };
            if stages.is_empty() || !stages.iter().all(Stage::is_computable) {
                return Err(Error::Schedule(format!(
                    "the step {step} from {:?} to {:?} cannot be computed in {}",
                    sigma.wide(),
                    sigma_next.wide(),
                    T::NAME
                )));
            }
            if config.run.exact_last_step && sigma_next == T::zero() {
                let asked = stages.iter().position(|stage| matches!(stage, Stage::Denoise(_)));
                stages.truncate(asked.map_or(0, |index| index + 1));
                stages.push(Stage::Move(Move::Take));
            }
            program.append(step, &stages);
        }
        program.keep_answers();
        Ok(program)
    }

    fn append(&mut self, step: usize, stages: &[Stage<T>]) {
        let (mut drawn, mut ahead) = (false, false);
        for stage in stages {
            let stage = match *stage {
                Stage::Noise { from, to } => {
                    let again = std::mem::replace(&mut drawn, true);
                    At::Noise { from: self.level(step, from), to: self.level(step, to), again }
                }
                Stage::Denoise(level) => At::Denoise { level: self.level(step, level), ahead },
                Stage::Move(moves) => {
                    ahead = matches!(moves, Move::Ahead { .. });
                    At::Move { moves, keeps_answer: false }
                }
            };
            self.stages.push(Numbered { step, stage });
        }
    }

    fn level(&mut self, step: usize, level: Level<T>) -> usize {
        match level {
            Level::Start => step,
            Level::End => step + 1,
            Level::At(sigma) => {
                self.levels.push(sigma);
                self.levels.len() - 1
            }
        }
    }

    /// Marks the moves after which a later one uses the answer.
    fn keep_answers(&mut self) {
        let mut wanted = false;
        for Numbered { stage, .. } in self.stages.iter_mut().rev() {
            if let At::Move { moves: Move::Ahead { form, .. } | Move::Step { form, .. }, keeps_answer } =
                stage
            {
                *keeps_answer = std::mem::replace(&mut wanted, form.uses_older());
            }
        }
    }

    /// Number of steps.
    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    /// The schedule, one more than there are steps, then the solver's own levels.
    pub(crate) fn levels(&self) -> &[T] {
        &self.levels
    }

    /// The stage at a place; none past the end.
    pub(crate) fn stage(&self, at: usize) -> Option<At<T>> {
        self.stages.get(at).map(|numbered| numbered.stage)
    }

    /// The weight that the first step's answer has in the latent after it; none if it takes the answer as it is.
    pub(crate) fn first_weight(&self) -> Option<f64> {
        self.stages.iter().take_while(|of| of.step == 0).find_map(|of| match of.stage {
            At::Move { moves: Move::Step { sigma_hat, sigma_to, rescale, .. }, .. } => {
                Some((1.0 - sigma_to.wide() / sigma_hat.wide()) * rescale.wide())
            }
            _ => None,
        })
    }

    /// The step of a place: the number of steps past the end.
    pub(crate) fn step(&self, at: usize) -> usize {
        self.stages.get(at).map_or(self.steps, |numbered| numbered.step)
    }

    /// Whether a move of the run keeps an answer.
    pub(crate) fn keeps_answers(&self) -> bool {
        self.stages.iter().any(|numbered| matches!(numbered.stage, At::Move { keeps_answer: true, .. }))
    }
}
