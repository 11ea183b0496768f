//! A run: it owns the latent, the history, the noise and the scratch, and asks for what it needs next.
//!
//! [`Run::request`] says what, [`Run::feed`] answers; the stages in between are data ([`crate::solver`]). The arrays lie
//! wherever the [`Storage`] puts them, so that numpy is one host like the others.

mod moves;
mod state;

use ndarray::ArrayViewD;

pub use state::State;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::memory;
use crate::noise::{Purpose, fill_batch};
use crate::program::{At, Program};
use crate::pull::Reference;
use crate::real::{Real, all_finite};
use crate::schedule::Elementary;
use crate::storage::{Own, Storage};
use crate::threads;

/// What a run needs next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Request<T> {
    /// The denoised latent of [`Run::asked`] at `sigma`.
    Denoise {
        /// Noise level to denoise at.
        sigma: T,
        /// Its place in [`Run::levels`].
        level: usize,
    },
    /// Standard normal noise for the interval from `sigma` to `sigma_next`.
    Noise {
        /// Where the interval starts.
        sigma: T,
        /// Where it ends.
        sigma_next: T,
        /// The places of both in [`Run::levels`].
        levels: [usize; 2],
    },
    /// Nothing: the present latent is the result.
    Done,
}

/// Where a run is between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It needs something that nobody has asked about yet.
    Waiting,
    /// The present request has been seen.
    Asked,
    /// It has ended with an error.
    Failed,
}

/// What history a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    /// None yet.
    None,
    /// The one that it began itself.
    Begun,
    /// One that it was given, and goes on with.
    Given,
}

/// How a run goes about its arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Keep the corrected derivative of the last step.
    pub records: bool,
    /// Keep the latent as it was if a step fails.
    pub keeps_x: bool,
    /// Use so many threads where they pay; results do not depend on it.
    pub threads: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Self { records: false, keeps_x: false, threads: 1 }
    }
}

/// A run of one batch down one schedule, with arrays of type `A`.
#[derive(Debug, Clone)]
pub struct Run<T, A> {
    config: Config,
    program: Program<T>,
    shape: Vec<usize>,
    seeds: Vec<u64>,
    reference: Reference<T>,
    acts: bool,
    manner: Manner,
    /// Place in the program.
    at: usize,
    phase: Phase,
    past: Past,
    /// The largest of some numbers of the latent when the model was last asked, and when it was first.
    size: f64,
    first_size: f64,
    x: A,
    spare: Option<A>,
    ahead: Option<A>,
    older: Option<Vec<T>>,
    denoised: Option<A>,
    /// The same answer, pulled towards the reference, if it was.
    pulled: Option<A>,
    is_pulled: bool,
    history: Option<Vec<T>>,
    noise: Option<A>,
    momentum_d: Option<Vec<T>>,
}

/// What a run starts from, besides its configuration and schedule.
#[derive(Debug)]
pub struct Start<'a, T, A> {
    /// Shape of the latent: batch, channel, spatial...
    pub shape: &'a [usize],
    /// The noised latent; the run's own from now on.
    pub x: A,
    /// The momentum history, instead of what `momentum_hist_init` says; the run's own from now on.
    pub history: Option<Vec<T>>,
    /// The reference, shaped like the latent or one image of it.
    pub reference: Option<ArrayViewD<'a, T>>,
    /// Where the reference counts, in [0, 1]: one channel, of the batch or of one image.
    pub mask: Option<ArrayViewD<'a, T>>,
}

impl<T: Real, A> Run<T, A> {
    /// A run of `config` over `sigmas`, one more than there are steps.
    ///
    /// # Errors
    /// What the configuration, the schedule and the solver refuse; a latent with fewer than two axes or without numbers;
    /// arrays that do not fit it or are not finite; want of memory.
    pub fn new<S: Storage<T, Array = A>>(
        storage: &S,
        config: Config,
        sigmas: &[f64],
        start: Start<'_, T, A>,
        manner: Manner,
        elementary: Elementary<'_, T>,
    ) -> std::result::Result<Self, S::Error> {
        let program = Program::new(&config, sigmas, elementary)?;
        let Start { shape, x, history, reference, mask } = start;
        let size: usize = shape.iter().product();
        if shape.len() < 2 || size == 0 {
            return Err(Error::Shape {
                what: "x",
                found: shape.to_vec(),
                allowed: "needs axes batch, channel and any spatial ones, none of them empty".into(),
            }
            .into());
        }
        let seeds = config.run.seed.of_batch(shape[0])?;
        let reference = Reference::new(&config.reference, shape, reference, mask)?;
        let pays = size >= threads::PAY_FROM;
        let manner = Manner { threads: if pays { manner.threads.max(1) } else { 1 }, ..manner };
        let mut run = Self {
            acts: config.momentum.acts(program.steps()),
            config,
            program,
            shape: shape.to_vec(),
            seeds,
            reference,
            manner,
            at: 0,
            phase: Phase::Waiting,
            past: if history.is_some() { Past::Given } else { Past::None },
            size: 0.0,
            first_size: 0.0,
            x,
            spare: None,
            ahead: None,
            older: None,
            denoised: None,
            pulled: None,
            is_pulled: false,
            history,
            noise: None,
            momentum_d: None,
        };
        run.check("x", &storage.read(&run.x)?, "the latent to start from must be finite")?;
        if let Some(history) = &run.history {
            run.check("history", history, "the history to start from must be finite")?;
        }
        run.start_history(storage)?;
        if run.program.keeps_answers() {
            run.older = Some(memory::zeros(size)?);
        }
        Ok(run)
    }

