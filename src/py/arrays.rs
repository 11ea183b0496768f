//! numpy arrays: which ones are latents, and borrowing their memory.

use numpy::{
    Element, PyArrayDescrMethods, PyArrayDyn, PyArrayMethods, PyUntypedArray, PyUntypedArrayMethods,
};
use numpy::{PyReadonlyArrayDyn, PyReadwriteArrayDyn};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::errors;
use crate::error::{Error, Result};
use crate::memory;
use crate::real::Real;

/// A latent's number type that numpy knows too.
pub(super) trait Number: Real + Element {}
impl Number for f32 {}
impl Number for f64 {}

/// An owned, C-contiguous array.
pub(super) type Latent<T> = Py<PyArrayDyn<T>>;

/// The same with the interpreter at hand.
pub(super) type Bind<'py, T> = Bound<'py, PyArrayDyn<T>>;

/// `value` as a numpy array of a real floating type, or an error that names `what`.
pub(super) fn floating<'a, 'py>(
    value: &'a Bound<'py, PyAny>,
    what: &str,
) -> PyResult<&'a Bound<'py, PyUntypedArray>> {
    let Ok(array) = value.cast::<PyUntypedArray>() else {
        return Err(errors::dtype(format!(
            "{what} is a {}; must be a numpy array of float32, float64 or float16",
            errors::class(value)
        )));
    };
    if array.dtype().kind() == b'f' {
        Ok(array)
    } else {
        Err(errors::dtype(format!("{what} has dtype {}; must be float32, float64 or float16", array.dtype())))
    }
}

/// `value` as an array of `T`, C-contiguous and aligned: the same memory if it is that already, else a copy.
pub(super) fn latent<'py, T: Number>(
    value: &Bound<'py, PyAny>,
    what: &'static str,
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let array = floating(value, what)?;
    if let Ok(same) = array.as_any().cast::<PyArrayDyn<T>>()
        && same.is_c_contiguous()
        && same.data().is_aligned()
    {
        return Ok(same.clone());
    }
    let py = value.py();
    let numpy = py.import(intern!(py, "numpy"))?;
    let converted = numpy.call_method1(intern!(py, "require"), (array, T::NAME, ("C", "A")))?;
    Ok(converted.cast_into::<PyArrayDyn<T>>()?)
}

/// The same, refusing another shape.
pub(super) fn latent_like<'py, T: Number>(
    value: &Bound<'py, PyAny>,
    what: &'static str,
    shape: &[usize],
) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let found = floating(value, what)?.shape();
    if found != shape {
        let allowed = format!("must be {shape:?} like the latent");
        return Err(Error::Shape { what, found: found.to_vec(), allowed }.into());
    }
    latent(value, what)
}

/// A new array of whatever the memory holds, to be filled. numpy makes it, since its error for want of memory is one
/// that Python code can catch.
pub(super) fn empty<'py, T: Number>(py: Python<'py>, shape: &[usize]) -> PyResult<Bound<'py, PyArrayDyn<T>>> {
    let numpy = py.import(intern!(py, "numpy"))?;
    let array = numpy.call_method1(intern!(py, "empty"), (PyTuple::new(py, shape)?, T::NAME))?;
    Ok(array.cast_into::<PyArrayDyn<T>>()?)
}

/// A copy that is nobody else's.
pub(super) fn copy<T: Number>(array: &Bound<'_, PyArrayDyn<T>>) -> PyResult<Latent<T>> {
    of_numbers(array.py(), read(array)?.as_slice()?, array.shape())
}

/// The numbers of an array.
pub(super) fn vector<T: Number>(array: &Bound<'_, PyArrayDyn<T>>) -> PyResult<Vec<T>> {
    Ok(memory::copied(read(array)?.as_slice()?)?)
}

/// A new array of these numbers.
pub(super) fn of_numbers<T: Number>(py: Python<'_>, numbers: &[T], shape: &[usize]) -> PyResult<Latent<T>> {
    let array = empty::<T>(py, shape)?;
    write(&array)?.as_slice_mut()?.copy_from_slice(numbers);
    Ok(array.unbind())
}

/// Borrows for reading.
pub(super) fn read<'py, T: Number>(array: &Bound<'py, PyArrayDyn<T>>) -> Result<PyReadonlyArrayDyn<'py, T>> {
    array.try_readonly().map_err(|error| Error::Protocol(format!("an array of this run is in use: {error}")))
}

/// Borrows for writing.
pub(super) fn write<'py, T: Number>(
    array: &Bound<'py, PyArrayDyn<T>>,
) -> Result<PyReadwriteArrayDyn<'py, T>> {
    array.try_readwrite().map_err(|error| Error::Protocol(format!("an array of this run is in use: {error}")))
}

/// A view that cannot be written to: a model that tries gets numpy's error instead of a spoilt run.
pub(super) fn read_only<'py>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    let view = array.call_method0(intern!(py, "view"))?;
    view.getattr(intern!(py, "flags"))?.setattr(intern!(py, "writeable"), false)?;
    Ok(view)
}

/// `array.astype(dtype)`, always a copy.
pub(super) fn astype<'py, T: Number>(
    array: &Bound<'py, PyArrayDyn<T>>,
    dtype: &str,
) -> PyResult<Bound<'py, PyAny>> {
    array.call_method1(intern!(array.py(), "astype"), (dtype,))
}

/// The schedule: any one-dimensional sequence of numbers.
pub(super) fn sigmas(value: &Bound<'_, PyAny>) -> PyResult<Vec<f64>> {
    let py = value.py();
    let refuse = |why: String| PyErr::from(Error::Schedule(why));
    let numpy = py.import(intern!(py, "numpy"))?;
    let array = numpy
        .call_method1(intern!(py, "asarray"), (value,))
        .map_err(|_| refuse(format!("{} is not a list of numbers", errors::shown(value))))?;
    let array = array.cast_into::<PyUntypedArray>()?;
    if array.ndim() != 1 {
        let shape = array.shape();
        return Err(refuse(format!("have shape {shape:?}; must be one-dimensional")));
    }
    if array.is_empty() {
        return Ok(Vec::new());
    }
    if !b"fiu".contains(&array.dtype().kind()) {
        return Err(refuse(format!("hold {}; must be real numbers", array.dtype())));
    }
    array.call_method1(intern!(py, "astype"), ("float64",))?.call_method0(intern!(py, "tolist"))?.extract()
}
