//! The pieces of a step as pure functions, for one's own sampler.

use numpy::{IntoPyArray, PyArrayDescrMethods, PyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::arrays::{self, Number};
use super::config;
use super::errors;
use crate::direction::{Classic, Sign};
use crate::error::Error;
use crate::moments::Moments;
use crate::noise::{Purpose, fill_batch};
use crate::pull::{self, Look, Pull, RefMethod};
use crate::schedule::{self, Elementary};
use crate::solver::Sampler;

/// The samplers, in order: name -> what hosts want to know of it.
///
/// label: its name in a user interface. help: one sentence. calls: of the model in a step. options: those that it uses of
/// eta, s_churn, s_tmin, s_tmax, s_noise. noise: "none", "churn", "independent", "brownian" or "private" (never the
/// host's). leads: whether `momentum_mode` "lead" may be used with it. flows: whether it is for flow-matching models, too.
#[pyfunction]
pub(super) fn samplers(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let table = PyDict::new(py);
    for sampler in Sampler::ALL {
        let facts = sampler.facts();
        let row = PyDict::new(py);
        row.set_item("label", facts.label)?;
        row.set_item("help", facts.help)?;
        row.set_item("calls", facts.calls)?;
        row.set_item("options", PyTuple::new(py, facts.options)?)?;
        row.set_item("noise", facts.noise.name())?;
        row.set_item("leads", facts.leads)?;
        row.set_item("flows", facts.flows)?;
        table.set_item(sampler.name(), row)?;
    }
    Ok(table)
}

/// Splits the step from `sigma` to `sigma_next` into a part without noise and fresh noise.
///
/// sigma_up = min(sigma_next, eta sqrt(sigma_next^2 (sigma^2 - sigma_next^2) / sigma^2)) and
/// sigma_down = sqrt(sigma_next^2 - sigma_up^2), as `get_ancestral_step` of k-diffusion (the variance of Song et al.
/// 2020, eq. 16). With `flow`, sigma_down = sigma_next (1 + (sigma_next / sigma - 1) eta), rescale =
/// (1 - sigma_next) / (1 - sigma_down), and sigma_up is the missing deviation.
///
/// Args:
///     sigma, sigma_next: the noise levels, falling; in [0, 1] for flow.
///     eta: how much of the step is fresh noise, at least 0; 0 none.
///     flow: for flow-matching models.
///
/// Returns:
///     (sigma_down, sigma_up, rescale) in float64: step to sigma_down, then, if sigma_next > 0,
///     x = x * rescale + noise * sigma_up. rescale is 1 but for flow.
///
/// Raises:
///     ConfigError, ScheduleError: with the value and what is allowed.
///
/// Example:
///     >>> from sonar_sampler import ancestral_step
///     >>> ancestral_step(5.0, 3.0)
///     (1.8, 2.4, 1.0)
#[pyfunction]
#[pyo3(signature = (sigma, sigma_next, eta=1.0, *, flow=false))]
pub(super) fn ancestral_step(
    sigma: &Bound<'_, PyAny>,
    sigma_next: &Bound<'_, PyAny>,
    #[pyo3(from_py_with = eta)] eta: f64,
    flow: bool,
) -> PyResult<(f64, f64, f64)> {
    let (sigma, sigma_next) = (config::number("sigma", sigma)?, config::number("sigma_next", sigma_next)?);
    schedule::validate(&[sigma, sigma_next])?;
    if !(eta.is_finite() && eta >= 0.0) {
        return Err(Error::config("eta", format!("{eta:?}"), "must be a finite number of at least 0").into());
    }
    if sigma_next > sigma {
        let message = format!("rise from {sigma:?} to {sigma_next:?}; an ancestral step goes down");
        return Err(Error::Schedule(message).into());
    }
    if flow && sigma > 1.0 {
        let message = format!("start at {sigma:?}; a flow model's sigmas are in [0, 1] (flow = True)");
        return Err(Error::Schedule(message).into());
    }
    let split = if flow {
        schedule::ancestral_split_flow(sigma, sigma_next, eta, Elementary::own())
    } else {
        schedule::ancestral_split(sigma, sigma_next, eta, Elementary::own())
    };
    if !(split.sigma_down.is_finite() && split.sigma_up.is_finite() && split.rescale.is_finite()) {
        let message = format!("the step from {sigma:?} to {sigma_next:?} cannot be computed in float64");
        return Err(Error::Schedule(message).into());
    }
    Ok((split.sigma_down, split.sigma_up, split.rescale))
}

fn eta(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    config::number("eta", value)
}

/// Calls a generic function for the dtype of `$array`.
macro_rules! by_dtype {
    ($array:expr, $what:literal, $function:ident($($argument:expr),*)) => {
        match arrays::floating($array, $what)?.dtype().itemsize() {
            4 => $function::<f32>($($argument),*),
            8 => $function::<f64>($($argument),*),
            _ => Err(errors::dtype(format!("{} has dtype {}; must be float32 or float64", $what,
                                           arrays::floating($array, $what)?.dtype()))),
        }
    };
}

/// Corrects a derivative by the momentum, and updates the history.
///
/// With p = 1 - momentum, q = 1 - momentum_hist: for "pos" m = (1-p) d + p h and h <- (1-q) h + q m; for "neg"
/// m = (1+p) d - p h and h <- (1+q) h - q m. This is the rule of the extension stable-diffusion-webui-sonar.
///
/// Args:
///     d: the derivative (x - denoised) / sigma, a float32 or float64 array of any shape.
///     history: shaped like d, or None before the first step: then h = 0, and the next history is m itself.
///     momentum, momentum_hist: in [0, 1]; momentum 1 gives d and the history back as they are.
///     sign: "pos" or "neg".
///
/// Returns:
///     (m, history): new arrays; the step is x += m * dt.
///
/// Raises:
///     ConfigError, LatentError, DtypeError: with the value and what is allowed.
///
/// Example:
///     >>> import numpy as np
///     >>> from sonar_sampler import momentum_step
///     >>> momentum_step(np.array([4.0]), np.array([2.0]), momentum=0.5, momentum_hist=0.75, sign="pos")
///     (array([3.]), array([2.25]))
#[pyfunction]
#[pyo3(signature = (d, history, *, momentum, momentum_hist, sign))]
pub(super) fn momentum_step(
    d: &Bound<'_, PyAny>,
    history: Option<&Bound<'_, PyAny>>,
    momentum: &Bound<'_, PyAny>,
    momentum_hist: &Bound<'_, PyAny>,
    sign: &Bound<'_, PyAny>,
) -> PyResult<(Py<PyAny>, Option<Py<PyAny>>)> {
    let momentum = config::number("momentum", momentum)?;
    let momentum_hist = config::number("momentum_hist", momentum_hist)?;
    by_dtype!(d, "d", corrected(d, history, momentum, momentum_hist, sign))
}

fn corrected<T: Number>(
    d: &Bound<'_, PyAny>,
    history: Option<&Bound<'_, PyAny>>,
    momentum: f64,
    momentum_hist: f64,
    sign: &Bound<'_, PyAny>,
) -> PyResult<(Py<PyAny>, Option<Py<PyAny>>)> {
    for (name, value) in [("momentum", momentum), ("momentum_hist", momentum_hist)] {
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::config(name, format!("{value:?}"), "must be in [0, 1]").into());
        }
    }
    let py = d.py();
    let factors = Classic::<T>::new(momentum, momentum_hist, config::choice::<Sign>("sign", sign)?);
    let d = arrays::latent::<T>(d, "d")?;
    let history = history.map(|h| arrays::latent_like::<T>(h, "history", d.shape())).transpose()?;
    let off = momentum >= 1.0;
    let m = arrays::empty::<T>(py, d.shape())?;
    let updated = if off { None } else { Some(arrays::empty::<T>(py, d.shape())?) };
    {
        let d = arrays::read(&d)?;
        let mut m = arrays::write(&m)?;
        let (d, m) = (d.as_slice()?, m.as_slice_mut()?);
        match (&updated, &history) {
            (None, _) => m.copy_from_slice(d),
            (Some(updated), None) => {
                let mut updated = arrays::write(updated)?;
                for ((m, h), &d) in m.iter_mut().zip(updated.as_slice_mut()?).zip(d) {
                    *m = factors.correct(d, T::zero());
                    *h = *m;
                }
            }
            (Some(updated), Some(history)) => {
                let (mut updated, history) = (arrays::write(updated)?, arrays::read(history)?);
                let histories = updated.as_slice_mut()?.iter_mut().zip(history.as_slice()?);
                for ((m, (new, &old)), &d) in m.iter_mut().zip(histories).zip(d) {
                    *m = factors.correct(d, old);
                    *new = factors.blend(old, *m);
                }
            }
        }
    }
    let history = updated.or(history);
    Ok((m.into_any().unbind(), history.map(|history| history.into_any().unbind())))
}

