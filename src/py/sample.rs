//! `sample`: the loop that calls the model back.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arrays::{self, Number};
use super::closing::AtWork;
use super::config;
use super::errors;
use super::run::{AnyRun, Inputs, Run, on_run};
use crate::error::Error;
use crate::stepper::Request;

/// Samples: walks `x` down `sigmas`, calling `denoise(x, sigma)` once per step.
///
/// See `sonar_sampler.sample`.
#[pyfunction]
#[pyo3(signature = (denoise, x, sigmas, config, *, reference=None, noise=None, history=None, callback=None, threads=None))]
#[expect(clippy::too_many_arguments, reason = "the Python signature")]
pub(super) fn sample<'py>(
    denoise: &Bound<'py, PyAny>,
    x: &Bound<'py, PyAny>,
    sigmas: &Bound<'py, PyAny>,
    config: &Bound<'py, PyAny>,
    reference: Option<&Bound<'py, PyAny>>,
    noise: Option<&Bound<'py, PyAny>>,
    history: Option<&Bound<'py, PyAny>>,
    callback: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    for (name, value) in [("denoise", Some(denoise)), ("noise", noise), ("callback", callback)] {
        if let Some(value) = value
            && !value.is_callable()
        {
            return Err(Error::config(name, errors::shown(value), "must be callable").into());
        }
    }
    let (config, sigmas) = (config::read(config)?, arrays::sigmas(sigmas)?);
    let inputs = Inputs {
        config,
        sigmas,
        x,
        reference,
        history,
        records: false,
        threads: config::threads(threads)?,
        sqrt: None,
    };
    let at_work = AtWork::begin()?;
    let calls = Calls { denoise, noise, callback, at_work };
    on_run!(AnyRun::new(inputs)?, run => calls.drive(denoise.py(), run))
}

/// What the host is asked during a run.
struct Calls<'a, 'py> {
    denoise: &'a Bound<'py, PyAny>,
    noise: Option<&'a Bound<'py, PyAny>>,
    callback: Option<&'a Bound<'py, PyAny>>,
    at_work: AtWork,
}

impl<'py> Calls<'_, 'py> {
    fn drive<T: Number>(&self, py: Python<'py>, mut run: Run<T>) -> PyResult<Bound<'py, PyAny>> {
        loop {
            py.check_signals()?;
            self.at_work.check()?;
            match (run.request()?, self.noise) {
                (Request::Done, _) => return run.result(py),
                (Request::Denoise { sigma }, _) => self.denoise(py, &mut run, sigma)?,
                (Request::Noise { sigma, sigma_next }, Some(noise)) => {
                    let drawn = noise.call1((sigma.wide(), sigma_next.wide()))?;
                    run.feed_noise(&drawn)?;
                }
                (Request::Noise { .. }, None) => run.draw(py)?,
            }
        }
    }

    fn denoise<T: Number>(&self, py: Python<'py>, run: &mut Run<T>, sigma: T) -> PyResult<()> {
        let x = run.x(py)?;
        let answer = self.denoise.call1((&x, sigma.wide()))?;
        let denoised = run.hold(&answer)?;
        if let Some(callback) = self.callback {
            let told = PyDict::new(py);
            told.set_item(intern!(py, "i"), run.stepper().step())?;
            told.set_item(intern!(py, "x"), x)?;
            told.set_item(intern!(py, "sigma"), run.stepper().sigma().wide())?;
            told.set_item(intern!(py, "sigma_hat"), sigma.wide())?;
            told.set_item(intern!(py, "denoised"), denoised)?;
            callback.call1((told,))?;
        }
        // What the model was given is released before the step, which can then reuse its memory.
        run.proceed(py)
    }
}
