//! The loop that calls the host back.

use pyo3::prelude::*;

use super::arrays::Number;
use super::closing::AtWork;
use super::run::{AnyRun, Inputs, Run, on_run};
use crate::stepper::Request;

/// What a run asks for.
pub(super) trait Host<'py> {
    /// Lets `run` hold the model's answer to its latent at `sigma`. Returns the noise that the step asks for after it, if
    /// the host brings both at once.
    fn denoise<T: Number>(
        &self,
        py: Python<'py>,
        run: &mut Run<T>,
        sigma: T,
    ) -> PyResult<Option<Bound<'py, PyAny>>>;

    /// Feeds `run` noise, or lets it draw its own.
    fn noise<T: Number>(&self, py: Python<'py>, run: &mut Run<T>, sigma: T, sigma_next: T) -> PyResult<()>;
}

/// Makes a run and goes to its end.
pub(super) fn run<'py>(inputs: Inputs<'_, 'py>, host: &impl Host<'py>) -> PyResult<Bound<'py, PyAny>> {
    let (py, at_work) = (inputs.x.py(), AtWork::begin()?);
    on_run!(AnyRun::new(inputs)?, run => drive(py, run, host, &at_work))
}

fn drive<'py, T: Number>(
    py: Python<'py>,
    mut run: Run<T>,
    host: &impl Host<'py>,
    at_work: &AtWork,
) -> PyResult<Bound<'py, PyAny>> {
    loop {
        py.check_signals()?;
        at_work.check()?;
        match run.request()? {
            Request::Done => return run.buffer(py),
            Request::Noise { sigma, sigma_next } => host.noise(py, &mut run, sigma, sigma_next)?,
            Request::Denoise { sigma } => {
                let noise = host.denoise(py, &mut run, sigma)?;
                // What the model was given is released by now: the step can reuse its memory.
                run.proceed(py)?;
                if let Some(noise) = noise {
                    run.feed_noise(&noise)?;
                }
            }
        }
    }
}
