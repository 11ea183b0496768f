//! What a host needs that pulls towards a reference by the model's gradient, in the place of the core's own pull.

use numpy::PyArray1;
use numpy::PyArrayMethods;
use pyo3::prelude::*;

use super::{arrays, config};
use crate::pull::{self, progress};
use crate::schedule;

/// How strongly `ref_method` "denoised" pulls at each step: the factor times the window.
///
/// Args:
///     config: a `SonarConfig`.
///     sigmas: the noise levels, one more than there are steps.
///
/// Returns:
///     One number for each step.
///
/// Raises:
///     ScheduleError: noise levels that are none.
#[pyfunction]
pub(super) fn reference_weights(config: &Bound<'_, PyAny>, sigmas: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let (config, sigmas) = (config::read(config)?, arrays::sigmas(sigmas)?);
    schedule::validate(&sigmas)?;
    let steps = sigmas.len().saturating_sub(1);
    let weight =
        |step: usize| config.reference.weight(step, progress(sigmas[step], sigmas[0], config.solver.flow));
    Ok((0..steps).map(weight).collect())
}

/// The low-pass of `ref_detail` along one axis, as a matrix: the filtered image is `rows @ image @ columns.T`.
///
/// Args:
///     length: of the axis, in latent cells.
///     detail: in [0.01, 1].
///
/// Returns:
///     A symmetric float64 array (length, length) whose rows have the sum 1; None where all details stay.
#[pyfunction]
pub(super) fn lowpass_matrix(py: Python<'_>, length: usize, detail: f64) -> PyResult<Option<Py<PyAny>>> {
    pull::lowpass_matrix(length, detail)
        .map(|matrix| Ok(PyArray1::from_vec(py, matrix).reshape([length, length])?.into_any().unbind()))
        .transpose()
}
