//! `Stepper`: the run turned inside out, for hosts that own the loop.

use std::sync::{Mutex, MutexGuard};

use numpy::{PyArrayMethods, ToPyArray};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::arrays::{self, Bind, Number};
use super::closing::AtWork;
use super::config;
use super::run::{AnyRun, Given, NumpyRun, Recipe, on_run};
use crate::error::Error;
use crate::program::Program;
use crate::pull::Reference;
use crate::real::Real;
use crate::run::{Manner, Past, Phase, Request, State};
use crate::schedule::Elementary;

/// The stepper needs the denoised latent: feed `model(x, sigma)`.
#[pyclass(frozen, get_all, module = "sonar_sampler")]
pub(super) struct Denoise {
    /// The latent for the model: read-only, in the caller's dtype, not written to while somebody holds it.
    x: Py<PyAny>,
    /// The noise level.
    sigma: f64,
}

/// The stepper needs standard normal noise shaped like the latent.
#[pyclass(frozen, get_all, module = "sonar_sampler")]
pub(super) struct Noise {
    /// Where the interval of the noise starts.
    sigma: f64,
    /// Where it ends.
    sigma_next: f64,
}

/// The run is done: `Stepper.result` is the latent.
#[pyclass(frozen, module = "sonar_sampler")]
pub(super) struct Done;

#[pymethods]
impl Denoise {
    fn __repr__(&self) -> String {
        format!("Denoise(sigma={})", self.sigma)
    }
}

#[pymethods]
impl Noise {
    fn __repr__(&self) -> String {
        format!("Noise(sigma={}, sigma_next={})", self.sigma, self.sigma_next)
    }
}

#[pymethods]
impl Done {
    #[expect(clippy::unused_self, reason = "a Python method")]
    fn __repr__(&self) -> &'static str {
        "Done()"
    }
}

/// A run that asks for what it needs, for hosts that own the loop: `request()` and `feed(array)` until `Done`.
///
/// It can be copied and pickled, with all that it is at.
///
/// Args:
///     config, sigmas, x, reference, reference_mask, history, threads: as in `sample`. x may be given later: `start`.
///     record: keep the corrected derivative of the last step for `momentum_d`; costs an array and time.
///     elementary: a host's own elementary functions for the numbers of the schedule, called as `elementary(name, value)`
///         with "sqrt", "exp", "log" or "expm1" and a float, for hosts whose functions are not correctly rounded and who
///         want their bits.
///
/// Raises:
///     ConfigError, ScheduleError, LatentError, DtypeError: as `sample`, when it is made.
///     ProtocolError: it was used out of order, or from two threads at once. The run is as it was.
///
/// Example:
///     >>> import numpy as np
///     >>> from sonar_sampler import Noise, SonarConfig, Stepper, initial_noise
///     >>> stepper = Stepper(SonarConfig(), [10.0, 3.0, 0.0], initial_noise((1, 4, 8, 8), 0) * np.float32(10))
///     >>> while stepper.result is None:
///     ...     request = stepper.request()
///     ...     if isinstance(request, Noise):
///     ...         stepper.draw()
///     ...     else:
///     ...         stepper.feed(request.x / np.float32(1 + request.sigma**2))
///     >>> stepper.step
///     2
#[pyclass(frozen, name = "Stepper", module = "sonar_sampler")]
pub(super) struct PyStepper {
    config: Py<PyAny>,
    sigmas: Vec<f64>,
    manner: Manner,
    elementary: Option<Py<PyAny>>,
    run: Mutex<Option<AnyRun>>,
}

/// The run of a stepper, locked; an error before it has started.
macro_rules! on_started {
    ($stepper:expr, $run:ident => $call:expr) => {
        match &mut *$stepper.lock()? {
            Some(any) => on_run!(any, $run => $call),
            None => Err(Error::Protocol("this stepper has no latent yet; call start(x) first".into()).into()),
        }
    };
}

impl PyStepper {
    fn lock(&self) -> PyResult<MutexGuard<'_, Option<AnyRun>>> {
        // A panic inside a step would poison the lock; both cases mean that this stepper is not free to use.
        self.run
            .try_lock()
            .map_err(|_| Error::Protocol("this stepper is in use by another thread".into()).into())
    }

    fn made(&self, given: Given<'_, '_>) -> PyResult<AnyRun> {
        let py = given.x.py();
        let recipe = Recipe {
            config: config::read(self.config.bind(py))?,
            sigmas: &self.sigmas,
            manner: self.manner,
            elementary: self.elementary.as_ref().map(|elementary| elementary.bind(py)),
        };
        AnyRun::new(recipe, given)
    }
}

