//! What a step consists of, as data.

use crate::formula::Form;
use crate::real::Real;

/// A noise level of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Level<T> {
    /// Where the step starts.
    Start,
    /// Where it ends.
    End,
    /// A level of the solver's own.
    At(T),
}

/// One stage of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stage<T> {
    /// Standard normal noise is needed, for the interval between two levels. The next move adds it.
    Noise {
        /// Where the interval starts.
        from: Level<T>,
        /// Where it ends.
        to: Level<T>,
    },
    /// The model is asked to denoise what the last move made.
    Denoise(Level<T>),
    /// The latent moves.
    Move(Move<T>),
}

/// A move of the latent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Move<T> {
    /// Adds the noise that was drawn before the model is called.
    Churn(Added<T>),
    /// A plain move to a point beside the latent, at which the model is asked again.
    Ahead {
        /// Along what.
        form: Form<T>,
        /// The noise added at the end.
        noise: Option<Added<T>>,
    },
    /// The move that ends the step: along the momentum's direction, towards the reference, then scaled and noised.
    Step {
        /// Along what.
        form: Form<T>,
        /// The level at which the derivative is taken.
        sigma_hat: T,
        /// The level to which it steps, without noise.
        sigma_to: T,
        /// Factor on the latent before noise is added; 1 for all but flow models.
        rescale: T,
        /// The noise added at the end.
        noise: Option<Added<T>>,
    },
    /// The denoised latent is taken as it is.
    Take,
}

/// Noise that a move adds: `x += noise * factors[0] * factors[1] * factors[2]`, in the order of the formula's source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Added<T> {
    /// The user's factor and the standard deviation, 1 in the places that a formula does not have.
    pub factors: [T; 3],
}

impl<T: Real> Added<T> {
    /// `noise * s_noise * scale`.
    pub fn new(s_noise: f64, scale: T) -> Self {
        Self { factors: [T::of(s_noise), scale, T::one()] }
    }
}

impl<T: Real> Stage<T> {
    /// Whether all its coefficients are finite numbers and the levels at which it divides are not 0.
    pub(crate) fn is_computable(&self) -> bool {
        let level = |level: &Level<T>| if let Level::At(sigma) = level { sigma.is_finite() } else { true };
        let added = |noise: &Option<Added<T>>| {
            noise.is_none_or(|noise| noise.factors.iter().all(|factor| factor.is_finite()))
        };
        match self {
            Self::Noise { from, to } => level(from) && level(to),
            Self::Denoise(at) => level(at),
            Self::Move(Move::Churn(noise)) => added(&Some(*noise)),
            Self::Move(Move::Ahead { form, noise }) => form.is_computable() && added(noise),
            Self::Move(Move::Step { form, sigma_hat, sigma_to, rescale, noise, .. }) => {
                form.is_computable()
                    && added(noise)
                    && *sigma_hat > T::zero()
                    && [*sigma_hat, *sigma_to, *rescale].iter().all(|value| value.is_finite())
            }
            Self::Move(Move::Take) => true,
        }
    }
}
