//! Turns [`Error`] into the Python classes of `sonar_sampler.errors`.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::error::Error;

/// The class called `name` in `sonar_sampler.errors`, with `message`.
fn raise(cell: &'static PyOnceLock<Py<PyType>>, name: &str, message: String) -> PyErr {
    Python::attach(|py| match cell.import(py, "sonar_sampler.errors", name) {
        Ok(class) => PyErr::from_type(class.clone(), message),
        Err(error) => error,
    })
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        static CONFIG: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static LATENT: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static SCHEDULE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static PROTOCOL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        static NUMERIC: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let message = error.to_string();
        match error {
            Error::Config { .. } => raise(&CONFIG, "ConfigError", message),
            Error::Shape { .. } | Error::Values { .. } => raise(&LATENT, "LatentError", message),
            Error::Schedule(_) => raise(&SCHEDULE, "ScheduleError", message),
            Error::Protocol(_) => raise(&PROTOCOL, "ProtocolError", message),
            Error::Memory { .. } => PyMemoryError::new_err(message),
            Error::Numeric { .. } => raise(&NUMERIC, "NumericError", message),
        }
    }
}

/// An array of a type that cannot be sampled from.
pub(super) fn dtype(message: String) -> PyErr {
    static DTYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    raise(&DTYPE, "DtypeError", message)
}

/// `repr(value)`, cut to a line.
pub(super) fn shown(value: &Bound<'_, PyAny>) -> String {
    let text = value.repr().map_or_else(|_| "a value without repr".into(), |repr| repr.to_string());
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The name of a value's class.
pub(super) fn class(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "object".into(), |name| name.to_string())
}