#[pymethods]
impl PyStepper {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    #[pyo3(signature = (config, sigmas, x=None, *, reference=None, reference_mask=None, history=None, record=true, threads=None, elementary=None))]
    fn new(
        config: &Bound<'_, PyAny>,
        sigmas: &Bound<'_, PyAny>,
        x: Option<&Bound<'_, PyAny>>,
        reference: Option<&Bound<'_, PyAny>>,
        reference_mask: Option<&Bound<'_, PyAny>>,
        history: Option<&Bound<'_, PyAny>>,
        record: bool,
        threads: Option<&Bound<'_, PyAny>>,
        elementary: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let _at_work = AtWork::begin()?;
        let stepper = Self {
            config: config.clone().unbind(),
            sigmas: arrays::sigmas(sigmas)?,
            manner: Manner { records: record, keeps_x: true, threads: config::threads(threads)? },
            elementary: elementary.map(|elementary| elementary.clone().unbind()),
            run: Mutex::new(None),
        };
        match (x, reference.or(reference_mask).or(history)) {
            (Some(x), _) => {
                *stepper.lock()? =
                    Some(stepper.made(Given { x, reference, mask: reference_mask, history })?);
            }
            (None, Some(_)) => {
                let message =
                    "a reference or a history needs the latent that it belongs to; give all to start()";
                return Err(Error::Protocol(message.into()).into());
            }
            // What can be refused without a latent is refused now.
            (None, None) => {
                Program::<f64>::new(&config::read(config)?, &stepper.sigmas, Elementary::own())?;
            }
        }
        Ok(stepper)
    }

    /// Gives a stepper that was made without a latent its latent, and what else a run starts from.
    ///
    /// Raises:
    ///     LatentError, DtypeError: as `sample`. ProtocolError: it has started already.
    #[pyo3(signature = (x, *, reference=None, reference_mask=None, history=None))]
    fn start(
        &self,
        x: &Bound<'_, PyAny>,
        reference: Option<&Bound<'_, PyAny>>,
        reference_mask: Option<&Bound<'_, PyAny>>,
        history: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _at_work = AtWork::begin()?;
        let mut run = self.lock()?;
        if run.is_some() {
            return Err(Error::Protocol("this stepper has a latent already; make a new one".into()).into());
        }
        *run = Some(self.made(Given { x, reference, mask: reference_mask, history })?);
        Ok(())
    }

    /// What the run needs next: `Denoise`, `Noise` or `Done`. Raises ProtocolError after a step that failed.
    fn request(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        on_started!(self, run => match run.core_mut().request()? {
            Request::Denoise { sigma, .. } => {
                let x = arrays::read_only(&run.asked(py)?)?.unbind();
                Ok(Py::new(py, Denoise { x, sigma: sigma.wide() })?.into_any())
            }
            Request::Noise { sigma, sigma_next, .. } => {
                let request = Noise { sigma: sigma.wide(), sigma_next: sigma_next.wide() };
                Ok(Py::new(py, request)?.into_any())
            }
            Request::Done => Ok(Py::new(py, Done)?.into_any()),
        })
    }

    /// Answers the present request with an array shaped like the latent.
    ///
    /// A wrong shape or dtype is refused and leaves the run as it was; an answer that is not finite ends it.
    ///
    /// Raises:
    ///     LatentError, DtypeError: another shape, no array of a floating type. ProtocolError: nothing was asked.
    ///     NumericError: the latent is no longer finite.
    fn feed(&self, array: &Bound<'_, PyAny>) -> PyResult<()> {
        let _at_work = AtWork::begin()?;
        on_started!(self, run => {
            let what = match run.core().next()? {
                Request::Noise { .. } => "the noise",
                _ => "the denoiser's answer",
            };
            run.feed(array, what)
        })
    }

    /// Answers the present noise request from the run's own seeds (`SonarConfig.seed`).
    fn draw(&self, py: Python<'_>) -> PyResult<()> {
        let _at_work = AtWork::begin()?;
        on_started!(self, run => run.draw(py))
    }

    /// Takes another latent in the place of the present one; only while the run asks for the first answer of a step.
    fn replace_x(&self, array: &Bound<'_, PyAny>) -> PyResult<()> {
        on_started!(self, run => run.replace_x(array))
    }

    /// 0-based index of the present step; the number of steps when the run is done.
    #[getter]
    fn step(&self) -> PyResult<usize> {
        on_started!(self, run => Ok(run.core().step()))
    }

