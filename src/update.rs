//! One step as one pass over memory (two with guidance), in one thread or many with the same bits.

use crate::guidance::{Look, Pull};
use crate::kernel;
use crate::method::{Added, Plan};
use crate::moments::{BLOCK, Moments};
use crate::momentum::Momentum;
use crate::real::Real;
use crate::simd;
use crate::threads;

/// Numbers that one task works on: a multiple of [`BLOCK`], small enough for the second-level cache.
const CHUNK: usize = 8 * BLOCK;

/// What the history is to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// Momentum is off: the history is neither read nor written.
    Untouched,
    /// There is none yet: `h = 0`, and the step's corrected derivative becomes the history.
    Begins,
    /// Read and written.
    Blends,
}

/// The arrays of one step, C-contiguous. An array that is not there is empty.
#[derive(Debug)]
pub struct Arrays<'a, T> {
    /// The latent that the model saw; not there if it lies in `out`, to be stepped in place.
    pub x: &'a [T],
    /// What the model answered.
    pub denoised: &'a [T],
    /// The noise to add.
    pub noise: &'a [T],
    /// The normalised reference, for the whole batch or for one image.
    pub reference: &'a [T],
    /// The history, updated in place.
    pub history: &'a mut [T],
    /// Receives the corrected derivative.
    pub momentum_d: &'a mut [T],
    /// Receives the next latent.
    pub out: &'a mut [T],
}

/// The coefficients of one step.
#[derive(Debug)]
pub struct Step<'a, T> {
    /// The method's coefficients.
    pub plan: &'a Plan<T>,
    /// The momentum of each image, or one for all.
    pub momentum: &'a [Momentum<T>],
    /// What the history is to this step.
    pub history: History,
    /// The pull towards the reference, if there is one at this step.
    pub pull: Option<Pull<T>>,
}

/// A part of one image.
pub(crate) struct Part<'a, T> {
    pub(crate) image: usize,
    pub(crate) arrays: Arrays<'a, T>,
    pub(crate) moments: &'a mut [Moments],
}

/// Computes the step. Returns the images of the batch whose new latent is not finite.
pub fn step<T: Real>(step: &Step<'_, T>, arrays: Arrays<'_, T>, batch: usize, threads: usize) -> Vec<usize> {
    let size = arrays.out.len() / batch;
    let blocks = size.div_ceil(BLOCK);
    match step.pull {
        None => run(arrays, &mut [], batch, threads, |part| kernel::pass(step, part, None)),
        Some(pull @ Pull::Euler { .. }) => {
            let mut moments = vec![Moments::default(); blocks * batch];
            let denoised = Arrays { denoised: arrays.denoised, out: &mut *arrays.out, ..Arrays::none() };
            run(denoised, &mut moments, batch, threads, |part| {
                measure(part.arrays.denoised, part.moments);
                false
            });
            let looks = looks(&moments, blocks);
            run(arrays, &mut [], batch, threads, |part| {
                let look = looks[part.image];
                kernel::pass(step, part, Some((pull, look)))
            })
        }
        Some(pull @ Pull::Linear { .. }) => {
            let mut moments = vec![Moments::default(); blocks * batch];
            let (noise, reference) = (arrays.noise, arrays.reference);
            let first = Arrays {
                noise: &[],
                reference: &[],
                history: &mut *arrays.history,
                momentum_d: &mut *arrays.momentum_d,
                out: &mut *arrays.out,
                ..arrays
            };
            run(first, &mut moments, batch, threads, |part| kernel::pass(step, part, None));
            let looks = looks(&moments, blocks);
            let second = Arrays { noise, reference, out: arrays.out, ..Arrays::none() };
            run(second, &mut [], batch, threads, |part| {
                let look = looks[part.image];
                kernel::pull_pass(step.plan, part.arrays, pull, look)
            })
        }
    }
}

/// `out = x + noise * s_noise * scale`, in place if there is no `x`. Returns the images that are not finite.
pub fn churn<T: Real>(
    added: Added<T>,
    x: &[T],
    noise: &[T],
    out: &mut [T],
    batch: usize,
    threads: usize,
) -> Vec<usize> {
    let arrays = Arrays { x, noise, out, ..Arrays::none() };
    run(arrays, &mut [], batch, threads, |part| kernel::churn(added, part.arrays))
}

impl<T> Arrays<'_, T> {
    fn none() -> Self {
        Self {
            x: &[],
            denoised: &[],
            noise: &[],
            reference: &[],
            history: &mut [],
            momentum_d: &mut [],
            out: &mut [],
        }
    }

    /// Takes off the first `n` numbers of every array that is there.
    #[inline]
    pub(crate) fn first(&mut self, n: usize) -> Self {
        Self {
            x: take(&mut self.x, n),
            denoised: take(&mut self.denoised, n),
            noise: take(&mut self.noise, n),
            reference: take(&mut self.reference, n),
            history: take_mut(&mut self.history, n),
            momentum_d: take_mut(&mut self.momentum_d, n),
            out: take_mut(&mut self.out, n),
        }
    }
}

