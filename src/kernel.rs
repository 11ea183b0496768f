//! The loops over the numbers of a latent: generic over the formula and the direction, compiled for the processor's
//! widest vectors.
//!
//! They work in place, on pieces small enough for the first-level cache: a latent that lies elsewhere is copied to
//! where the next one goes, then stepped, pulled and noised, one loop after the other.

use crate::arrays::Arrays;
use crate::direction::{Direction, OfImage, Plain};
use crate::formula::{Euler, Form, Formula, Point};
use crate::pull::{Look, Pull};
use crate::real::Real;
use crate::simd;
use crate::solver::Added;

/// Numbers of a piece. A loop of a length known to the compiler has no remainder, whose numbers would take up
/// registers; a shorter last piece is padded.
const PIECE: usize = 1024;

/// What one pass over a part of an image does.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass<T> {
    /// The formula of the move and its length, unless the latent stays.
    pub(crate) advance: Option<Advance<T>>,
    /// The pull towards the reference after it.
    pub(crate) pull: Option<(Pull<T>, Look<T>)>,
    /// Factor on the latent before the noise is added.
    pub(crate) rescale: T,
    /// The noise after that.
    pub(crate) noise: Option<Added<T>>,
    /// Whether the answer becomes the older one.
    pub(crate) keeps_answer: bool,
}

/// A move along a direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Advance<T> {
    pub(crate) form: Form<T>,
    pub(crate) sigma_hat: T,
    pub(crate) dt: T,
    pub(crate) direction: OfImage<T>,
}

/// Makes the pass; whether a number of the new latent is not finite.
pub(crate) fn pass<T: Real>(pass: &Pass<T>, mut arrays: Arrays<'_, T>) -> bool {
    let mut alarm = T::Alarm::default();
    while arrays.out.len() >= PIECE {
        alarm = alarm | piece(pass, arrays.first(PIECE));
    }
    if !arrays.out.is_empty() {
        let mut padding = Padding::of(&arrays);
        alarm = alarm | piece(pass, padding.arrays(&arrays));
        padding.unload(arrays);
    }
    T::rings(alarm)
}

/// The loops over one piece of [`PIECE`] numbers.
fn piece<T: Real>(pass: &Pass<T>, mut piece: Arrays<'_, T>) -> T::Alarm {
    if !piece.x.is_empty() {
        piece.out.copy_from_slice(piece.x);
    }
    // Euler's step takes the noise along, if it comes next and has one factor; for the other forms it is a loop more.
    let along = match (&pass.advance, pass.pull) {
        (Some(Advance { form: Form::Euler(_), .. }), None) => {
            pass.noise.and_then(|noise| single(pass.rescale, noise))
        }
        _ => None,
    };
    let mut alarm = T::Alarm::default();
    if let Some(advance) = &pass.advance {
        if !piece.momentum_d.is_empty() {
            record(advance, &mut piece);
        }
        alarm = advanced(advance, along, &mut piece);
    }
    if let Some((pull, look)) = pass.pull {
        alarm = pulled(pull, look, &mut piece);
    }
    if let Some(noise) = pass.noise.filter(|_| along.is_none()) {
        alarm = noised(pass.rescale, noise, &mut piece);
    }
    if pass.keeps_answer {
        piece.older.copy_from_slice(piece.denoised);
    }
    alarm
}

/// The one factor of the noise, where all others are 1: to multiply by 1 changes no bit, and costs a tenth of the loop.
fn single<T: Real>(rescale: T, Added { factors: [first, second, third] }: Added<T>) -> Option<T> {
    (rescale == T::one() && first == T::one() && third == T::one()).then_some(second)
}

/// Chooses the loop of a move.
fn advanced<T: Real>(advance: &Advance<T>, noise: Option<T>, piece: &mut Arrays<'_, T>) -> T::Alarm {
    match (advance.form, advance.direction) {
        (Form::Euler(form), OfImage::Plain) => first_order(form, Plain, advance, noise, piece),
        (Form::Euler(form), OfImage::Classic(factors)) => first_order(form, factors, advance, noise, piece),
        (Form::Euler(form), OfImage::Lead(lead)) => first_order(form, lead, advance, noise, piece),
        (Form::Derivatives(form), direction) => directed(form, direction, advance, piece),
        (Form::Exponential(form), direction) => directed(form, direction, advance, piece),
        (Form::Multistep(form), direction) => directed(form, direction, advance, piece),
        (Form::MultistepSde(form), direction) => directed(form, direction, advance, piece),
    }
}

fn first_order<T: Real, D: Direction<T>>(
    form: Euler<T>,
    direction: D,
    advance: &Advance<T>,
    noise: Option<T>,
    piece: &mut Arrays<'_, T>,
) -> T::Alarm {
    match noise {
        Some(scale) => stepped::<T, _, D, true>(form, direction, advance, scale, piece),
        None => stepped::<T, _, D, false>(form, direction, advance, T::zero(), piece),
    }
}

fn directed<T: Real, F: Formula<T>>(
    form: F,
    direction: OfImage<T>,
    advance: &Advance<T>,
    piece: &mut Arrays<'_, T>,
) -> T::Alarm {
    match direction {
        OfImage::Classic(factors) => stepped::<T, F, _, false>(form, factors, advance, T::zero(), piece),
        // A configuration that leads with a solver of second order is refused.
        OfImage::Plain | OfImage::Lead(_) => {
            stepped::<T, F, _, false>(form, Plain, advance, T::zero(), piece)
        }
    }
}

