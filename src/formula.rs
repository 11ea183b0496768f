//! How a move computes a number: the formulas of the solvers.

use crate::real::Real;

/// What one number of a move is made from.
#[derive(Debug, Clone, Copy)]
pub struct Point<T> {
    /// The latent at the start of the step.
    pub x: T,
    /// The newest answer.
    pub denoised: T,
    /// The answer before it: of the step before, or the first of two in this step.
    pub older: T,
}

/// How a move computes a number.
pub(crate) trait Formula<T: Real>: Copy + Sync {
    /// Whether it uses the older answer.
    const OLDER: bool = false;

    /// The plain move, in the very operations of the method's source.
    fn plain(self, point: Point<T>) -> T;

    /// The derivative along which it goes: what a momentum mixes. `sigma_hat` is the level of the step's start.
    fn derivative(self, point: Point<T>, sigma_hat: T) -> T;
}

/// The formula of a move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form<T> {
    /// Along the derivative.
    Euler(Euler<T>),
    /// Along the weighted mean of two derivatives.
    Derivatives(Derivatives<T>),
    /// The exponential form of a first-order step.
    Exponential(Exponential<T>),
    /// That of DPM-Solver++(2M).
    Multistep(Multistep<T>),
    /// That of its SDE.
    MultistepSde(MultistepSde<T>),
}

/// `x + (x - D)/sigma_hat dt`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Euler<T> {
    /// Where the derivative is taken.
    pub sigma_hat: T,
    /// Length of the step.
    pub dt: T,
}

impl<T: Real> Formula<T> for Euler<T> {
    #[inline(always)]
    fn plain(self, point: Point<T>) -> T {
        point.x + self.derivative(point, self.sigma_hat) * self.dt
    }

    #[inline(always)]
    fn derivative(self, point: Point<T>, sigma_hat: T) -> T {
        (point.x - point.denoised) / sigma_hat
    }
}

/// A Runge-Kutta step of two stages: `d1` at the start (whose answer is the older one), `d2` where the plain step
/// `ahead` from there ends: `x + (on_first d1 + on_second d2) dt`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Derivatives<T> {
    /// The step to where the second derivative is taken.
    pub ahead: Euler<T>,
    /// The level there.
    pub sigma_ahead: T,
    /// Weight of the first derivative.
    pub on_first: T,
    /// Weight of the second.
    pub on_second: T,
    /// Length of the step.
    pub dt: T,
}

impl<T: Real> Formula<T> for Derivatives<T> {
    const OLDER: bool = true;

    #[inline(always)]
    fn plain(self, point: Point<T>) -> T {
        point.x + self.derivative(point, self.ahead.sigma_hat) * self.dt
    }

    #[inline(always)]
    fn derivative(self, point: Point<T>, sigma_hat: T) -> T {
        let first = (point.x - point.older) / sigma_hat;
        let ahead = point.x + first * self.ahead.dt;
        let second = (ahead - point.denoised) / self.sigma_ahead;
        self.on_first * first + self.on_second * second
    }
}

/// `keep x - weight D`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exponential<T> {
    /// Factor of the latent.
    pub keep: T,
    /// Factor of the answer, negative.
    pub weight: T,
}

impl<T: Real> Formula<T> for Exponential<T> {
    #[inline(always)]
    fn plain(self, point: Point<T>) -> T {
        self.keep * point.x - self.weight * point.denoised
    }

    #[inline(always)]
    fn derivative(self, point: Point<T>, sigma_hat: T) -> T {
        (point.x - point.denoised) / sigma_hat
    }
}

/// `keep x - weight D_d`, with the extrapolated answer `D_d = on_new D - on_older D_older`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Multistep<T> {
    /// Factors of the latent and of the extrapolated answer.
    pub exponential: Exponential<T>,
    /// Factor of the newest answer.
    pub on_new: T,
    /// Factor of the older one.
    pub on_older: T,
}

impl<T: Real> Multistep<T> {
    #[inline(always)]
    fn extrapolated(self, point: Point<T>) -> Point<T> {
        Point { denoised: self.on_new * point.denoised - self.on_older * point.older, ..point }
    }
}

impl<T: Real> Formula<T> for Multistep<T> {
    const OLDER: bool = true;

    #[inline(always)]
    fn plain(self, point: Point<T>) -> T {
        self.exponential.plain(self.extrapolated(point))
    }

    #[inline(always)]
    fn derivative(self, point: Point<T>, sigma_hat: T) -> T {
        self.exponential.derivative(self.extrapolated(point), sigma_hat)
    }
}

/// `keep x - weight D + on_change (D - D_older)`, which is a step towards `D + ahead (D - D_older)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MultistepSde<T> {
    /// Factors of the latent and of the newest answer.
    pub exponential: Exponential<T>,
    /// Factor of the change of the answers.
    pub on_change: T,
    /// By how much of the change the answer is extrapolated.
    pub ahead: T,
}

impl<T: Real> Formula<T> for MultistepSde<T> {
    const OLDER: bool = true;

    #[inline(always)]
    fn plain(self, point: Point<T>) -> T {
        self.exponential.plain(point) + self.on_change * (point.denoised - point.older)
    }

    #[inline(always)]
    fn derivative(self, point: Point<T>, sigma_hat: T) -> T {
        let denoised = point.denoised + self.ahead * (point.denoised - point.older);
        self.exponential.derivative(Point { denoised, ..point }, sigma_hat)
    }
}

impl<T: Real> Form<T> {
    /// Whether it uses the older answer.
    pub(crate) fn uses_older(&self) -> bool {
        match self {
            Self::Euler(_) | Self::Exponential(_) => false,
            Self::Derivatives(_) | Self::Multistep(_) | Self::MultistepSde(_) => true,
        }
    }

    /// The derivative along which it goes, as [`Formula::derivative`].
    pub(crate) fn derivative(&self, point: Point<T>, sigma_hat: T) -> T {
        match *self {
            Self::Euler(form) => form.derivative(point, sigma_hat),
            Self::Derivatives(form) => form.derivative(point, sigma_hat),
            Self::Exponential(form) => form.derivative(point, sigma_hat),
            Self::Multistep(form) => form.derivative(point, sigma_hat),
            Self::MultistepSde(form) => form.derivative(point, sigma_hat),
        }
    }

    /// Whether all its coefficients are finite numbers and the levels at which it divides are not 0.
    pub(crate) fn is_computable(&self) -> bool {
        let finite = |values: &[T]| values.iter().all(|value| value.is_finite());
        let exponential = |form: Exponential<T>| finite(&[form.keep, form.weight]);
        let euler = |form: Euler<T>| form.sigma_hat > T::zero() && finite(&[form.sigma_hat, form.dt]);
        match *self {
            Self::Euler(form) => euler(form),
            Self::Derivatives(form) => {
                euler(form.ahead) && form.sigma_ahead > T::zero() && finite(&[form.sigma_ahead, form.dt])
            }
            Self::Exponential(form) => exponential(form),
            Self::Multistep(form) => exponential(form.exponential) && finite(&[form.on_new, form.on_older]),
            Self::MultistepSde(form) => {
                exponential(form.exponential) && finite(&[form.on_change, form.ahead])
            }
        }
    }
}
