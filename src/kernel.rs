//! The loops over the numbers of a latent: generic over the formula and the direction, compiled for the processor's
//! widest vectors.
//!
//! They work in place, on stretches that stay in the cache: a latent that lies elsewhere is copied to where the next one
//! goes, then stepped, pulled and noised, one loop after the other.

use crate::arrays::Arrays;
use crate::direction::{Direction, OfImage, Plain};
use crate::formula::{Euler, Form, Formula, Point};
use crate::measure::Measured;
use crate::moments::{BLOCK, Moments};
use crate::pull::{Look, Pull};
use crate::real::Real;
use crate::simd;
use crate::solver::Added;

/// Numbers of a piece. A loop of a length known to the compiler has no remainder, whose numbers would take up
/// registers; a shorter last piece is padded.
const PIECE: usize = 256;

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

/// Makes the pass, and measures the new latent if there are `blocks` for that; whether a number of it is not finite.
pub(crate) fn pass<T: Real>(pass: &Pass<T>, mut arrays: Arrays<'_, T>, blocks: &mut [Measured]) -> bool {
    let mut alarm = T::Alarm::default();
    let mut blocks = blocks.iter_mut();
    while !arrays.out.is_empty() {
        let mut block = arrays.first(arrays.out.len().min(BLOCK));
        alarm = alarm | whole_and_rest(pass, block.again());
        if let Some(measured) = blocks.next() {
            *measured = Measured::of(Moments::of_block(block.out));
        }
    }
    T::rings(alarm)
}

/// The loops over a block, whose last piece may be shorter.
fn whole_and_rest<T: Real>(pass: &Pass<T>, mut block: Arrays<'_, T>) -> T::Alarm {
    let rest = block.out.len() % PIECE;
    let mut alarm = stretch(pass, block.first(block.out.len() - rest));
    if rest > 0 {
        let mut padding = Padding::of(&block);
        alarm = alarm | stretch(pass, padding.arrays(&block));
        padding.unload(block);
    }
    alarm
}

/// The loops over a few whole pieces.
fn stretch<T: Real>(pass: &Pass<T>, mut arrays: Arrays<'_, T>) -> T::Alarm {
    if !arrays.x.is_empty() {
        arrays.out.copy_from_slice(arrays.x);
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
        if !arrays.momentum_d.is_empty() {
            record(advance, &mut arrays);
        }
        alarm = advanced(advance, along, &mut arrays);
    }
    alarm = match (pass.pull, pass.noise) {
        (Some((pull, look)), noise) => pulled(pull, look, pass.rescale, noise, &mut arrays),
        (None, Some(noise)) if along.is_none() => noised(pass.rescale, noise, &mut arrays),
        (None, _) => alarm,
    };
    if pass.keeps_answer {
        arrays.older.copy_from_slice(arrays.denoised);
    }
    alarm
}

/// The one factor of the noise, where all others are 1: to multiply by 1 changes no bit, and costs a tenth of the loop.
fn single<T: Real>(rescale: T, Added { factors: [first, second, third] }: Added<T>) -> Option<T> {
    (rescale == T::one() && first == T::one() && third == T::one()).then_some(second)
}

/// Chooses the loop of a move.
fn advanced<T: Real>(advance: &Advance<T>, noise: Option<T>, arrays: &mut Arrays<'_, T>) -> T::Alarm {
    match (advance.form, advance.direction) {
        (Form::Euler(form), OfImage::Plain) => first_order(form, Plain, advance, noise, arrays),
        (Form::Euler(form), OfImage::Classic(factors)) => first_order(form, factors, advance, noise, arrays),
        (Form::Euler(form), OfImage::Lead(lead)) => first_order(form, lead, advance, noise, arrays),
        (Form::Derivatives(form), direction) => directed(form, direction, advance, arrays),
        (Form::Exponential(form), direction) => directed(form, direction, advance, arrays),
        (Form::Multistep(form), direction) => directed(form, direction, advance, arrays),
        (Form::MultistepSde(form), direction) => directed(form, direction, advance, arrays),
    }
}

fn first_order<T: Real, D: Direction<T>>(
    form: Euler<T>,
    direction: D,
    advance: &Advance<T>,
    noise: Option<T>,
    arrays: &mut Arrays<'_, T>,
) -> T::Alarm {
    match noise {
        Some(scale) => stepped::<T, _, D, true>(form, direction, advance, scale, arrays),
        None => stepped::<T, _, D, false>(form, direction, advance, T::zero(), arrays),
    }
}