    /// The latent at the start of the present step, read-only.
    #[getter]
    fn x<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        on_started!(self, run => arrays::read_only(&run.latent(py)?))
    }

    /// A copy of the momentum history, or None before there is one.
    #[getter]
    fn history(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        on_started!(self, run => shown(py, run, run.core().history()))
    }

    /// A copy of the corrected derivative of the last step, or None before the first.
    #[getter]
    fn momentum_d(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        on_started!(self, run => shown(py, run, run.core().momentum_d()))
    }

    /// The result, or None before the run is done.
    #[getter]
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        on_started!(self, run => match run.core().next()? {
            Request::Done => run.latent(py).map(Some),
            _ => Ok(None),
        })
    }

    /// Whether the present step will ask for noise after the model call.
    #[getter]
    fn draws_after_denoising(&self) -> PyResult<bool> {
        on_started!(self, run => Ok(run.core().draws_in_step()))
    }

    /// For copy and pickle.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let make = py.import("sonar_sampler._core")?.getattr("restore_stepper")?;
        let options = PyDict::new(py);
        options.set_item("record", self.manner.records)?;
        options.set_item("threads", self.manner.threads)?;
        options.set_item("elementary", self.elementary.as_ref().map(|elementary| elementary.bind(py)))?;
        let state = match &*self.lock()? {
            Some(any) => Some(on_run!(any, run => state_of(py, run)?)),
            None => None,
        };
        let arguments = (self.config.bind(py), self.sigmas.clone(), options, state).into_pyobject(py)?;
        Ok((make, arguments))
    }
}

/// A stepper from what `__reduce__` wrote.
#[pyfunction]
pub(super) fn restore_stepper<'py>(
    config: &Bound<'py, PyAny>,
    sigmas: &Bound<'py, PyAny>,
    options: &Bound<'py, PyDict>,
    state: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let class = config.py().get_type::<PyStepper>();
    let Some(state) = state else {
        return class.call((config, sigmas), Some(options));
    };
    let stepper = class.call((config, sigmas, state.as_any().get_item("x")?), Some(options))?;
    on_started!(stepper.cast::<PyStepper>()?.get(), run => restore(run, state))?;
    Ok(stepper)
}

fn shown<T: Number>(py: Python<'_>, run: &NumpyRun<T>, numbers: Option<&[T]>) -> PyResult<Option<Py<PyAny>>> {
    let array = numbers.map(|numbers| arrays::of_numbers(py, numbers, run.core().shape()));
    Ok(array.transpose()?.map(Py::into_any))
}

/// The phases, by the numbers that they have in Python.
const PHASES: [Phase; 3] = [Phase::Waiting, Phase::Asked, Phase::Failed];

/// The histories, likewise.
const PASTS: [Past; 3] = [Past::None, Past::Begun, Past::Given];

/// The names of a state's arrays in Python.
const ARRAYS: [&str; 3] = ["x", "ahead", "denoised"];
const REFERENCE: [&str; 2] = ["reference", "reference_mask"];
const OWN: [&str; 3] = ["older", "history", "momentum_d"];

fn state_of<'py, T: Number>(py: Python<'py>, run: &NumpyRun<T>) -> PyResult<Bound<'py, PyDict>> {
    let State { at, phase, past, sizes, reference, arrays, own } =
        run.core().state(|array| arrays::copy(array.bind(py)))?;
    let state = PyDict::new(py);
    let phase = PHASES.iter().position(|known| *known == phase);
    let past = PASTS.iter().position(|known| *known == past);
    state.set_item("run", (at, phase, past, sizes, run.is_half()))?;
    for (name, numbers) in REFERENCE.into_iter().zip(reference.arrays()) {
        state.set_item(name, numbers.to_pyarray(py))?;
    }
    for (name, array) in ARRAYS.into_iter().zip(arrays) {
        state.set_item(name, array)?;
    }
    for (name, numbers) in OWN.into_iter().zip(own) {
        state.set_item(name, shown(py, run, numbers.as_deref())?)?;
    }
    Ok(state)
}

fn restore<T: Number>(run: &mut NumpyRun<T>, state: &Bound<'_, PyDict>) -> PyResult<()> {
    let state = state.as_any();
    let (at, phase, past, sizes, half): (_, usize, usize, _, _) = state.get_item("run")?.extract()?;
    let phase = PHASES.get(phase).copied().unwrap_or(Phase::Failed);
    let past = PASTS.get(past).copied().unwrap_or(Past::None);
    let pickled = |name: &str| -> PyResult<Option<Bind<'_, T>>> {
        let given = Some(state.get_item(name)?).filter(|given| !given.is_none());
        given.map(|given| arrays::latent_like(&given, "a pickled array", run.core().shape())).transpose()
    };
    let [x, ahead, denoised] = ARRAYS.map(|name| pickled(name)?.as_ref().map(arrays::copy).transpose());
    let [older, history, momentum_d] =
        OWN.map(|name| pickled(name)?.as_ref().map(arrays::vector).transpose());
    let (arrays, own) = ([x?, ahead?, denoised?], [older?, history?, momentum_d?]);
    let [image, mask] = REFERENCE.map(|name| -> PyResult<Vec<T>> {
        Ok(arrays::latent::<T>(&state.get_item(name)?, "a pickled array")?.to_vec()?)
    });
    let core = run.core();
    let reference = Reference::of_arrays(&core.config().reference, core.shape(), [image?, mask?])?;
    run.set_half(half);
    run.core_mut().restore(State { at, phase, past, sizes, reference, arrays, own });
    Ok(())
}
