//! What a channel of an answer and that of a reference have in common.

use crate::moments::{BLOCK, totals};
use crate::real::Real;

/// Means, deviations (n denominator) and correlation of two channels, counted as often as a mask says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    /// How many numbers.
    pub(super) count: f64,
    /// Of the answer and of the reference.
    pub(super) means: [f64; 2],
    /// Of the answer and of the reference.
    pub(super) deviations: [f64; 2],
    /// Of both; NaN if one is constant.
    pub(super) correlation: f64,
}

impl Pair {
    /// Of all numbers of two channels; an empty mask counts each once.
    pub(super) fn of<T: Real>(answer: &[T], reference: &[T], mask: &[T]) -> Self {
        let (from, from_reference) = (first(answer), first(reference));
        let terms = move |weight: T, answer: T, reference: T| {
            let (c, b) = (answer - from, reference - from_reference);
            [weight, weight * c, weight * b, weight * c * c, weight * b * b, weight * c * b]
        };
        let mut sums = [0.0; 6];
        for (at, (answer, reference)) in answer.chunks(BLOCK).zip(reference.chunks(BLOCK)).enumerate() {
            let of_block = if mask.is_empty() {
                totals(
                    [answer, reference],
                    #[inline(always)]
                    move |[answer, reference]| terms(T::one(), answer, reference),
                )
            } else {
                totals(
                    [&mask[at * BLOCK..][..answer.len()], answer, reference],
                    #[inline(always)]
                    move |[weight, answer, reference]| terms(weight, answer, reference),
                )
            };
            for (sum, of_block) in sums.iter_mut().zip(of_block) {
                *sum += of_block;
            }
        }
        let [count, c, b, cc, bb, cb] = sums;
        let [c, b, cc, bb, cb] = [c, b, cc, bb, cb].map(|sum| sum / count);
        let deviations = [(cc - c * c).max(0.0).sqrt(), (bb - b * b).max(0.0).sqrt()];
        Self {
            count,
            means: [from.wide() + c, from_reference.wide() + b],
            deviations,
            correlation: ((cb - c * b) / (deviations[0] * deviations[1])).clamp(-1.0, 1.0),
        }
    }
}

fn first<T: Real>(channel: &[T]) -> T {
    channel.first().copied().unwrap_or_else(T::zero)
}
