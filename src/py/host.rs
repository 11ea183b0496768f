//! `sample_for`: a run for a host whose arrays are not numpy's.

use pyo3::intern;
use pyo3::prelude::*;

use super::arrays::{self, Number};
use super::config;
use super::drive::{self, Host};
use super::run::{Inputs, Run};

/// Samples for a host whose arrays are not numpy's, as `sonar_sampler.torch` does.
///
/// Args:
///     host: has two methods. `denoise(x, step, sigma_hat, draws)` answers the denoised latent and, if it `draws`, the
///         noise of the step; x is the latent itself, not written to as long as somebody holds it, and sigma_hat is
///         None unless churn has changed it. `noise(step)` answers the noise before a model call. None for noise
///         lets it be drawn from `config.seed`.
///     x, sigmas, config, reference, history, threads: as in `sample`.
///     sqrt: as in `Stepper`.
///
/// Returns:
///     The latent at sigmas[-1], a new array in the shape and dtype of x.
///
/// Raises:
///     As `sample`.
#[pyfunction]
#[pyo3(signature = (host, x, sigmas, config, *, reference, history, threads, sqrt))]
#[expect(clippy::too_many_arguments, reason = "the Python signature")]
pub(super) fn sample_for<'py>(
    host: &Bound<'py, PyAny>,
    x: &Bound<'py, PyAny>,
    sigmas: &Bound<'py, PyAny>,
    config: &Bound<'py, PyAny>,
    reference: Option<&Bound<'py, PyAny>>,
    history: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    sqrt: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = host.py();
    let methods = Methods {
        denoise: host.getattr(intern!(py, "denoise"))?,
        noise: host.getattr(intern!(py, "noise"))?,
    };
    let inputs = Inputs {
        config: config::read(config)?,
        sigmas: arrays::sigmas(sigmas)?,
        x,
        reference,
        history,
        records: false,
        keeps_x: false,
        threads: config::threads(threads)?,
        sqrt,
    };
    drive::run(inputs, &methods)
}

/// The host's methods.
struct Methods<'py> {
    denoise: Bound<'py, PyAny>,
    noise: Bound<'py, PyAny>,
}

impl<'py> Host<'py> for Methods<'py> {
    fn denoise<T: Number>(
        &self,
        py: Python<'py>,
        run: &mut Run<T>,
        sigma: T,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let stepper = run.stepper();
        let churned = (sigma != stepper.sigma()).then(|| sigma.wide());
        let (step, draws) = (stepper.step(), stepper.draws_after_denoising());
        let (answer, noise): (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>) =
            self.denoise.call1((run.buffer(py)?, step, churned, draws))?.extract()?;
        run.hold(&answer)?;
        Ok(noise)
    }

    fn noise<T: Number>(&self, py: Python<'py>, run: &mut Run<T>, _: T, _: T) -> PyResult<()> {
        // Noise after a model call came with the answer, if the host has any.
        if run.stepper().asks_for_churn() {
            let noise = self.noise.call1((run.stepper().step(),))?;
            if !noise.is_none() {
                return run.feed_noise(&noise);
            }
        }
        run.draw(py)
    }
}
