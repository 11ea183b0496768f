//! Reads a `SonarConfig`: every option by name, with errors that name it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyComplex, PyDict, PyFloat, PyInt, PyIterator, PyString, PyTuple,
};

use super::errors::{class, shown};
use crate::config::{Config, Seed};
use crate::error::Error;
use crate::options::{Plain, Value};
use crate::threads;

/// Reads and validates the options of `config`.
pub(super) fn read(config: &Bound<'_, PyAny>) -> PyResult<Config> {
    // Interned once: to make two dozen strings takes as long as to read what they name.
    static NAMES: PyOnceLock<Vec<Py<PyString>>> = PyOnceLock::new();
    let py = config.py();
    let interned =
        NAMES.get_or_init(py, || Config::names().map(|name| PyString::intern(py, name).unbind()).collect());
    let mut read = Config::default();
    for (name, interned) in Config::names().zip(interned) {
        let Ok(value) = config.getattr(interned) else {
            return Err(Error::config("config", class(config), "must be a SonarConfig").into());
        };
        let refuse = |allowed: String| Error::config(name, shown(&value), allowed);
        read.set(name, &plain(&value)).map_err(refuse)?;
    }
    read.validate()?;
    Ok(read)
}

/// Checks every option of a config and returns them as plain values; of None, the defaults.
///
/// Numbers become float, sequences tuples, step positions int or float, seeds int.
///
/// Raises:
///     ConfigError: with the option, its value and what is allowed.
#[pyfunction]
#[pyo3(signature = (config=None))]
pub(super) fn normalize_config<'py>(
    py: Python<'py>,
    config: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let read = config.map_or_else(|| Ok(Config::default()), read)?;
    let options = PyDict::new(py);
    for name in Config::names() {
        options.set_item(name, read.get(name).map(|value| written(py, &value)).transpose()?)?;
    }
    Ok(options)
}

/// An argument that is one of the choices `C`.
pub(super) fn choice<C: Value>(name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<C> {
    argument(name, value)
}

/// An argument that is a number.
pub(super) fn number(name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    argument(name, value)
}

/// An argument that is a whole number of at least `low`.
pub(super) fn whole(name: &'static str, value: &Bound<'_, PyAny>, low: usize) -> PyResult<usize> {
    let read = if let Plain::Whole(whole) = plain(value) { usize::try_from(whole).ok() } else { None };
    read.filter(|&whole| whole >= low)
        .ok_or_else(|| Error::config(name, shown(value), format!("must be an int of at least {low}")).into())
}

/// The number of threads: as given, or the process's default; never more than there are cores.
pub(super) fn threads(value: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
    let asked = value.map_or_else(|| Ok(threads::default()), |value| whole("threads", value, 1))?;
    Ok(asked.min(threads::cores()))
}

/// An argument that is the seeds of a batch.
pub(super) fn seeds(name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<Seed> {
    if value.is_none() {
        return Err(Error::config(
            name,
            "None",
            "must be an int in [0, 2^64), or a sequence with one per image",
        )
        .into());
    }
    argument(name, value)
}

fn argument<V: Value>(name: &'static str, value: &Bound<'_, PyAny>) -> PyResult<V> {
    V::read(&plain(value)).map_err(|allowed| Error::config(name, shown(value), allowed).into())
}

/// What `value` is to the core, whatever library made it.
fn plain(value: &Bound<'_, PyAny>) -> Plain {
    if value.is_exact_instance_of::<PyFloat>() {
        return value.extract().map_or(Plain::Other, Plain::Number);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return text.to_cow().map_or(Plain::Other, |text| Plain::Text(text.into_owned()));
    }
    if value.is_none() {
        return Plain::None;
    }
    if value.is_exact_instance_of::<PyInt>() {
        return value.extract().map_or(Plain::Other, Plain::Whole);
    }
    if let Ok(flag) = value.extract::<bool>() {
        return Plain::Flag(flag);
    }
    if is_real(value) {
        let py = value.py();
        // A float with an integer's value stays a float: 1 is a step, 1.0 all of them.
        let index = || value.call_method0(intern!(py, "__index__"))?.extract();
        let whole = if value.is_instance_of::<PyFloat>() { None } else { index().ok() };
        let number = || if value.is_instance_of::<PyInt>() { None } else { value.extract().ok() };
        return whole.map(Plain::Whole).or_else(|| number().map(Plain::Number)).unwrap_or(Plain::Other);
    }
    match entries(value) {
        Some(entries) => entries
            .map(|entry| entry.ok().filter(|entry| entries_of(entry).is_none()).map(|entry| plain(&entry)))
            .collect::<Option<_>>()
            .map_or(Plain::Other, Plain::List),
        None => Plain::Other,
    }
}

/// Whether `value` is one real number of Python, numpy or torch: not a bool, text, a complex number (which would
/// lose its imaginary part) or a list of one number.
fn is_real(value: &Bound<'_, PyAny>) -> bool {
    let py = value.py();
    let refused = value.is_instance_of::<PyBool>()
        || value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyComplex>()
        || value.len().is_ok();
    let kind = || value.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "kind"))?.extract::<String>();
    !refused && kind().map_or(true, |kind| ["f", "i", "u"].contains(&kind.as_str()))
}

/// The entries of a sequence: something of a length and an order, but not text.
fn entries<'py>(value: &Bound<'py, PyAny>) -> Option<Bound<'py, PyIterator>> {
    let text = value.is_instance_of::<PyBytes>() || value.is_instance_of::<PyByteArray>();
    let ordered = value.hasattr("__getitem__").unwrap_or(false) && !value.is_instance_of::<PyDict>();
    if text || !ordered || value.len().is_err() {
        return None;
    }
    value.try_iter().ok()
}

/// The same for what is in a sequence: no option takes a sequence of sequences.
fn entries_of<'py>(entry: &Bound<'py, PyAny>) -> Option<Bound<'py, PyIterator>> {
    if entry.is_instance_of::<PyString>() { None } else { entries(entry) }
}

fn written<'py>(py: Python<'py>, value: &Plain) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Plain::Flag(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Plain::Whole(whole) => whole.into_pyobject(py)?.into_any(),
        Plain::Number(number) => number.into_pyobject(py)?.into_any(),
        Plain::Text(text) => text.into_pyobject(py)?.into_any(),
        Plain::List(entries) => {
            let entries: PyResult<Vec<_>> = entries.iter().map(|entry| written(py, entry)).collect();
            PyTuple::new(py, entries?)?.into_any()
        }
        Plain::None | Plain::Other => py.None().into_bound(py),
    })
}