/// (reference - mean) / std, per image and channel over the spatial axes, std with the n - 1 denominator.
///
/// Args:
///     reference: a float32 or float64 array (batch, channel, spatial...) with two positions or more.
///
/// Returns:
///     A new array of the same shape and dtype.
///
/// Raises:
///     LatentError: a channel is constant, too small or not finite. DtypeError: no array of float32 or float64.
#[pyfunction]
pub(super) fn normalize_reference(reference: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    by_dtype!(reference, "reference", normalized(reference))
}

fn normalized<T: Number>(reference: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let array = arrays::latent::<T>(reference, "reference")?;
    let normal = pull::normalize_reference(arrays::read(&array)?.as_array())?;
    Ok(normal.into_pyarray(reference.py()).into_any().unbind())
}

/// Pulls a latent towards a normalised reference r, after a step.
///
/// With mean and std per image, f the factor: "linear" is shift = r std(x) + mean(x), x = (1-f) x + f shift; "euler" is
/// shift = r std(D) + mean(D), x += (x - shift) / sigma ((sigma_next - sigma) f), D the denoised latent. This is the
/// guidance of the extension stable-diffusion-webui-sonar.
///
/// Args:
///     x: the latent after the step, a float32 or float64 array (batch, channel, spatial...).
///     denoised: what the model answered at this step, shaped like x.
///     reference: from `normalize_reference`, shaped like x or one image of it.
///     sigma, sigma_next: the noise levels of the step.
///     factor: how strongly; negative pushes away.
///     method: "linear" or "euler".
///
/// Returns:
///     The new latent, a new array in the shape and dtype of x.
///
/// Raises:
///     ConfigError, ScheduleError, LatentError, DtypeError: with the value and what is allowed.
#[pyfunction]
#[pyo3(signature = (x, denoised, reference, sigma, sigma_next, *, factor, method))]
pub(super) fn guidance_step(
    x: &Bound<'_, PyAny>,
    denoised: &Bound<'_, PyAny>,
    reference: &Bound<'_, PyAny>,
    sigma: &Bound<'_, PyAny>,
    sigma_next: &Bound<'_, PyAny>,
    factor: &Bound<'_, PyAny>,
    method: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let (sigma, sigma_next) = (config::number("sigma", sigma)?, config::number("sigma_next", sigma_next)?);
    let factor = config::number("factor", factor)?;
    schedule::validate(&[sigma, sigma_next])?;
    if !factor.is_finite() {
        return Err(Error::config("factor", format!("{factor:?}"), "must be a finite number").into());
    }
    by_dtype!(x, "x", pulled(x, denoised, reference, (sigma, sigma_next), factor, method))
}

