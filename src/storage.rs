//! Where the arrays of a run lie: in the core's own memory or in a host's.

use std::ops::{Deref, DerefMut};

use crate::error::Error;
use crate::real::Real;

/// Makes arrays and lends their memory.
pub trait Storage<T: Real> {
    /// An array shaped like the latent, C-contiguous.
    type Array;
    /// What can go wrong.
    type Error: From<Error>;
    /// An array lent for reading.
    type Read<'a>: Deref<Target = [T]>
    where
        Self: 'a;
    /// An array lent for writing.
    type Write<'a>: DerefMut<Target = [T]>
    where
        Self: 'a;

    /// A new array of whatever the memory holds, to be filled.
    ///
    /// # Errors
    /// There is not so much memory.
    fn empty(&self, shape: &[usize]) -> Result<Self::Array, Self::Error>;

    /// Lends an array for reading.
    ///
    /// # Errors
    /// It is lent for writing already.
    fn read<'a>(&'a self, array: &'a Self::Array) -> Result<Self::Read<'a>, Self::Error>;

    /// Lends an array for writing.
    ///
    /// # Errors
    /// It is lent already.
    fn write<'a>(&'a self, array: &'a mut Self::Array) -> Result<Self::Write<'a>, Self::Error>;

    /// How many numbers it holds.
    fn len(&self, array: &Self::Array) -> usize;

    /// Whether nobody but the run holds the array: only then it may be written to.
    fn is_ours(&self, array: &Self::Array) -> bool;

    /// Computes, while the host's other threads may go on.
    fn detached<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R;
}

/// The core's own memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own;

impl<T: Real> Storage<T> for Own {
    type Array = Vec<T>;
    type Error = Error;
    type Read<'a> = &'a [T];
    type Write<'a> = &'a mut [T];

    fn empty(&self, shape: &[usize]) -> Result<Vec<T>, Error> {
        Ok(vec![T::zero(); shape.iter().product()])
    }

    fn read<'a>(&'a self, array: &'a Vec<T>) -> Result<&'a [T], Error> {
        Ok(array)
    }

    fn write<'a>(&'a self, array: &'a mut Vec<T>) -> Result<&'a mut [T], Error> {
        Ok(array)
    }

    fn len(&self, array: &Vec<T>) -> usize {
        array.len()
    }

    fn is_ours(&self, _: &Vec<T>) -> bool {
        true
    }

    fn detached<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        work()
    }
}
