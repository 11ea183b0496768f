//! What a run does between two requests: it starts the history, makes the moves and judges what comes of them.

use super::{Past, Phase, Run};
use crate::arrays::Arrays;
use crate::direction::{Directed, HistoryInit, Present};
use crate::error::Error;
use crate::memory;
use crate::noise::{Purpose, fill_batch};
use crate::program::At;
use crate::pull::{Pull, Reference, progress};
use crate::real::{Real, all_finite};
use crate::solver::Move;
use crate::step::{self, Moving, Step};
use crate::storage::Storage;

/// Numbers of an image that are looked at to tell whether a latent has grown, and by how much it must have.
const LOOKED_AT: usize = 8;
const GROWN: f64 = 1000.0;

impl<T: Real, A> Run<T, A> {
    /// Makes the history as `momentum_hist_init` says, unless the run was given one or needs none. Zeros stand for none.
    pub(super) fn start_history<S: Storage<T, Array = A>>(
        &mut self,
        storage: &S,
    ) -> std::result::Result<(), S::Error> {
        if self.history.is_some() || !self.acts {
            return Ok(());
        }
        let mut history = memory::zeros(self.shape.iter().product())?;
        match self.config.momentum.momentum_hist_init {
            HistoryInit::Zero => {}
            HistoryInit::RandInit => history.copy_from_slice(&storage.read(&self.x)?),
            HistoryInit::RandNew => fill_batch(&mut history, &self.seeds, 0, Purpose::History),
        }
        if self.config.momentum.momentum_hist_init != HistoryInit::Zero {
            self.past = Past::Begun;
        }
        self.history = Some(history);
        Ok(())
    }

    /// Goes through the moves up to the next request; gives the noise back. An error that does not end the run leaves it
    /// as it was.
    pub(super) fn go_on<S: Storage<T, Array = A>>(
        &mut self,
        storage: &S,
        noise: Option<A>,
    ) -> std::result::Result<Option<A>, S::Error> {
        let begin = self.at;
        self.at += 1;
        while let Some(At::Move { moves, keeps_answer }) = self.program.stage(self.at) {
            if let Err(error) = self.make(storage, moves, keeps_answer, noise.as_ref()) {
                if self.phase != Phase::Failed {
                    self.at = begin;
                }
                return Err(error);
            }
            self.at += 1;
        }
        self.phase = Phase::Waiting;
        Ok(noise)
    }

    fn make<S: Storage<T, Array = A>>(
        &mut self,
        storage: &S,
        moves: Move<T>,
        keeps_answer: bool,
        noise: Option<&A>,
    ) -> std::result::Result<(), S::Error> {
        let still = Step { advance: None, pull: None, rescale: T::one(), noise: None, keeps_answer };
        let moving =
            |form, sigma_hat, sigma_to, direction| Some(Moving { form, sigma_hat, sigma_to, direction });
        match moves {
            Move::Churn(added) => self.compute(storage, &Step { noise: Some(added), ..still }, noise, false),
            Move::Ahead { form, noise: added } => {
                let plain = Directed::Plain;
                let step = Step { advance: moving(form, T::one(), T::one(), plain), noise: added, ..still };
                self.compute(storage, &step, noise, true)
            }
            Move::Step { form, sigma_hat, sigma_to, rescale, noise: added } => {
                let direction = self.direction(sigma_hat, sigma_to);
                let begins = direction.uses_history();
                let step = Step {
                    advance: moving(form, sigma_hat, sigma_to, direction),
                    pull: self.pull(),
                    rescale,
                    noise: added,
                    keeps_answer,
                };
                self.compute(storage, &step, noise, false)?;
                if begins && self.past == Past::None {
                    self.past = Past::Begun;
                }
                self.forget_answer();
                Ok(())
            }
            Move::Take => self.take(storage),
        }
    }