fn pulled<T: Number>(
    x: &Bound<'_, PyAny>,
    denoised: &Bound<'_, PyAny>,
    reference: &Bound<'_, PyAny>,
    (sigma, sigma_next): (f64, f64),
    factor: f64,
    method: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let py = x.py();
    let method = config::choice::<RefMethod>("method", method)?;
    let Some(pull) = Pull::<T>::new(method, factor, T::of(sigma), T::of(sigma_next)) else {
        let allowed =
            "must be linear or euler; it pulls the answer before the step, and not the latent after it";
        return Err(Error::config("method", method.name(), allowed).into());
    };
    let x = arrays::latent::<T>(x, "x")?;
    let denoised = arrays::latent_like::<T>(denoised, "denoised", x.shape())?;
    let mut shape = x.shape().to_vec();
    if shape.is_empty() || x.is_empty() {
        let allowed = "needs axes batch, channel and any spatial ones, none of them empty".into();
        return Err(Error::Shape { what: "x", found: shape, allowed }.into());
    }
    let batch = shape[0];
    if arrays::floating(reference, "reference")?.shape().first() == Some(&1) {
        shape[0] = 1;
    }
    let reference = arrays::latent_like::<T>(reference, "reference", &shape)?;
    let result = arrays::empty::<T>(py, x.shape())?;
    {
        let (x, denoised, reference) =
            (arrays::read(&x)?, arrays::read(&denoised)?, arrays::read(&reference)?);
        let (x, denoised, reference) = (x.as_slice()?, denoised.as_slice()?, reference.as_slice()?);
        let size = x.len() / batch;
        let mut result = arrays::write(&result)?;
        let images = result.as_slice_mut()?.chunks_mut(size).zip(x.chunks(size)).zip(denoised.chunks(size));
        for (((out, x), denoised), reference) in images.zip(reference.chunks(size).cycle()) {
            let measured = if matches!(pull, Pull::Linear { .. }) { x } else { denoised };
            let look = Look::of(Moments::of(measured));
            for ((out, &x), &r) in out.iter_mut().zip(x).zip(reference) {
                *out = pull.apply(x, look.shift(r));
            }
        }
    }
    Ok(result.into_any().unbind())
}

