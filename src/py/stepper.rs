//! `Stepper`: the run turned inside out, for hosts that own the loop.

use std::sync::{Mutex, MutexGuard};

use pyo3::prelude::*;

use super::arrays;
use super::closing::AtWork;
use super::config;
use super::run::{AnyRun, Inputs, on_run};
use crate::error::Error;
use crate::real::Real;
use crate::stepper::Request;

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
    /// Where the step starts.
    sigma: f64,
    /// Where the step ends.
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
/// Args:
///     config, sigmas, x, reference, history, threads: as in `sample`.
///     record: keep the corrected derivative of the last step for `momentum_d`; costs an array.
///     sqrt: a host's own square root (float to float) for the numbers of the schedule, for hosts whose root is not
///         correctly rounded and who want its bits.
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
    run: Mutex<AnyRun>,
}

impl PyStepper {
    fn lock(&self) -> PyResult<MutexGuard<'_, AnyRun>> {
        // A panic inside a step would poison the lock; both cases mean that this stepper is not free to use.
        self.run
            .try_lock()
            .map_err(|_| Error::Protocol("this stepper is in use by another thread".into()).into())
    }
}

#[pymethods]
impl PyStepper {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the Python signature")]
    #[pyo3(signature = (config, sigmas, x, *, reference=None, history=None, record=true, threads=None, sqrt=None))]
    fn new(
        config: &Bound<'_, PyAny>,
        sigmas: &Bound<'_, PyAny>,
        x: &Bound<'_, PyAny>,
        reference: Option<&Bound<'_, PyAny>>,
        history: Option<&Bound<'_, PyAny>>,
        record: bool,
        threads: Option<&Bound<'_, PyAny>>,
        sqrt: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let _at_work = AtWork::begin()?;
        let inputs = Inputs {
            config: config::read(config)?,
            sigmas: arrays::sigmas(sigmas)?,
            x,
            reference,
            history,
            records: record,
            keeps_x: true,
            threads: config::threads(threads)?,
            sqrt,
        };
        Ok(Self { run: Mutex::new(AnyRun::new(inputs)?) })
    }

    /// What the run needs next: `Denoise`, `Noise` or `Done`. Raises ProtocolError after a step that failed.
    fn request(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        on_run!(&*self.lock()?, run => match run.request()? {
            Request::Denoise { sigma } => {
                let request = Denoise { x: run.x(py)?.unbind(), sigma: sigma.wide() };
                Ok(Py::new(py, request)?.into_any())
            }
            Request::Noise { sigma, sigma_next } => {
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
        on_run!(&mut *self.lock()?, run => match run.request()? {
            Request::Denoise { .. } => {
                run.hold(array)?;
                run.proceed(array.py())
            }
            Request::Noise { .. } => run.feed_noise(array),
            Request::Done => Err(Error::Protocol("fed an array, but the run is done".into()).into()),
        })
    }

    /// Answers the present noise request from the run's own seeds (`SonarConfig.seed`).
    fn draw(&self, py: Python<'_>) -> PyResult<()> {
        let _at_work = AtWork::begin()?;
        on_run!(&mut *self.lock()?, run => match run.request()? {
            Request::Noise { .. } => run.draw(py),
            _ => Err(Error::Protocol("asked to draw noise that the run has not asked for".into()).into()),
        })
    }

    /// Takes another latent in the place of the present one; only while the run asks for `Denoise`.
    fn replace_x(&self, array: &Bound<'_, PyAny>) -> PyResult<()> {
        on_run!(&mut *self.lock()?, run => run.replace_x(array))
    }

    /// 0-based index of the present step; the number of steps when the run is done.
    #[getter]
    fn step(&self) -> PyResult<usize> {
        on_run!(&*self.lock()?, run => Ok(run.stepper().step()))
    }

    /// The present latent, read-only.
    #[getter]
    fn x<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        on_run!(&*self.lock()?, run => run.x(py))
    }

    /// A copy of the momentum history, or None before there is one.
    #[getter]
    fn history(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        on_run!(&*self.lock()?, run => Ok(run.history(py).transpose()?.map(Py::into_any)))
    }

    /// A copy of the corrected derivative of the last step, or None before the first.
    #[getter]
    fn momentum_d(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        on_run!(&*self.lock()?, run => Ok(run.momentum_d(py).transpose()?.map(Py::into_any)))
    }

    /// The result, or None before the run is done.
    #[getter]
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        on_run!(&*self.lock()?, run => match run.request()? {
            Request::Done => run.buffer(py).map(Some),
            _ => Ok(None),
        })
    }

    /// Whether the present step will ask for noise after the model call.
    #[getter]
    fn draws_after_denoising(&self) -> PyResult<bool> {
        on_run!(&*self.lock()?, run => Ok(run.stepper().draws_after_denoising()))
    }
}