/// Runs `work` on every part of every image. Returns the images for which it answered true.
fn run<T: Real>(
    arrays: Arrays<'_, T>,
    moments: &mut [Moments],
    batch: usize,
    threads: usize,
    work: impl Fn(Part<'_, T>) -> bool + Sync,
) -> Vec<usize> {
    let size = arrays.out.len() / batch;
    let parts = parts(arrays, moments, batch, size).into_iter();
    let judged = |part: Part<'_, T>| {
        let image = part.image;
        work(part).then_some(image)
    };
    let mut bad: Vec<usize> = threads::map(parts, threads, judged);
    bad.dedup();
    bad
}

fn parts<'a, T>(
    mut arrays: Arrays<'a, T>,
    mut moments: &'a mut [Moments],
    batch: usize,
    size: usize,
) -> Vec<Part<'a, T>> {
    let one_reference = arrays.reference.len() == size;
    let whole_reference = arrays.reference;
    let mut parts = Vec::with_capacity(batch * size.div_ceil(CHUNK));
    for image in 0..batch {
        if one_reference {
            arrays.reference = whole_reference;
        }
        let mut left = size;
        while left > 0 {
            let n = left.min(CHUNK);
            left -= n;
            parts.push(Part {
                image,
                arrays: arrays.first(n),
                moments: take_mut(&mut moments, n.div_ceil(BLOCK)),
            });
        }
    }
    parts
}

fn take<'a, T>(rest: &mut &'a [T], n: usize) -> &'a [T] {
    rest.split_off(..n).unwrap_or_default()
}

#[expect(clippy::mut_mut, reason = "the slice itself moves on")]
fn take_mut<'a, T>(rest: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    rest.split_off_mut(..n).unwrap_or_default()
}

fn measure<T: Real>(values: &[T], moments: &mut [Moments]) {
    for (block, moments) in values.chunks(BLOCK).zip(moments) {
        *moments = simd::widest(
            #[inline(always)]
            || Moments::of_block(block),
        );
    }
}

fn looks<T: Real>(moments: &[Moments], blocks: usize) -> Vec<Look<T>> {
    let image =
        |moments: &[Moments]| Look::of(moments.iter().copied().fold(Moments::default(), Moments::merge));
    moments.chunks(blocks).map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::momentum::Sign;

    const SIZE: usize = CHUNK + BLOCK + 13;

    fn waves(k: usize) -> Vec<f32> {
        (0..2 * SIZE).map(|i| ((i * (k + 3)) as f32 * 0.37).sin() * 9.0).collect()
    }

    /// The formulas, one number after another, compiled for what every processor has.
    #[test]
    fn wide_vectors_threads_and_steps_in_place_give_the_bits_of_the_plain_formulas() {
        let (x, denoised, noise, history) = (waves(0), waves(1), waves(2), waves(3));
        let momenta = [Momentum::new(0.95, 0.75, Sign::Pos), Momentum::new(0.8, 0.6, Sign::Neg)];
        for (rescale, s_noise) in [(0.9, 1.1), (1.0, 1.0), (1.0, 1.1), (0.9, 1.0)] {
            let added = Added { s_noise, scale: 0.7 };
            let plan = Plan { churn: None, sigma_hat: 3.3, sigma_to: 2.1, rescale, noise: Some(added) };
            let dt = plan.sigma_to - plan.sigma_hat;
            let expected: Vec<_> = (0..2 * SIZE)
                .map(|i| {
                    let momentum: Momentum<f32> = momenta[i / SIZE];
                    let d = (x[i] - denoised[i]) / plan.sigma_hat;
                    let m = momentum.on_d * d + momentum.on_h * history[i];
                    let h = momentum.keep * history[i] + momentum.add * m;
                    let y = (x[i] + m * dt) * rescale + noise[i] * s_noise * added.scale;
                    (y.to_bits(), h.to_bits(), m.to_bits())
                })
                .collect();
            for (threads, in_place) in [(1, false), (2, false), (5, false), (1, true), (2, true)] {
                let (mut h, mut m) = (history.clone(), vec![0.0; 2 * SIZE]);
                let mut y = if in_place { x.clone() } else { vec![0.0; 2 * SIZE] };
                let step = Step { plan: &plan, momentum: &momenta, history: History::Blends, pull: None };
                let arrays = Arrays {
                    x: if in_place { &[] } else { &x },
                    denoised: &denoised,
                    noise: &noise,
                    reference: &[],
                    history: &mut h,
                    momentum_d: &mut m,
                    out: &mut y,
                };
                assert_eq!(super::step(&step, arrays, 2, threads), Vec::<usize>::new());
                let bits =
                    y.iter().zip(&h).zip(&m).map(|((y, h), m)| (y.to_bits(), h.to_bits(), m.to_bits()));
                assert!(bits.eq(expected.iter().copied()), "{threads} threads, in place: {in_place}");
            }
        }
    }

    #[test]
    fn images_that_are_not_finite_are_named_once_and_in_order() {
        let mut noise = vec![0.0; 4 * SIZE];
        for at in [3, SIZE - 1, 3 * SIZE, 4 * SIZE - 1] {
            noise[at] = f32::NAN;
        }
        for threads in [1, 2, 5] {
            let mut out = vec![0.0; 4 * SIZE];
            let added = Added { s_noise: 1.0, scale: 1.0 };
            let bad = churn(added, &vec![1.0; 4 * SIZE], &noise, &mut out, 4, threads);
            assert_eq!(bad, [0, 3], "{threads} threads");
        }
    }
}