fn directed<T: Real, F: Formula<T>>(
    form: F,
    direction: OfImage<T>,
    advance: &Advance<T>,
    arrays: &mut Arrays<'_, T>,
) -> T::Alarm {
    match direction {
        OfImage::Classic(factors) => stepped::<T, F, _, false>(form, factors, advance, T::zero(), arrays),
        // A configuration that leads with a solver of second order is refused.
        OfImage::Plain | OfImage::Lead(_) => {
            stepped::<T, F, _, false>(form, Plain, advance, T::zero(), arrays)
        }
    }
}

fn stepped<T: Real, F: Formula<T>, D: Direction<T>, const NOISY: bool>(
    form: F,
    direction: D,
    advance: &Advance<T>,
    scale: T,
    arrays: &mut Arrays<'_, T>,
) -> T::Alarm {
    let (sigma_hat, dt) = (advance.sigma_hat, advance.dt);
    let Arrays { denoised, older, noise, history, out, .. } = arrays;
    simd::widest(
        #[inline(always)]
        move || {
            let [denoised, older, noise] = [&**denoised, older, noise].map(pieces);
            let histories = pieces_mut(history);
            let mut alarm = T::Alarm::default();
            for (at, out) in pieces_mut(out).iter_mut().enumerate() {
                let denoised = &denoised[at];
                let older = if F::OLDER { &older[at] } else { denoised };
                let noise = if NOISY { &noise[at] } else { denoised };
                for i in 0..PIECE {
                    let h = if D::HISTORY { histories[at][i] } else { T::zero() };
                    let point = Point { x: out[i], denoised: denoised[i], older: older[i] };
                    let (mut x, h) = direction.step(form, point, h, sigma_hat, dt);
                    if D::HISTORY {
                        histories[at][i] = h;
                    }
                    if NOISY {
                        x = x + noise[i] * scale;
                    }
                    alarm = alarm | x.alarm();
                    out[i] = x;
                }
            }
            alarm
        },
    )
}

fn pulled<T: Real>(
    pull: Pull<T>,
    look: Look<T>,
    rescale: T,
    noise: Option<Added<T>>,
    arrays: &mut Arrays<'_, T>,
) -> T::Alarm {
    let Arrays { reference, noise: draws, out, .. } = arrays;
    let Some(Added { factors: [first, second, third] }) = noise else {
        return each(
            out,
            [reference],
            #[inline(always)]
            move |x, [r]| pull.apply(x, look.shift(r)),
        );
    };
    each(
        out,
        [reference, draws],
        #[inline(always)]
        move |x, [r, noise]| pull.apply(x, look.shift(r)) * rescale + noise * first * second * third,
    )
}

fn noised<T: Real>(rescale: T, added: Added<T>, arrays: &mut Arrays<'_, T>) -> T::Alarm {
    let Arrays { noise, out, .. } = arrays;
    let [first, second, third] = added.factors;
    match single(rescale, added) {
        Some(scale) => each(
            out,
            [noise],
            #[inline(always)]
            move |x, [noise]| x + noise * scale,
        ),
        None => each(
            out,
            [noise],
            #[inline(always)]
            move |x, [noise]| x * rescale + noise * first * second * third,
        ),
    }
}

/// The loop of what changes a number of the latent by those of other arrays.
///
/// What `change` needs must be moved into it: if it is borrowed, the compiler has to expect that a store to the latent
/// alters it, and makes no vectors.
fn each<T: Real, const N: usize>(
    out: &mut [T],
    others: [&[T]; N],
    change: impl Fn(T, [T; N]) -> T,
) -> T::Alarm {
    simd::widest(
        #[inline(always)]
        move || {
            let others = others.map(pieces);
            let mut alarm = T::Alarm::default();
            for (at, out) in pieces_mut(out).iter_mut().enumerate() {
                let others = others.map(|other| &other[at]);
                for i in 0..PIECE {
                    let x = change(out[i], others.map(|other| other[i]));
                    alarm = alarm | x.alarm();
                    out[i] = x;
                }
            }
            alarm
        },
    )
}

/// Writes down the corrected derivative. Only hosts that show it want that, so its loop is not made fast.
fn record<T: Real>(advance: &Advance<T>, arrays: &mut Arrays<'_, T>) {
    for i in 0..arrays.out.len() {
        let number = |values: &[T]| values.get(i).copied().unwrap_or_else(T::zero);
        let point = Point { x: arrays.out[i], denoised: arrays.denoised[i], older: number(arrays.older) };
        arrays.momentum_d[i] = corrected(advance, point, number(arrays.history));
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

/// The whole pieces of a slice.
#[inline(always)]
fn pieces<T>(values: &[T]) -> &[[T; PIECE]] {
    values.as_chunks().0
}

/// The same, to be written to.
#[inline(always)]
fn pieces_mut<T>(values: &mut [T]) -> &mut [[T; PIECE]] {
    values.as_chunks_mut().0
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
