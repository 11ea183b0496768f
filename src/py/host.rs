//! `run_for`: the loop that calls a host back.

use pyo3::intern;
use pyo3::prelude::*;

use super::arrays::{self, Number};
use super::closing::AtWork;
use super::config;
use super::run::{AnyRun, Given, NumpyRun, Recipe, on_run};
use crate::run::{Manner, Request};

/// Samples for a host: `sonar_sampler.sample` is one, `sonar_sampler.torch` another.
///
/// Args:
///     host: has three methods, or four. `begin(levels)` is told the noise levels of the run as floats: the schedule,
///         then the solver's own. `denoise(x, step, level, first, draws)` answers the denoised latent and, if it `draws`, the noise
///         that is needed next: x is the latent itself, not written to as long as somebody holds it, level is an index into
///         levels, first says that it is the step's first call, and draws is None or the two levels of the noise's interval.
///         `noise(level, next_level)` answers the noise before a model call. None for noise lets it be drawn from
///         `config.seed`. `begin_step(x, step, level)`, if there is one, is asked before a step's first `denoise` and answers
///         the latent to go on with, or None for x as it is.
///     x, sigmas, config, reference, reference_mask, history, threads: as in `sample`.
///     elementary: as in `Stepper`.
///
/// Returns:
///     The latent at sigmas[-1], a new array in the shape and dtype of x.
///
/// Raises:
///     As `sample`.
#[pyfunction]
#[pyo3(signature = (host, x, sigmas, config, *, reference, reference_mask, history, threads, elementary))]
#[expect(clippy::too_many_arguments, reason = "the Python signature")]
pub(super) fn run_for<'py>(
    host: &Bound<'py, PyAny>,
    x: &Bound<'py, PyAny>,
    sigmas: &Bound<'py, PyAny>,
    config: &Bound<'py, PyAny>,
    reference: Option<&Bound<'py, PyAny>>,
    reference_mask: Option<&Bound<'py, PyAny>>,
    history: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    elementary: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, at_work) = (host.py(), AtWork::begin()?);
    let recipe = Recipe {
        config: config::read(config)?,
        sigmas: &arrays::sigmas(sigmas)?,
        manner: Manner { threads: config::threads(threads)?, ..Manner::default() },
        elementary,
    };
    let run = AnyRun::new(recipe, Given { x, reference, mask: reference_mask, history })?;
    let host = Host {
        denoise: host.getattr(intern!(py, "denoise"))?,
        noise: host.getattr(intern!(py, "noise"))?,
        begin: host.getattr(intern!(py, "begin"))?,
        begin_step: host.getattr_opt(intern!(py, "begin_step"))?.filter(|method| !method.is_none()),
    };
    on_run!(run, run => host.drive(py, run, &at_work))
}

/// The host's methods.
struct Host<'py> {
    begin: Bound<'py, PyAny>,
    begin_step: Option<Bound<'py, PyAny>>,
    denoise: Bound<'py, PyAny>,
    noise: Bound<'py, PyAny>,
}

impl<'py> Host<'py> {
    fn drive<T: Number>(
        &self,
        py: Python<'py>,
        mut run: NumpyRun<T>,
        at_work: &AtWork,
    ) -> PyResult<Bound<'py, PyAny>> {
        let levels: Vec<f64> = run.core().levels().iter().map(|level| level.wide()).collect();
        self.begin.call1((levels,))?;
        loop {
            py.check_signals()?;
            at_work.check()?;
            match run.core_mut().request()? {
                Request::Done => return run.latent(py),
                Request::Noise { levels: [from, to], .. } => {
                    let noise = self.noise.call1((from, to))?;
                    Self::feed_noise(py, &mut run, Some(noise).filter(|noise| !noise.is_none()))?;
                }
                Request::Denoise { level, .. } => {
                    self.move_first(py, &mut run, level)?;
                    let core = run.core();
                    let (step, first, draws) = (core.step(), core.begins_step(), core.draws_after_answer());
                    let draws = draws.map(<(usize, usize)>::from);
                    let (answer, noise): (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>) =
                        self.denoise.call1((run.asked(py)?, step, level, first, draws))?.extract()?;
                    // What the model was given is released by now: the step can reuse its memory.
                    run.feed(&answer, "the denoiser's answer")?;
                    if draws.is_some() {
                        run.core_mut().request()?;
                        Self::feed_noise(py, &mut run, noise)?;
                    }
                }
            }
        }
    }

    /// Lets the host move the latent before a step.
    fn move_first<T: Number>(&self, py: Python<'py>, run: &mut NumpyRun<T>, level: usize) -> PyResult<()> {
        let Some(begin_step) = self.begin_step.as_ref().filter(|_| run.core().begins_step()) else {
            return Ok(());
        };
        let moved = begin_step.call1((run.asked(py)?, run.core().step(), level))?;
        if moved.is_none() { Ok(()) } else { run.replace_x(&moved) }
    }

    fn feed_noise<T: Number>(
        py: Python<'py>,
        run: &mut NumpyRun<T>,
        noise: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        match noise {
            Some(noise) => run.feed(&noise, "the noise"),
            None => run.draw(py),
        }
    }
}
