//! Arrays that a run keeps to itself; want of memory is an error, as it is in a host.

use crate::error::{Error, Result};
use crate::real::Real;

/// `length` zeros.
///
/// # Errors
/// [`Error::Memory`] if there is not so much.
pub fn zeros<T: Real>(length: usize) -> Result<Vec<T>> {
    let mut numbers = reserved(length)?;
    numbers.resize(length, T::zero());
    Ok(numbers)
}

/// The same numbers again.
///
/// # Errors
/// [`Error::Memory`] if there is not so much.
pub fn copied<T: Real>(numbers: &[T]) -> Result<Vec<T>> {
    let mut copy = reserved(numbers.len())?;
    copy.extend_from_slice(numbers);
    Ok(copy)
}

fn reserved<T: Real>(length: usize) -> Result<Vec<T>> {
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(length).map_err(|_| Error::Memory { length, dtype: T::NAME })?;
    Ok(numbers)
}
