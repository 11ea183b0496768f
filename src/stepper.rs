//! The ask/feed machine on which everything runs.
//!
//! [`Stepper::request`] tells what the algorithm needs next. The machine owns the schedule, the coefficients and
//! the reference; the arrays belong to whoever drives it ([`crate::drive`], the Python binding), who lends them
//! for the length of a call, so that a host's memory is used where it lies.

use ndarray::ArrayViewD;

use crate::config::{Config, MomentumSign};
use crate::error::{Error, Result};
use crate::guidance::{Pull, normalize_reference};
use crate::method::{Plan, Span};
use crate::momentum::{HistoryInit, Momentum};
use crate::noise::{Purpose, fill_batch, random_sign};
use crate::real::{Real, all_finite};
use crate::schedule::{self, Sqrt};
use crate::threads;
use crate::update::{self, Arrays, History, Step};

/// What the algorithm needs next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Request<T> {
    /// The denoised latent of the present latent at `sigma`.
    Denoise {
        /// Noise level to denoise at.
        sigma: T,
    },
    /// Standard normal noise for the step from `sigma` to `sigma_next`.
    Noise {
        /// Where the step starts.
        sigma: T,
        /// Where it ends.
        sigma_next: T,
    },
    /// Nothing: the present latent is the result.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Churn,
    Denoise,
    Noise,
    Done,
    Failed,
}

/// A run of one batch down one schedule.
#[derive(Debug)]
pub struct Stepper<T> {
    config: Config,
    sigmas: Vec<T>,
    plans: Vec<Plan<T>>,
    shape: Vec<usize>,
    seeds: Vec<u64>,
    reference: Vec<T>,
    guided: std::ops::RangeInclusive<u64>,
    threads: usize,
    step: usize,
    phase: Phase,
    has_history: bool,
}

impl<T: Real> Stepper<T> {
    /// A run over `sigmas` (noise levels, one more than steps) from the latent `x` of `shape` (batch, channel,
    /// spatial...).
    ///
    /// `has_history` tells that the driver brings a history; `sqrt` is `&T::sqrt` or the host's.
    ///
    /// # Errors
    /// What [`Config::validate`], [`schedule::validate`] and the method refuse; a shape with fewer than two
    /// axes or without numbers; a latent that is not finite; a reference of another shape.
    pub fn new(
        config: Config,
        sigmas: &[f64],
        shape: &[usize],
        x: &[T],
        reference: Option<ArrayViewD<'_, T>>,
        has_history: bool,
        sqrt: Sqrt<'_, T>,
    ) -> Result<Self> {
        config.validate()?;
        schedule::validate(sigmas)?;
        (config.sampler.check)(&config, sigmas)?;
        let steps = sigmas.len() - 1;
        config.validate_steps(steps)?;
        if shape.len() < 2 || x.is_empty() || x.len() != shape.iter().product::<usize>() {
            return Err(Error::Shape {
                what: "x",
                found: shape.to_vec(),
                allowed: "needs axes batch, channel and any spatial ones, none of them empty".into(),
            });
        }
        if !all_finite(x) {
            return Err(Error::Values {
                what: "x",
                found: "holds NaN or infinite numbers".into(),
                allowed: "the latent to start from must be finite".into(),
            });
        }
        let sigmas: Vec<T> = sigmas.iter().map(|&sigma| T::of(sigma)).collect();
        let plans = plans(&config, &sigmas, sqrt)?;
        let reference = match reference {
            Some(reference) => fitting_reference(reference, shape)?,
            None => Vec::new(),
        };
        let guided = config.ref_start.resolve(steps)..=config.ref_stop.resolve(steps);
        let mut stepper = Self {
            seeds: config.seed.of_batch(shape[0])?,
            config,
            sigmas,
            plans,
            shape: shape.to_vec(),
            reference,
            guided,
            threads: 1,
            step: 0,
            phase: Phase::Done,
            has_history,
        };
        stepper.phase = stepper.first_phase();
        Ok(stepper)
    }

