//! A [`Stepper`] on numpy's memory.
//!
//! A latent is written to only when nobody else holds a reference to it, so a model or a callback may keep what it was
//! given. A run whose latent nobody will ask for after an error steps in place; another keeps the latent that a step
//! starts from, and two buffers take turns.

use std::cell::RefCell;

use numpy::{PyArrayDescrMethods, PyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{self, Latent, Number};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::stepper::{Request, Stepper};
use crate::update::Arrays;

/// A run that does not know its dtype at compile time.
pub(super) enum AnyRun {
    Single(Run<f32>),
    Double(Run<f64>),
}

/// Calls a method of either kind of run.
macro_rules! on_run {
    ($any:expr, $run:ident => $call:expr) => {
        match $any {
            AnyRun::Single($run) => $call,
            AnyRun::Double($run) => $call,
        }
    };
}
pub(super) use on_run;

/// The smallest number that float16 rounds to infinity.
const HALF_OVERFLOWS: f64 = 65520.0;

/// What a run is made from.
pub(super) struct Inputs<'a, 'py> {
    pub config: Config,
    pub sigmas: Vec<f64>,
    pub x: &'a Bound<'py, PyAny>,
    pub reference: Option<&'a Bound<'py, PyAny>>,
    pub history: Option<&'a Bound<'py, PyAny>>,
    /// Keep the corrected derivative of the last step.
    pub records: bool,
    /// Keep the latent as it was if a step fails.
    pub keeps_x: bool,
    pub threads: usize,
    /// The host's square root for the numbers of the schedule.
    pub sqrt: Option<&'a Bound<'py, PyAny>>,
}

impl AnyRun {
    pub(super) fn new(inputs: Inputs<'_, '_>) -> PyResult<Self> {
        let dtype = arrays::floating(inputs.x, "x")?.dtype();
        match dtype.itemsize() {
            2 => Run::new(inputs, true).map(Self::Single),
            4 => Run::new(inputs, false).map(Self::Single),
            8 => Run::new(inputs, false).map(Self::Double),
            _ => {
                Err(super::errors::dtype(format!("x has dtype {dtype}; must be float32, float64 or float16")))
            }
        }
    }
}

/// Calls `make` with the host's square root; an exception that the host's raises comes first.
fn with_root<T: Number, R>(
    sqrt: Option<&Bound<'_, PyAny>>,
    make: impl FnOnce(&dyn Fn(T) -> T) -> Result<R>,
) -> PyResult<R> {
    let Some(sqrt) = sqrt else {
        return Ok(make(&T::sqrt)?);
    };
    let raised = RefCell::new(None);
    let root = |value: T| match sqrt.call1((value.wide(),)).and_then(|root| root.extract()) {
        Ok(root) => T::of(root),
        Err(error) => {
            raised.replace(Some(error));
            T::nan()
        }
    };
    let result = make(&root);
    raised.into_inner().map_or_else(|| Ok(result?), Err)
}

pub(super) struct Run<T: Number> {
    stepper: Stepper<T>,
    x: Latent<T>,
    spare: Option<Latent<T>>,
    history: Option<Latent<T>>,
    denoised: Option<Latent<T>>,
    noise: Option<Latent<T>>,
    momentum_d: Option<Latent<T>>,
    records: bool,
    keeps_x: bool,
    half: bool,
}

impl<T: Number> Run<T> {
    fn new(inputs: Inputs<'_, '_>, half: bool) -> PyResult<Self> {
        let Inputs { config, sigmas, x, reference, history, records, keeps_x, threads, sqrt } = inputs;
        let given = arrays::latent::<T>(x, "x")?;
        let reference = reference.map(|value| arrays::latent::<T>(value, "reference")).transpose()?;
        let reference = reference.as_ref().map(arrays::read).transpose()?;
        let history =
            history.map(|value| arrays::latent_like::<T>(value, "history", given.shape())).transpose()?;
        if let Some(history) = &history
            && !crate::real::all_finite(arrays::read(history)?.as_slice()?)
        {
            let found = "holds NaN or infinite numbers".into();
            let allowed = "the history to start from must be finite".into();
            return Err(Error::Values { what: "history", found, allowed }.into());
        }
        let history = history.as_ref().map(arrays::copy).transpose()?;
        let stepper = {
            let x = arrays::read(&given)?;
            let x = x.as_slice()?;
            let reference = reference.as_ref().map(|reference| reference.as_array());
            with_root(sqrt, |root| {
                Stepper::new(config, &sigmas, given.shape(), x, reference, history.is_some(), root)
            })?
        };
        let mut stepper = stepper.with_threads(threads);
        let x = arrays::copy(&given)?;
        let history = match history {
            None if stepper.needs_history() => {
                let history = arrays::empty::<T>(given.py(), given.shape())?;
                stepper.start_history(
                    arrays::read(&given)?.as_slice()?,
                    arrays::write(&history)?.as_slice_mut()?,
                );
                Some(history.unbind())
            }
            given => given,
        };
        Ok(Self {
            stepper,
            x,
            spare: None,
            history,
            denoised: None,
            noise: None,
            momentum_d: None,
            records,
            keeps_x,
            half,
        })
    }

    pub(super) fn request(&self) -> Result<Request<T>> {
        self.stepper.request()
    }

    pub(super) fn stepper(&self) -> &Stepper<T> {
        &self.stepper
    }

    /// The present latent for the model: read-only, in the caller's dtype.
    pub(super) fn x<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.half { self.halved(py) } else { arrays::read_only(self.x.bind(py)) }
    }

    /// The present latent itself, in the caller's dtype; of a run that is done, the result.
    pub(super) fn buffer<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.half { self.halved(py) } else { Ok(self.x.bind(py).as_any().clone()) }
    }

    /// The latent as float16, unless a number is too large for it.
    fn halved<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let x = self.x.bind(py);
        {
            let x = arrays::read(x)?;
            let size = x.len() / self.stepper.shape()[0];
            let images = x.as_slice()?.chunks(size).enumerate();
            let images: Vec<usize> = images
                .filter(|(_, image)| image.iter().any(|value| value.wide().abs() >= HALF_OVERFLOWS))
                .map(|(index, _)| index)
                .collect();
            if !images.is_empty() {
                let (step, sigma) = (self.stepper.step(), self.stepper.sigma().wide());
                let cause = "the latent grew past the largest float16 number; sample in float32";
                return Err(Error::Numeric { step, sigma, images, cause }.into());
            }
        }
        arrays::astype(x, "float16")
    }

    /// A copy of the history; none before there is one.
    pub(super) fn history(&self, py: Python<'_>) -> Option<PyResult<Latent<T>>> {
        let history = self.history.as_ref().filter(|_| self.stepper.has_history());
        history.map(|history| arrays::copy(history.bind(py)))
    }

    /// A copy of the last step's corrected derivative; none before the first step.
    pub(super) fn momentum_d(&self, py: Python<'_>) -> Option<PyResult<Latent<T>>> {
        self.momentum_d.as_ref().map(|momentum_d| arrays::copy(momentum_d.bind(py)))
    }

    /// Takes another latent in the place of the present one.
    pub(super) fn replace_x(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match self.request()? {
            Request::Denoise { .. } if self.denoised.is_none() => {}
            _ => {
                let message = "x can be replaced only while the run asks for the denoised latent";
                return Err(Error::Protocol(message.into()).into());
            }
        }
        let given = arrays::latent_like::<T>(value, "x", self.stepper.shape())?;
        if !crate::real::all_finite(arrays::read(&given)?.as_slice()?) {
            let found = "holds NaN or infinite numbers".into();
            return Err(Error::Values { what: "x", found, allowed: "must be finite".into() }.into());
        }
        self.x = arrays::copy(&given)?;
        Ok(())
    }

    /// Holds the model's answer; the step is made by [`Self::proceed`]. Returns it as an array of the run's dtype.
    pub(super) fn hold<'py>(&mut self, answer: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
        let denoised = arrays::latent_like::<T>(answer, "the denoiser's answer", self.stepper.shape())?;
        self.denoised = Some(denoised.clone().unbind());
        Ok(denoised)
    }

    /// Makes the step, or goes on to ask for its noise.
    pub(super) fn proceed(&mut self, py: Python<'_>) -> PyResult<()> {
        if self.stepper.draws_after_denoising() {
            Ok(self.stepper.await_noise()?)
        } else {
            self.advance(py, None)
        }
    }

    /// Answers a noise request with the host's noise.
    pub(super) fn feed_noise(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let noise = arrays::latent_like::<T>(value, "the noise", self.stepper.shape())?;
        self.use_noise(value.py(), &noise)
    }

    /// Answers a noise request from the run's own seeds.
    pub(super) fn draw(&mut self, py: Python<'_>) -> PyResult<()> {
        let noise = match self.noise.take() {
            Some(noise) => noise,
            None => self.new_buffer(py)?,
        };
        let bound = noise.bind(py).clone();
        {
            let mut guard = arrays::write(&bound)?;
            let (slice, stepper) = (guard.as_slice_mut()?, &self.stepper);
            py.detach(|| stepper.draw(slice));
        }
        let done = self.use_noise(py, &bound);
        self.noise = Some(noise);
        done
    }

    fn use_noise(&mut self, py: Python<'_>, noise: &Bound<'_, PyArrayDyn<T>>) -> PyResult<()> {
        if !self.stepper.asks_for_churn() {
            return self.advance(py, Some(noise));
        }
        let to = self.destination(py)?;
        {
            let x = to.as_ref().map(|_| arrays::read(self.x.bind(py))).transpose()?;
            let noise = arrays::read(noise)?;
            let mut out = arrays::write(to.as_ref().unwrap_or(&self.x).bind(py))?;
            let x = x.as_ref().map_or(Ok(&[][..]), |x| x.as_slice())?;
            let (noise, out) = (noise.as_slice()?, out.as_slice_mut()?);
            let stepper = &mut self.stepper;
            py.detach(|| stepper.churn(x, noise, out))?;
        }
        self.arrive(to);
        Ok(())
    }

    fn advance(&mut self, py: Python<'_>, noise: Option<&Bound<'_, PyArrayDyn<T>>>) -> PyResult<()> {
        let Some(denoised) = self.denoised.take() else {
            return Err(Error::Protocol("the denoised latent has not been fed".into()).into());
        };
        if self.momentum_d.is_none() && self.records {
            let momentum_d = self.new_buffer(py)?;
            // An exact last step leaves it as it is.
            arrays::write(momentum_d.bind(py))?.as_slice_mut()?.fill(T::zero());
            self.momentum_d = Some(momentum_d);
        }
        let to = self.destination(py)?;
        {
            let x = to.as_ref().map(|_| arrays::read(self.x.bind(py))).transpose()?;
            let denoised = arrays::read(denoised.bind(py))?;
            let noise = noise.map(arrays::read).transpose()?;
            let mut history =
                self.history.as_ref().map(|history| arrays::write(history.bind(py))).transpose()?;
            let mut momentum_d = self.momentum_d.as_ref().map(|m| arrays::write(m.bind(py))).transpose()?;
            let mut out = arrays::write(to.as_ref().unwrap_or(&self.x).bind(py))?;
            let arrays = Arrays {
                x: x.as_ref().map_or(Ok(&[][..]), |x| x.as_slice())?,
                denoised: denoised.as_slice()?,
                noise: noise.as_ref().map_or(Ok(&[][..]), |noise| noise.as_slice())?,
                reference: &[],
                history: history.as_mut().map_or(Ok(&mut [][..]), |history| history.as_slice_mut())?,
                momentum_d: momentum_d.as_mut().map_or(Ok(&mut [][..]), |m| m.as_slice_mut())?,
                out: out.as_slice_mut()?,
            };
            let stepper = &mut self.stepper;
            py.detach(|| stepper.advance(arrays))?;
        }
        self.arrive(to);
        Ok(())
    }

    /// Where the next latent goes: none if to where the present one lies, else the other buffer or a new one.
    fn destination(&mut self, py: Python<'_>) -> PyResult<Option<Latent<T>>> {
        if !self.keeps_x && only_ours(&self.x, py) {
            return Ok(None);
        }
        match self.spare.take() {
            Some(spare) if only_ours(&spare, py) => Ok(Some(spare)),
            _ => self.new_buffer(py).map(Some),
        }
    }

    /// Notes that the latent is now where [`Self::destination`] said.
    fn arrive(&mut self, to: Option<Latent<T>>) {
        if let Some(to) = to {
            self.spare = Some(std::mem::replace(&mut self.x, to));
        }
    }

    fn new_buffer(&self, py: Python<'_>) -> PyResult<Latent<T>> {
        arrays::empty(py, self.stepper.shape()).map(Bound::unbind)
    }
}

/// Whether nobody else holds `array`.
#[expect(deprecated, reason = "its replacement is unsafe code")]
fn only_ours<T: Number>(array: &Latent<T>, py: Python<'_>) -> bool {
    array.get_refcnt(py) == 1
}