/// Standard normal latents to start a run from: multiply by sigmas[0].
///
/// Args:
///     shape: (batch, channel, spatial...).
///     seeds: an int (image k uses seeds + k), or a sequence with one per image, each in [0, 2^64).
///
/// Returns:
///     A float32 array. Image k depends on its own seed alone (ChaCha8 and a ziggurat, the same numbers in every
///     version), and shares no numbers with the noise of a run of the same seed.
///
/// Raises:
///     LatentError: an empty or too large shape. ConfigError: no ints. MemoryError: numpy has not so much memory.
#[pyfunction]
pub(super) fn initial_noise<'py>(
    shape: &Bound<'py, PyAny>,
    seeds: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
    let py = shape.py();
    let Ok(dims) = shape.extract::<Vec<usize>>() else {
        let allowed = "must be a sequence of ints: batch, channel, spatial...";
        return Err(Error::config("shape", errors::shown(shape), allowed).into());
    };
    let refuse = |allowed: String| Error::Shape { what: "the latent", found: dims.clone(), allowed };
    if dims.is_empty() || dims.contains(&0) {
        return Err(
            refuse("needs axes batch, channel and any spatial ones, none of them empty".into()).into()
        );
    }
    let seeds = config::seeds("seeds", seeds)?;
    // Before the seeds of all images, so that want of memory is numpy's error.
    let noise = arrays::empty::<f32>(py, &dims).map_err(|error| {
        // Too many axes, or more numbers than there are addresses; want of memory stays numpy's own error.
        if error.is_instance_of::<PyValueError>(py) {
            refuse(error.value(py).to_string()).into()
        } else {
            error
        }
    })?;
    fill_batch(arrays::write(&noise)?.as_slice_mut()?, &seeds.of_batch(dims[0])?, 0, Purpose::Initial);
    Ok(noise)
}