    /// What the run needs next.
    ///
    /// # Errors
    /// [`Error::Protocol`] after a step that failed.
    pub fn request(&mut self) -> Result<Request<T>> {
        let request = self.next()?;
        self.phase = Phase::Asked;
        Ok(request)
    }

    /// The same, without being asked in earnest: what is fed next must have been asked for by [`Self::request`].
    ///
    /// # Errors
    /// [`Error::Protocol`] after a step that failed.
    pub fn next(&self) -> Result<Request<T>> {
        if self.phase == Phase::Failed {
            let step = self.step();
            let message = format!("the run ended with an error at step {step}; start a new one");
            return Err(Error::Protocol(message));
        }
        let levels = self.program.levels();
        Ok(match self.program.stage(self.at) {
            None => Request::Done,
            Some(At::Noise { from, to, .. }) => {
                Request::Noise { sigma: levels[from], sigma_next: levels[to], levels: [from, to] }
            }
            Some(At::Denoise { level, .. }) => Request::Denoise { sigma: levels[level], level },
            Some(At::Move { .. }) => {
                return Err(Error::Protocol("the run is in the middle of a move".into()));
            }
        })
    }

    /// Answers the present request with an array shaped like the latent, and goes on to the next.
    ///
    /// # Errors
    /// [`Error::Protocol`] if nothing was asked, [`Error::Shape`] for another length: the run is as it was.
    /// [`Error::Numeric`] if the latent is no longer finite, which ends the run.
    pub fn feed<S: Storage<T, Array = A>>(
        &mut self,
        storage: &S,
        array: A,
    ) -> std::result::Result<(), S::Error> {
        let fed = match self.wanted()? {
            At::Denoise { .. } => "the denoiser's answer",
            _ => "the noise",
        };
        self.check_length(fed, storage.len(&array))?;
        let noise = match self.program.stage(self.at) {
            Some(At::Denoise { level, .. }) => {
                self.denoised = Some(array);
                self.pull_answer(storage, level)?;
                None
            }
            _ => Some(array),
        };
        self.go_on(storage, noise).map(drop)
    }

    /// Answers the present noise request from the run's seeds.
    ///
    /// # Errors
    /// [`Error::Protocol`] if no noise was asked for; want of memory.
    pub fn draw<S: Storage<T, Array = A>>(&mut self, storage: &S) -> std::result::Result<(), S::Error> {
        let At::Noise { again, .. } = self.wanted()? else {
            let message = "asked to draw noise that the run has not asked for";
            return Err(Error::Protocol(message.into()).into());
        };
        let mut noise = match self.noise.take() {
            Some(noise) => noise,
            None => storage.empty(&self.shape)?,
        };
        {
            let mut numbers = storage.write(&mut noise)?;
            let (numbers, seeds, step) = (&mut *numbers, &self.seeds, self.step());
            let purpose = if again { Purpose::StepAgain } else { Purpose::Step };
            storage.detached(|| fill_batch(numbers, seeds, step, purpose));
        }
        self.noise = self.go_on(storage, Some(noise))?;
        Ok(())
    }

    /// Takes another latent in the place of the present one; only while the run asks for the first answer of a step.
    ///
    /// # Errors
    /// [`Error::Protocol`] at another time; a latent of another length or one that is not finite.
    pub fn replace_x<S: Storage<T, Array = A>>(
        &mut self,
        storage: &S,
        x: A,
    ) -> std::result::Result<(), S::Error> {
        self.next()?;
        if !matches!(self.program.stage(self.at), Some(At::Denoise { ahead: false, .. })) {
            let message =
                "x can be replaced only while the run asks for the denoised latent at the start of a step";
            return Err(Error::Protocol(message.into()).into());
        }
        self.check("x", &storage.read(&x)?, "must be finite")?;
        self.x = x;
        Ok(())
    }