fn stepped<T: Real, F: Formula<T>, D: Direction<T>, const NOISY: bool>(
    form: F,
    direction: D,
    advance: &Advance<T>,
    scale: T,
    piece: &mut Arrays<'_, T>,
) -> T::Alarm {
    let (sigma_hat, dt) = (advance.sigma_hat, advance.dt);
    let Arrays { denoised, older, noise, history, out, .. } = piece;
    simd::widest(
        #[inline(always)]
        || {
            // Slices of one length, known to the compiler: no bounds checks.
            let (denoised, out) = (&denoised[..PIECE], &mut out[..PIECE]);
            let older = if F::OLDER { &older[..PIECE] } else { denoised };
            let noise = if NOISY { &noise[..PIECE] } else { denoised };
            let history = if D::HISTORY { &mut history[..PIECE] } else { &mut [] };
            let mut alarm = T::Alarm::default();
            for i in 0..PIECE {
                let h = if D::HISTORY { history[i] } else { T::zero() };
                let point = Point { x: out[i], denoised: denoised[i], older: older[i] };
                let (mut x, h) = direction.step(form, point, h, sigma_hat, dt);
                if D::HISTORY {
                    history[i] = h;
                }
                if NOISY {
                    x = x + noise[i] * scale;
                }
                alarm = alarm | x.alarm();
                out[i] = x;
            }
            alarm
        },
    )
}

fn pulled<T: Real>(pull: Pull<T>, look: Look<T>, piece: &mut Arrays<'_, T>) -> T::Alarm {
    let Arrays { reference, out, .. } = piece;
    simd::widest(
        #[inline(always)]
        || {
            let (reference, out) = (&reference[..PIECE], &mut out[..PIECE]);
            let mut alarm = T::Alarm::default();
            for i in 0..PIECE {
                let x = pull.apply(out[i], look.shift(reference[i]));
                alarm = alarm | x.alarm();
                out[i] = x;
            }
            alarm
        },
    )
}

fn noised<T: Real>(rescale: T, added: Added<T>, piece: &mut Arrays<'_, T>) -> T::Alarm {
    let Arrays { noise, out, .. } = piece;
    let [first, second, third] = added.factors;
    let single = single(rescale, added);
    simd::widest(
        #[inline(always)]
        || {
            let (noise, out) = (&noise[..PIECE], &mut out[..PIECE]);
            let mut alarm = T::Alarm::default();
            if let Some(scale) = single {
                for i in 0..PIECE {
                    out[i] = out[i] + noise[i] * scale;
                    alarm = alarm | out[i].alarm();
                }
            } else {
                for i in 0..PIECE {
                    out[i] = out[i] * rescale + noise[i] * first * second * third;
                    alarm = alarm | out[i].alarm();
                }
            }
            alarm
        },
    )
}

/// Writes down the corrected derivative. Only hosts that show it want that, so its loop is not made fast.
fn record<T: Real>(advance: &Advance<T>, piece: &mut Arrays<'_, T>) {
    for i in 0..PIECE {
        let number = |values: &[T]| values.get(i).copied().unwrap_or_else(T::zero);
        let point = Point { x: piece.out[i], denoised: piece.denoised[i], older: number(piece.older) };
        piece.momentum_d[i] = corrected(advance, point, number(piece.history));
    }
}

fn corrected<T: Real>(advance: &Advance<T>, point: Point<T>, history: T) -> T {
    let sigma_hat = advance.sigma_hat;
    match (advance.form, advance.direction) {
        (Form::Euler(form), OfImage::Lead(lead)) => lead.derivative(form, point, history, sigma_hat).0,
        (form, OfImage::Classic(factors)) => factors.correct(form.derivative(point, sigma_hat), history),
        (form, _) => form.derivative(point, sigma_hat),
    }
}

/// A last piece, padded with zeros to a whole one.
struct Padding<T> {
    numbers: [[T; PIECE]; 8],
}

impl<T: Real> Padding<T> {
    fn of(rest: &Arrays<'_, T>) -> Self {
        let mut numbers = [[T::zero(); PIECE]; 8];
        let arrays: [&[T]; 8] = [
            rest.x,
            rest.denoised,
            rest.noise,
            rest.reference,
            rest.older,
            rest.history,
            rest.momentum_d,
            rest.out,
        ];
        for (padded, values) in numbers.iter_mut().zip(arrays) {
            padded[..values.len()].copy_from_slice(values);
        }
        Self { numbers }
    }

    /// The padded arrays; those that `rest` has not are empty.
    fn arrays(&mut self, rest: &Arrays<'_, T>) -> Arrays<'_, T> {
        fn whole(is_there: bool) -> usize {
            if is_there { PIECE } else { 0 }
        }
        let [x, denoised, noise, reference, older, history, momentum_d, out] = &mut self.numbers;
        Arrays {
            x: &x[..whole(!rest.x.is_empty())],
            denoised: &denoised[..whole(!rest.denoised.is_empty())],
            noise: &noise[..whole(!rest.noise.is_empty())],
            reference: &reference[..whole(!rest.reference.is_empty())],
            older: &mut older[..whole(!rest.older.is_empty())],
            history: &mut history[..whole(!rest.history.is_empty())],
            momentum_d: &mut momentum_d[..whole(!rest.momentum_d.is_empty())],
            out: &mut out[..],
        }
    }

    /// Copies what was written back to `rest`.
    fn unload(&self, rest: Arrays<'_, T>) {
        let [.., older, history, momentum_d, out] = &self.numbers;
        let written = [rest.older, rest.history, rest.momentum_d, rest.out];
        for (values, padded) in written.into_iter().zip([older, history, momentum_d, out]) {
            let n = values.len();
            values.copy_from_slice(&padded[..n]);
        }
    }
}