    fn direction(&self, sigma_hat: T, sigma_to: T) -> Directed<T> {
        let step = self.step();
        let (sigma_hat, sigma_to) = (sigma_hat.wide(), sigma_to.wide());
        let clean = |sigma: f64| if self.config.solver.flow { (1.0 - sigma).max(0.0) } else { 1.0 };
        let noise = |step: usize| {
            let sigma = self.levels()[step].wide();
            sigma / clean(sigma)
        };
        let is_second = step == 1 && self.past != Past::Given;
        let first = if is_second { self.program.first_weight() } else { None };
        self.config.momentum.direction(Present {
            step,
            steps: self.program.steps(),
            ends_at_zero: self.levels()[step + 1] == T::zero(),
            sigma_hat,
            fell: step.checked_sub(1).map(|before| noise(before) / noise(step)),
            first_left: first.map_or(0.0, |weight| weight * sigma_to / (sigma_hat - sigma_to)),
            clean: clean(sigma_hat),
            acts: self.acts,
            has_history: self.past != Past::None,
            seeds: &self.seeds,
        })
    }

    fn pull(&self) -> Option<Pull<T>> {
        let (step, options) = (self.step(), &self.config.reference);
        let factor = options.at(step, self.program.steps());
        if self.reference.of_step().is_empty() || factor == 0.0 {
            return None;
        }
        let levels = self.levels();
        Pull::new(options.ref_method, factor, levels[step], levels[step + 1])
    }

    /// Pulls the answer at a level towards the reference, if that is how it pulls, beside the model's own.
    pub(super) fn pull_answer<S: Storage<T, Array = A>>(
        &mut self,
        storage: &S,
        level: usize,
    ) -> std::result::Result<(), S::Error> {
        self.is_pulled = false;
        let (Reference::Answer(target), Some(denoised)) = (&self.reference, &self.denoised) else {
            return Ok(());
        };
        let levels = self.program.levels();
        let u = progress(levels[level].wide(), levels[0].wide(), self.config.solver.flow);
        let weight = self.config.reference.weight(self.program.step(self.at), u);
        if weight == 0.0 {
            return Ok(());
        }
        let mut pulled = match self.pulled.take() {
            Some(pulled) if storage.is_ours(&pulled) => pulled,
            _ => storage.empty(&self.shape)?,
        };
        {
            let (mut out, denoised) = (storage.write(&mut pulled)?, storage.read(denoised)?);
            let (out, denoised, threads) = (&mut *out, &*denoised, self.manner.threads);
            storage.detached(|| target.pull(weight, denoised, out, threads));
        }
        self.pulled = Some(pulled);
        self.is_pulled = true;
        Ok(())
    }

    fn forget_answer(&mut self) {
        self.denoised = None;
        self.is_pulled = false;
    }

    /// Computes a move of the latent, or one to beside it.
    fn compute<S: Storage<T, Array = A>>(
        &mut self,
        storage: &S,
        step: &Step<T>,
        noise: Option<&A>,
        ahead: bool,
    ) -> std::result::Result<(), S::Error> {
        let mut to = if ahead { Some(self.beside(storage)?) } else { self.destination(storage)? };
        if self.manner.records && step.advance.is_some() && !ahead && self.momentum_d.is_none() {
            self.momentum_d = Some(memory::zeros(self.shape.iter().product())?);
        }
        let images = {
            let Self {
                x,
                older,
                denoised,
                pulled,
                is_pulled,
                history,
                momentum_d,
                reference,
                shape,
                manner,
                acts,
                size,
                first_size,
                ..
            } = &mut *self;
            let (x, out) = match &mut to {
                Some(to) => (Some(storage.read(x)?), to),
                None => (None, x),
            };
            let mut out = storage.write(out)?;
            let answer = if *is_pulled { pulled } else { denoised };
            let denoised = answer.as_ref().map(|answer| storage.read(answer)).transpose()?;
            let noise = noise.map(|noise| storage.read(noise)).transpose()?;
            let moves = step.advance.is_some();
            if moves && *acts {
                *size = looked_at(x.as_deref().unwrap_or(&out), shape[0]);
                if *first_size == 0.0 {
                    *first_size = *size;
                }
            }
            let directed = step.advance.as_ref().is_some_and(|moving| moving.direction.uses_history());
            let arrays = Arrays {
                x: x.as_deref().unwrap_or_default(),
                denoised: denoised.as_deref().unwrap_or_default(),
                older: older.as_deref_mut().filter(|_| moves).unwrap_or_default(),
                noise: noise.as_deref().filter(|_| step.noise.is_some()).unwrap_or_default(),
                reference: if step.pull.is_some() { reference.of_step() } else { &[] },
                history: history.as_deref_mut().filter(|_| directed).unwrap_or_default(),
                momentum_d: momentum_d.as_deref_mut().filter(|_| moves && !ahead).unwrap_or_default(),
                out: &mut out,
            };
            let (batch, threads) = (shape[0], manner.threads);
            storage.detached(|| step::step(step, arrays, batch, threads))
        };
        self.judge(storage, images, noise)?;
        if ahead {
            self.ahead = to;
        } else {
            self.arrive(to);
        }
        Ok(())
    }

