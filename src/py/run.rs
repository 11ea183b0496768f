//! A run on numpy's memory whose dtype is known when it starts.
//!
//! A latent is written to only when nobody else holds a reference to it, so a model or a callback may keep what it was
//! given.

use std::cell::RefCell;

use numpy::{PyArrayDescrMethods, PyUntypedArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::arrays::{self, Latent, Number};
use super::storage::Numpy;
use crate::config::Config;
use crate::error::Error;
use crate::run::{Manner, Run, Start};
use crate::schedule::{Elementary, Function};

/// A run that does not know its dtype at compile time.
pub(super) enum AnyRun {
    Single(NumpyRun<f32>),
    Double(NumpyRun<f64>),
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

/// What a run is made of, before its latent is known.
pub(super) struct Recipe<'a, 'py> {
    pub(super) config: Config,
    pub(super) sigmas: &'a [f64],
    pub(super) manner: Manner,
    /// The host's elementary functions: called with a name and a number.
    pub(super) elementary: Option<&'a Bound<'py, PyAny>>,
}

/// The arrays that a run starts from.
#[derive(Clone, Copy)]
pub(super) struct Given<'a, 'py> {
    pub(super) x: &'a Bound<'py, PyAny>,
    pub(super) reference: Option<&'a Bound<'py, PyAny>>,
    pub(super) mask: Option<&'a Bound<'py, PyAny>>,
    pub(super) history: Option<&'a Bound<'py, PyAny>>,
}

impl AnyRun {
    pub(super) fn new(recipe: Recipe<'_, '_>, given: Given<'_, '_>) -> PyResult<Self> {
        let dtype = arrays::floating(given.x, "x")?.dtype();
        match dtype.itemsize() {
            2 => NumpyRun::new(recipe, given, true).map(Self::Single),
            4 => NumpyRun::new(recipe, given, false).map(Self::Single),
            8 => NumpyRun::new(recipe, given, false).map(Self::Double),
            _ => {
                Err(super::errors::dtype(format!("x has dtype {dtype}; must be float32, float64 or float16")))
            }
        }
    }
}

/// Calls `make` with the host's functions; an exception that one of them raises comes first.
pub(super) fn with_elementary<T: Number, R>(
    elementary: Option<&Bound<'_, PyAny>>,
    make: impl FnOnce(Elementary<'_, T>) -> PyResult<R>,
) -> PyResult<R> {
    let Some(call) = elementary else {
        return make(Elementary::own());
    };
    let raised = RefCell::new(None);
    let py = call.py();
    let function = |function: Function, value: T| match call
        .call1((interned(py, function), value.wide()))
        .and_then(|result| result.extract())
    {
        Ok(result) => T::of(result),
        Err(error) => {
            raised.replace(Some(error));
            T::nan()
        }
    };
    let result = make(Elementary::of_host(&function));
    raised.into_inner().map_or(result, Err)
}

/// The name of a function, made once: it is asked for at every step.
fn interned(py: Python<'_>, function: Function) -> &Bound<'_, PyString> {
    match function {
        Function::Sqrt => intern!(py, "sqrt"),
        Function::Exp => intern!(py, "exp"),
        Function::Log => intern!(py, "log"),
        Function::Expm1 => intern!(py, "expm1"),
    }
}

pub(super) struct NumpyRun<T: Number> {
    run: Run<T, Latent<T>>,
    /// The host's arrays are float16.
    half: bool,
}

impl<T: Number> NumpyRun<T> {
    fn new(recipe: Recipe<'_, '_>, given: Given<'_, '_>, half: bool) -> PyResult<Self> {
        let Recipe { config, sigmas, manner, elementary } = recipe;
        let x = arrays::latent::<T>(given.x, "x")?;
        let (py, shape) = (x.py(), x.shape());
        let reference = given.reference.map(|value| arrays::latent::<T>(value, "reference")).transpose()?;
        let reference = reference.as_ref().map(arrays::read).transpose()?;
        let mask = given.mask.map(|value| arrays::latent::<T>(value, "reference_mask")).transpose()?;
        let mask = mask.as_ref().map(arrays::read).transpose()?;
        let history =
            given.history.map(|value| arrays::latent_like::<T>(value, "history", shape)).transpose()?;
        let start = Start {
            shape,
            x: arrays::copy(&x)?,
            history: history.as_ref().map(arrays::vector).transpose()?,
            reference: reference.as_ref().map(|reference| reference.as_array()),
            mask: mask.as_ref().map(|mask| mask.as_array()),
        };
        let run = with_elementary(elementary, |elementary| {
            Run::new(&Numpy(py), config, sigmas, start, manner, elementary)
        })?;
        Ok(Self { run, half })
    }

    pub(super) fn core(&self) -> &Run<T, Latent<T>> {
        &self.run
    }

    /// Whether the host's arrays are float16.
    pub(super) fn is_half(&self) -> bool {
        self.half
    }

    /// Says whether they are.
    pub(super) fn set_half(&mut self, half: bool) {
        self.half = half;
    }

    pub(super) fn core_mut(&mut self) -> &mut Run<T, Latent<T>> {
        &mut self.run
    }

    /// The latent that the model is asked about, in the caller's dtype.
    pub(super) fn asked<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.shown(self.run.asked().bind(py).clone())
    }

    /// The present latent, in the caller's dtype; of a run that is done, the result.
    pub(super) fn latent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.shown(self.run.x().bind(py).clone())
    }

    fn shown<'py>(&self, array: arrays::Bind<'py, T>) -> PyResult<Bound<'py, PyAny>> {
        if self.half { self.halved(&array) } else { Ok(array.into_any()) }
    }

    /// The latent as float16, unless a number is too large for it.
    fn halved<'py>(&self, array: &arrays::Bind<'py, T>) -> PyResult<Bound<'py, PyAny>> {
        let images: Vec<usize> = {
            let numbers = arrays::read(array)?;
            let images = numbers.as_slice()?.chunks(numbers.len() / self.run.shape()[0]).enumerate();
            images
                .filter(|(_, image)| image.iter().any(|value| value.wide().abs() >= HALF_OVERFLOWS))
                .map(|(index, _)| index)
                .collect()
        };
        if !images.is_empty() {
            let (step, sigma) = (self.run.step(), self.run.sigma().wide());
            let cause = "the latent grew past the largest float16 number; sample in float32".into();
            return Err(Error::Numeric { step, sigma, images, cause }.into());
        }
        arrays::astype(array, "float16")
    }

    /// Answers the present request. Returns what was fed as an array of the run's dtype.
    pub(super) fn feed(&mut self, value: &Bound<'_, PyAny>, what: &'static str) -> PyResult<()> {
        let array = arrays::latent_like::<T>(value, what, self.run.shape())?;
        self.run.feed(&Numpy(value.py()), array.unbind())
    }

    pub(super) fn draw(&mut self, py: Python<'_>) -> PyResult<()> {
        self.run.draw(&Numpy(py))
    }

    /// Takes another latent in the place of the present one.
    pub(super) fn replace_x(&mut self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let given = arrays::latent_like::<T>(value, "x", self.run.shape())?;
        self.run.replace_x(&Numpy(value.py()), arrays::copy(&given)?)
    }
}
