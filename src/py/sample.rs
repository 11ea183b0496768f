//! `sample`: a run whose model, noise and callback speak numpy.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::arrays::{self, Number};
use super::config;
use super::drive::{self, Host};
use super::errors;
use super::run::{Inputs, Run};
use crate::error::Error;

/// Samples: walks a latent down a schedule of noise levels, calling the model back once per step.
///
/// A step goes along the derivative d = (x - denoise(x, sigma)) / sigma, corrected by the momentum of the
/// steps before (see `momentum_step`): x += m dt. This is the rule of stable-diffusion-webui-sonar by Kahsolt on
/// top of Euler (Karras et al. 2022, algorithm 2) and ancestral Euler (k-diffusion); with momentum 1 it is theirs.
///
/// Args:
///     denoise: called as `denoise(x, sigma)`; answers the denoised latent, an array shaped like x. Its x is read-only,
///         in the dtype of the latent, and never written to as long as somebody holds it; sigma is a float.
///     x: the noised latent, a numpy array (batch, channel, spatial...) of float32, float64 or float16, in units of
///         the data, of standard deviation sigmas[0] (for a flow model a blend of image and noise). float16 stays
///         float32 between the steps.
///     sigmas: noise levels, one more than there are steps; the last one is usually 0.
///     config: a `SonarConfig` with all other options.
///     reference: a latent to pull towards, shaped like x or one image of it; needs no normalisation.
///     noise: called as `noise(sigma, sigma_next)` where the method needs standard normal noise shaped like x; None
///         draws it from `config.seed`, one stream per image.
///     history: the momentum history to start from, shaped like x; overrides `momentum_hist_init`.
///     callback: told a dict of i, x, sigma, sigma_hat and denoised once per step, before x changes.
///     threads: at most so many threads for large latents; None: OMP_NUM_THREADS, or all cores. Results do not
///         depend on it.
///
/// Returns:
///     The latent at sigmas[-1], a new array in the shape and dtype of x. No input is modified.
///
/// Raises:
///     ConfigError: an option is not allowed, or is a sequence of another length than the run.
///     ScheduleError: the sigmas are no schedule for this method.
///     LatentError: an array has another shape, or is not finite. DtypeError: it is no array of a floating type.
///     NumericError: the latent is no longer finite; says at which step, in which images and why.
///     Whatever denoise, noise and callback raise passes through unchanged.
///
/// Example:
///     >>> import numpy as np
///     >>> from sonar_sampler import SonarConfig, initial_noise, sample
///     >>> x = initial_noise((1, 4, 8, 8), 0) * np.float32(10)
///     >>> sample(lambda x, sigma: x / np.float32(1 + sigma**2), x, [10.0, 3.0, 1.0, 0.0], SonarConfig()).shape
///     (1, 4, 8, 8)
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
    let inputs = Inputs {
        config: config::read(config)?,
        sigmas: arrays::sigmas(sigmas)?,
        x,
        reference,
        history,
        records: false,
        keeps_x: false,
        threads: config::threads(threads)?,
        sqrt: None,
    };
    drive::run(inputs, &Calls { denoise, noise, callback })
}

/// What the host is asked during a run.
struct Calls<'a, 'py> {
    denoise: &'a Bound<'py, PyAny>,
    noise: Option<&'a Bound<'py, PyAny>>,
    callback: Option<&'a Bound<'py, PyAny>>,
}

impl<'py> Host<'py> for Calls<'_, 'py> {
    fn denoise<T: Number>(
        &self,
        py: Python<'py>,
        run: &mut Run<T>,
        sigma: T,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
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
        Ok(None)
    }

    fn noise<T: Number>(&self, py: Python<'py>, run: &mut Run<T>, sigma: T, sigma_next: T) -> PyResult<()> {
        match self.noise {
            Some(noise) => run.feed_noise(&noise.call1((sigma.wide(), sigma_next.wide()))?),
            None => run.draw(py),
        }
    }
}