    /// Takes the answer as the new latent.
    fn take<S: Storage<T, Array = A>>(&mut self, storage: &S) -> std::result::Result<(), S::Error> {
        let mut to = self.destination(storage)?;
        let images = {
            let Self { x, denoised, pulled, is_pulled, shape, .. } = &mut *self;
            let mut out = storage.write(to.as_mut().unwrap_or(x))?;
            if let Some(answer) = if *is_pulled { pulled } else { denoised } {
                out.copy_from_slice(&storage.read(answer)?);
            }
            let images = out.chunks(out.len() / shape[0]).enumerate();
            images.filter(|(_, image)| !all_finite(image)).map(|(index, _)| index).collect()
        };
        self.judge(storage, images, None)?;
        self.arrive(to);
        self.forget_answer();
        Ok(())
    }

    /// Where the next latent goes: none if to where the present one lies, else the other buffer or a new one.
    fn destination<S: Storage<T, Array = A>>(
        &mut self,
        storage: &S,
    ) -> std::result::Result<Option<A>, S::Error> {
        if !self.manner.keeps_x && storage.is_ours(&self.x) {
            return Ok(None);
        }
        match self.spare.take() {
            Some(spare) if storage.is_ours(&spare) => Ok(Some(spare)),
            _ => storage.empty(&self.shape).map(Some),
        }
    }

    /// Where a latent ahead of the present one goes.
    fn beside<S: Storage<T, Array = A>>(&mut self, storage: &S) -> std::result::Result<A, S::Error> {
        match self.ahead.take() {
            Some(ahead) if storage.is_ours(&ahead) => Ok(ahead),
            _ => storage.empty(&self.shape),
        }
    }

    /// Notes that the latent is now where [`Self::destination`] said.
    fn arrive(&mut self, to: Option<A>) {
        if let Some(to) = to {
            self.spare = Some(std::mem::replace(&mut self.x, to));
        }
    }

    /// Ends the run if a latent is not finite, and says why.
    fn judge<S: Storage<T, Array = A>>(
        &mut self,
        storage: &S,
        images: Vec<usize>,
        noise: Option<&A>,
    ) -> std::result::Result<(), S::Error> {
        if images.is_empty() {
            return Ok(());
        }
        self.phase = Phase::Failed;
        let is_finite = |array: Option<&A>| -> std::result::Result<bool, S::Error> {
            array.map_or(Ok(true), |array| Ok(all_finite(&storage.read(array)?)))
        };
        let advice = "neg and rand_init grow; try a momentum nearer to 1, or fewer steps";
        let cause = if !is_finite(self.denoised.as_ref())? {
            if self.size > GROWN * self.first_size {
                format!(
                    "the denoiser answered NaN to a latent that had grown to {:.0e} ({advice})",
                    self.size
                )
            } else {
                "the denoiser answered NaN or infinite numbers".into()
            }
        } else if !is_finite(self.answer())? {
            "the pull towards the reference grew past the largest number (take a ref_factor nearer to 0)"
                .into()
        } else if !is_finite(noise)? {
            "the noise holds NaN or infinite numbers".into()
        } else {
            format!("the latent grew past the largest number ({advice})")
        };
        Err(Error::Numeric { step: self.step(), sigma: self.sigma().wide(), images, cause }.into())
    }
}

/// The largest of a few numbers of each image: what the model saw, to tell later whether it had grown.
fn looked_at<T: Real>(latent: &[T], batch: usize) -> f64 {
    let images = latent.chunks(latent.len() / batch);
    let numbers = images.flat_map(|image| &image[..image.len().min(LOOKED_AT)]);
    numbers.fold(0.0, |size: f64, number| size.max(number.wide().abs()))
}
