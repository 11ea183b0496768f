//! The arrays of a run in numpy's memory.

use std::ops::{Deref, DerefMut};

use numpy::{PyReadonlyArrayDyn, PyReadwriteArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;

use super::arrays::{self, Latent, Number};
use crate::storage::Storage;

/// numpy, with the interpreter at hand.
#[derive(Clone, Copy)]
pub(super) struct Numpy<'py>(pub(super) Python<'py>);

/// An array lent for reading.
pub(super) struct Reading<'py, T: Number>(PyReadonlyArrayDyn<'py, T>);

/// An array lent for writing.
pub(super) struct Writing<'py, T: Number>(PyReadwriteArrayDyn<'py, T>);

impl<T: Number> Deref for Reading<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_slice().unwrap_or_default()
    }
}

impl<T: Number> Deref for Writing<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_slice().unwrap_or_default()
    }
}

impl<T: Number> DerefMut for Writing<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_slice_mut().unwrap_or_default()
    }
}

impl<'py, T: Number> Storage<T> for Numpy<'py> {
    type Array = Latent<T>;
    type Error = PyErr;
    type Read<'a>
        = Reading<'py, T>
    where
        Self: 'a;
    type Write<'a>
        = Writing<'py, T>
    where
        Self: 'a;

    fn empty(&self, shape: &[usize]) -> PyResult<Latent<T>> {
        arrays::empty(self.0, shape).map(Bound::unbind)
    }

    fn read<'a>(&'a self, array: &'a Latent<T>) -> PyResult<Reading<'py, T>> {
        Ok(Reading(arrays::read(array.bind(self.0))?))
    }

    fn write<'a>(&'a self, array: &'a mut Latent<T>) -> PyResult<Writing<'py, T>> {
        Ok(Writing(arrays::write(array.bind(self.0))?))
    }

    fn len(&self, array: &Latent<T>) -> usize {
        array.bind(self.0).len()
    }

    #[expect(deprecated, reason = "its replacement is unsafe code")]
    fn is_ours(&self, array: &Latent<T>) -> bool {
        array.get_refcnt(self.0) == 1
    }

    fn detached<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.0.detach(work)
    }
}