    /// 0-based index of the present step; the number of steps when the run is done.
    pub fn step(&self) -> usize {
        self.program.step(self.at)
    }

    /// Shape of the latent.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The noise levels of the schedule, then those of the solver's own.
    pub fn levels(&self) -> &[T] {
        self.program.levels()
    }

    /// The level at which the present step starts.
    pub fn sigma(&self) -> T {
        self.program.levels()[self.step()]
    }

    /// Whether the model is asked for the first time in the present step.
    pub fn begins_step(&self) -> bool {
        matches!(self.program.stage(self.at), Some(At::Denoise { ahead: false, .. }))
    }

    /// The levels of the noise that is needed right after the model's answer, if it is.
    pub fn draws_after_answer(&self) -> Option<[usize; 2]> {
        match (self.program.stage(self.at), self.program.stage(self.at + 1)) {
            (Some(At::Denoise { .. }), Some(At::Noise { from, to, .. })) => Some([from, to]),
            _ => None,
        }
    }

    /// Whether the present step asks for noise after a model call, or has asked.
    pub fn draws_in_step(&self) -> bool {
        let step = self.step();
        let mut asked = false;
        (0..)
            .map(|place| (self.program.step(place), self.program.stage(place)))
            .skip_while(|(of, _)| *of < step)
            .take_while(|(of, stage)| *of == step && stage.is_some())
            .any(|(_, stage)| {
                asked |= matches!(stage, Some(At::Denoise { .. }));
                asked && matches!(stage, Some(At::Noise { .. }))
            })
    }

    /// The present latent: of a run that is done, the result.
    pub fn x(&self) -> &A {
        &self.x
    }

    /// The latent that the model is asked about.
    pub fn asked(&self) -> &A {
        match (self.program.stage(self.at), &self.ahead) {
            (Some(At::Denoise { ahead: true, .. }), Some(ahead)) => ahead,
            _ => &self.x,
        }
    }

    /// The history; none before there is one.
    pub fn history(&self) -> Option<&[T]> {
        self.history.as_deref().filter(|_| self.past != Past::None)
    }

    /// The corrected derivative of the last step; none before the first.
    pub fn momentum_d(&self) -> Option<&[T]> {
        self.momentum_d.as_deref()
    }

    /// What the solver goes by: the present answer, pulled towards the reference if it is.
    fn answer(&self) -> Option<&A> {
        if self.is_pulled { self.pulled.as_ref() } else { self.denoised.as_ref() }
    }

    /// The options.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The stage that waits for an answer.
    fn wanted(&self) -> Result<At<T>> {
        self.next()?;
        match self.program.stage(self.at) {
            Some(stage) if self.phase == Phase::Asked => Ok(stage),
            Some(_) => Err(Error::Protocol("fed an array before request() asked for one".into())),
            None => Err(Error::Protocol("fed an array, but the run is done".into())),
        }
    }

    fn check_length(&self, what: &'static str, length: usize) -> Result<()> {
        let size: usize = self.shape.iter().product();
        if length == size {
            return Ok(());
        }
        let allowed = format!("must hold {size} numbers like the latent");
        Err(Error::Shape { what, found: vec![length], allowed })
    }

    fn check(&self, what: &'static str, numbers: &[T], allowed: &str) -> Result<()> {
        self.check_length(what, numbers.len())?;
        if all_finite(numbers) {
            return Ok(());
        }
        Err(Error::Values { what, found: "holds NaN or infinite numbers".into(), allowed: allowed.into() })
    }
}

impl<T: Real> Run<T, Vec<T>> {
    /// A run in the core's own memory.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn own(config: Config, sigmas: &[f64], shape: &[usize], x: Vec<T>) -> Result<Self> {
        let start = Start { shape, x, history: None, reference: None, mask: None };
        Self::new(&Own, config, sigmas, start, Manner::default(), Elementary::own())
    }

    /// Goes to the end: `denoise(x, sigma)` answers the denoised latent, noise comes from the seeds.
    ///
    /// # Errors
    /// What [`Self::feed`] refuses, and any error of `denoise`.
    pub fn complete(mut self, mut denoise: impl FnMut(&[T], T) -> Result<Vec<T>>) -> Result<Vec<T>> {
        loop {
            match self.request()? {
                Request::Done => return Ok(self.x),
                Request::Noise { .. } => self.draw(&Own)?,
                Request::Denoise { sigma, .. } => {
                    let answer = denoise(self.asked(), sigma)?;
                    self.feed(&Own, answer)?;
                }
            }
        }
    }
}
