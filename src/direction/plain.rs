//! No momentum: the solver's own step.

use super::Direction;
use crate::formula::{Formula, Point};
use crate::real::Real;

/// The solver's own direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plain;

impl<T: Real> Direction<T> for Plain {
    const HISTORY: bool = false;

    #[inline(always)]
    fn derivative<F: Formula<T>>(self, form: F, point: Point<T>, history: T, sigma_hat: T) -> (T, T) {
        (form.derivative(point, sigma_hat), history)
    }

    #[inline(always)]
    fn step<F: Formula<T>>(self, form: F, point: Point<T>, history: T, _: T, _: T) -> (T, T) {
        (form.plain(point), history)
    }
}