    /// Uses `threads` threads where they pay; results do not depend on it.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        let pays = self.shape.iter().product::<usize>() >= threads::PAY_FROM;
        self.threads = if pays { threads.max(1) } else { 1 };
        self
    }

    /// What the algorithm needs next.
    ///
    /// # Errors
    /// [`Error::Protocol`] after a step that failed.
    pub fn request(&self) -> Result<Request<T>> {
        Ok(match self.phase {
            Phase::Churn | Phase::Noise => {
                Request::Noise { sigma: self.sigmas[self.step], sigma_next: self.sigmas[self.step + 1] }
            }
            Phase::Denoise => Request::Denoise { sigma: self.plans[self.step].sigma_hat },
            Phase::Done => Request::Done,
            Phase::Failed => {
                let message = format!("the run ended with an error at step {}; start a new one", self.step);
                return Err(Error::Protocol(message));
            }
        })
    }

    /// 0-based index of the present step; the number of steps when the run is done.
    #[must_use]
    pub fn step(&self) -> usize {
        self.step
    }

    /// Shape of the latent.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The sigma at which the present step starts.
    #[must_use]
    pub fn sigma(&self) -> T {
        self.sigmas[self.step]
    }

    /// The configuration of the run.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the present noise request comes before the model call (churn).
    #[must_use]
    pub fn asks_for_churn(&self) -> bool {
        self.phase == Phase::Churn
    }

    /// Whether the step asks for noise after the model call.
    #[must_use]
    pub fn draws_after_denoising(&self) -> bool {
        !self.is_exact() && self.plans.get(self.step).is_some_and(|plan| plan.noise.is_some())
    }

    /// Whether a step of this run reads or writes a history.
    #[must_use]
    pub fn needs_history(&self) -> bool {
        (0..self.plans.len()).any(|step| self.config.momentum.at(step) < 1.0)
    }

    /// Whether there is a history: given, made by `momentum_hist_init`, or left by a step.
    #[must_use]
    pub fn has_history(&self) -> bool {
        self.has_history
    }

    /// Fills `history` as `momentum_hist_init` says, unless the run was given one or starts without. `x` is the
    /// initial latent: to be called before the first step, and before its churn.
    pub fn start_history(&mut self, x: &[T], history: &mut [T]) {
        match self.config.momentum_hist_init {
            _ if self.has_history => return,
            HistoryInit::Zero => return,
            HistoryInit::RandInit => history.copy_from_slice(x),
            HistoryInit::RandNew => fill_batch(history, &self.seeds, 0, Purpose::History),
        }
        self.has_history = true;
    }

    /// Fills `noise` for the present noise request from the run's seeds.
    pub fn draw(&self, noise: &mut [T]) {
        fill_batch(noise, &self.seeds, self.step, Purpose::Step);
    }

    /// Answers a noise request before the model call: writes the churned latent to `out`. No `x` means that the latent
    /// lies in `out`.
    ///
    /// # Errors
    /// [`Error::Protocol`] if that was not asked; [`Error::Numeric`] if the latent is no longer finite.
    pub fn churn(&mut self, x: &[T], noise: &[T], out: &mut [T]) -> Result<()> {
        let added = match (self.phase, self.plans.get(self.step)) {
            (Phase::Churn, Some(Plan { churn: Some(added), .. })) => *added,
            _ => return Err(self.not_asked("noise before a model call")),
        };
        self.check_lengths(&[("the noise", noise.len()), ("out", out.len())], &[("x", x.len())])?;
        let images = update::churn(added, x, noise, out, self.shape[0], self.threads);
        self.judge(images, &[("noise", noise)])?;
        self.phase = Phase::Denoise;
        Ok(())
    }

    /// Notes that the model has answered and noise is needed before the step can be made.
    ///
    /// # Errors
    /// [`Error::Protocol`] if the model's answer was not asked for, or the step needs no noise.
    pub fn await_noise(&mut self) -> Result<()> {
        if self.phase != Phase::Denoise || !self.draws_after_denoising() {
            return Err(self.not_asked("noise after a model call"));
        }
        self.phase = Phase::Noise;
        Ok(())
    }

    /// Makes the step, with all that was asked for: `arrays` holds the latent, the model's answer, the noise if the
    /// step asked for it, the history if there is momentum, and where to write. `arrays.reference` is ignored.
    ///
    /// # Errors
    /// [`Error::Protocol`] if something is still to be asked; [`Error::Shape`] if an array that the step needs has
    /// another length than the latent; [`Error::Numeric`] if the new latent is not finite, which ends the run.
    pub fn advance(&mut self, arrays: Arrays<'_, T>) -> Result<()> {
        let complete = match self.phase {
            Phase::Noise => true,
            Phase::Denoise => !self.draws_after_denoising(),
            _ => false,
        };
        if !complete {
            return Err(self.not_asked("a step"));
        }
        let needs_noise = self.phase == Phase::Noise;
        let arrays = if needs_noise { arrays } else { Arrays { noise: &[], ..arrays } };
        self.check_lengths(
            &[("the denoiser's answer", arrays.denoised.len()), ("out", arrays.out.len())],
            &[("x", arrays.x.len()), ("momentum_d", arrays.momentum_d.len())],
        )?;
        if needs_noise {
            self.check_lengths(&[("the noise", arrays.noise.len())], &[])?;
        }
        if self.config.momentum.at(self.step) < 1.0 {
            self.check_lengths(&[("history", arrays.history.len())], &[])?;
        }
        let (denoised, noise) = (arrays.denoised, arrays.noise);
        let images = if self.is_exact() { self.take_denoised(arrays) } else { self.make_step(arrays) };
        self.judge(images, &[("the denoiser's answer", denoised), ("noise", noise)])?;
        self.step += 1;
        self.phase = self.first_phase();
        Ok(())
    }

    /// Refuses an array of another length than the latent; the `optional` ones may be missing.
    fn check_lengths(
        &self,
        needed: &[(&'static str, usize)],
        optional: &[(&'static str, usize)],
    ) -> Result<()> {
        let size: usize = self.shape.iter().product();
        let given = optional.iter().filter(|(_, length)| *length > 0);
        match needed.iter().chain(given).find(|(_, length)| *length != size) {
            Some(&(what, length)) => {
                let allowed = format!("must hold {size} numbers like the latent");
                Err(Error::Shape { what, found: vec![length], allowed })
            }
            None => Ok(()),
        }
    }

    fn make_step(&mut self, arrays: Arrays<'_, T>) -> Vec<usize> {
        let (step, config) = (self.step, &self.config);
        let momentum = config.momentum.at(step);
        let history = match (momentum < 1.0, self.has_history) {
            (false, _) => History::Untouched,
            (true, false) => History::Begins,
            (true, true) => History::Blends,
        };
        let momentum_of = |sign| Momentum::new(momentum, config.momentum_hist.at(step), sign);
        let momenta: Vec<Momentum<T>> = match &config.momentum_sign {
            MomentumSign::Always(sign) => vec![momentum_of(*sign)],
            MomentumSign::Sequence(signs) => vec![momentum_of(signs[step])],
            MomentumSign::Rand => {
                self.seeds.iter().map(|&seed| momentum_of(random_sign(seed, step))).collect()
            }
        };
        let (sigma, sigma_next) = (self.sigmas[step], self.sigmas[step + 1]);
        let factor = config.ref_factor.at(step);
        let pulls = !self.reference.is_empty() && factor != 0.0 && self.guided.contains(&(step as u64));
        let pull = pulls.then(|| Pull::new(config.ref_method, factor, sigma, sigma_next));
        self.has_history |= history == History::Begins;
        let reference = if pulls { &self.reference[..] } else { &[] };
        let arrays = Arrays { reference, ..arrays };
        let step = Step { plan: &self.plans[step], momentum: &momenta, history, pull };
        update::step(&step, arrays, self.shape[0], self.threads)
    }

    fn take_denoised(&self, arrays: Arrays<'_, T>) -> Vec<usize> {
        arrays.out.copy_from_slice(arrays.denoised);
        let size = arrays.out.len() / self.shape[0];
        let images = arrays.out.chunks(size).enumerate();
        images.filter(|(_, image)| !all_finite(image)).map(|(index, _)| index).collect()
    }

    fn is_exact(&self) -> bool {
        self.config.exact_last_step && self.sigmas.get(self.step + 1) == Some(&T::zero())
    }

    fn first_phase(&self) -> Phase {
        match self.plans.get(self.step) {
            None => Phase::Done,
            Some(Plan { churn: Some(_), .. }) => Phase::Churn,
            Some(_) => Phase::Denoise,
        }
    }

    fn judge(&mut self, images: Vec<usize>, sources: &[(&'static str, &[T])]) -> Result<()> {
        if images.is_empty() {
            return Ok(());
        }
        self.phase = Phase::Failed;
        let cause = match sources.iter().find(|(_, values)| !all_finite(values)) {
            Some(("noise", _)) => "the noise holds NaN or infinite numbers",
            Some(_) => "the denoiser answered NaN or infinite numbers",
            None => {
                "the latent grew past the largest number (neg and rand_init grow; try a momentum nearer to 1)"
            }
        };
        Err(Error::Numeric { step: self.step, sigma: self.sigma().wide(), images, cause })
    }

    fn not_asked(&self, what: &str) -> Error {
        let asked = match self.phase {
            Phase::Churn => "noise before the model call",
            Phase::Denoise => "the denoised latent",
            Phase::Noise => "noise after the model call",
            Phase::Done => "nothing, the run is done",
            Phase::Failed => "nothing, the run has failed",
        };
        Error::Protocol(format!("fed {what}, but at step {} the run asks for {asked}", self.step))
    }
}

fn plans<T: Real>(config: &Config, sigmas: &[T], sqrt: Sqrt<'_, T>) -> Result<Vec<Plan<T>>> {
    let steps = sigmas.len() - 1;
    let plan = |(step, pair): (usize, &[T])| {
        let span = Span { steps, sigma: pair[0], sigma_next: pair[1], sqrt };
        let plan = T::plan(config.sampler, config, span);
        let can_be_divided_by = plan.sigma_hat > T::zero();
        if plan.is_finite() && can_be_divided_by {
            return Ok(plan);
        }
        Err(Error::Schedule(format!(
            "the step {step} from {:?} to {:?} cannot be computed in {}",
            pair[0].wide(),
            pair[1].wide(),
            T::NAME
        )))
    };
    sigmas.windows(2).enumerate().map(plan).collect()
}

fn fitting_reference<T: Real>(reference: ArrayViewD<'_, T>, shape: &[usize]) -> Result<Vec<T>> {
    let found = reference.shape();
    if found.len() != shape.len() || found[1..] != shape[1..] || (found[0] != shape[0] && found[0] != 1) {
        return Err(Error::Shape {
            what: "reference",
            found: found.to_vec(),
            allowed: format!("must be {shape:?} like the latent, or one image of it"),
        });
    }
    Ok(normalize_reference(reference)?.into_raw_vec_and_offset().0)
}
