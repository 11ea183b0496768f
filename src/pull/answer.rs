//! The pull of the model's answer, before a step. With `C = low(D)` the coarse part of the answer and `B = low(R)` that of
//! the reference:
//!
//! ```text
//! D' = D + mask (P - C)
//! P  = C + w (B - C)                                              ref_match = none
//! P  = mean(C) + std(C) unit((1 - w) unit(C) + w unit(B))         ref_match = channel; unit: mean 0, deviation 1
//! ```
//!
//! with `w` of [`ReferenceOptions::weight`], and mean and deviation per image and channel, weighted by the mask. Solver and
//! momentum go on with `D'` in the place of `D`: the reference is a second opinion on what the clean image is, of weight `w`
//! at every noise level, and not a push on the latent whose strength depends on the number of steps. `low` leaves only what
//! is coarse to it ([`Lowpass`]), after the idea of ILVR (Choi et al., 2021, arXiv 2108.02938). The outer `unit` keeps the
//! contrast: the mean of two patterns that have nothing in common is weaker than either, and step by step a haze.

use super::lowpass::Lowpass;
use super::options::{RefMatch, ReferenceOptions};
use super::pair::Pair;
use super::reference::{checked, expanded, of_image};
use crate::error::{Error, Result};
use crate::memory;
use crate::real::Real;
use crate::simd;
use crate::threads;

use ndarray::ArrayViewD;

/// A reference as the answer is pulled towards it.
#[derive(Debug, Clone)]
pub struct Target<T> {
    /// As it was given, shaped like the latent or like one image of it.
    image: Vec<T>,
    /// Its coarse part; empty: all of it.
    coarse: Vec<T>,
    /// Where it counts: one channel of it; empty: everywhere.
    mask: Vec<T>,
    matching: RefMatch,
    lowpass: Option<Lowpass<T>>,
    shape: Vec<usize>,
}

impl<T: Real> Target<T> {
    /// A reference and a mask for a latent of `shape`.
    ///
    /// # Errors
    /// [`Error::Shape`] and [`Error::Values`] for arrays that do not fit or are out of range; [`Error::Config`] for details
    /// of a latent without two spatial axes.
    pub(super) fn new(
        options: &ReferenceOptions,
        shape: &[usize],
        image: ArrayViewD<'_, T>,
        mask: Option<ArrayViewD<'_, T>>,
    ) -> Result<Self> {
        let image = expanded("reference", image, shape, shape.get(1).copied().unwrap_or(1))?;
        let mask =
            mask.map(|mask| expanded("reference_mask", mask, shape, 1)).transpose()?.unwrap_or_default();
        checked("reference", &image, T::is_finite, "must be finite")?;
        let in_range = |value: T| (T::zero()..=T::one()).contains(&value);
        checked("reference_mask", &mask, in_range, "must be in [0, 1]")?;
        let lowpass = Lowpass::new(options.ref_detail);
        if lowpass.is_some() && shape.len() < 4 {
            let allowed =
                format!("must be 1 with a latent of shape {shape:?}: details need two spatial axes");
            return Err(Error::config("ref_detail", options.ref_detail, allowed));
        }
        let mut coarse = Vec::new();
        if let (Some(lowpass), [.., height, width]) = (&lowpass, shape) {
            coarse = memory::copied(&image)?;
            lowpass.apply(&mut coarse, [*height, *width]);
        }
        let target =
            Self { image, coarse, mask, matching: options.ref_match, lowpass, shape: shape.to_vec() };
        target.check()?;
        Ok(target)
    }

    /// The reference and the mask, as they are kept.
    pub(super) fn arrays(&self) -> [&[T]; 2] {
        [&self.image, &self.mask]
    }

    /// Refuses what cannot be matched, for any channel of any image of the batch.
    fn check(&self) -> Result<()> {
        let is_constant = |index: &usize| {
            let reference = self.channel(*index);
            let own = Pair::of(reference, reference, self.mask(*index));
            // Where the mask lets nothing through, there is nothing to match.
            own.count > 0.0 && own.deviations[1] == 0.0
        };
        let mut channels = 0..self.shape[0] * self.shape[1];
        match channels.find(is_constant) {
            Some(index) if self.matching == RefMatch::Channel => Err(Error::Values {
                what: "reference",
                found: format!(
                    "channel {} of image {} is constant where it counts",
                    index % self.shape[1],
                    index / self.shape[1]
                ),
                allowed: "a constant channel has no spread to be matched; take ref_match = none".into(),
            }),
            _ => Ok(()),
        }
    }

    /// The numbers of a channel.
    fn size(&self) -> usize {
        self.shape.iter().skip(2).product()
    }

    /// A channel of the reference's coarse part: `index` counts the channels of all images.
    fn channel(&self, index: usize) -> &[T] {
        let reference = if self.coarse.is_empty() { &self.image } else { &self.coarse };
        of_image(reference, index, self.size())
    }

    /// The mask of a channel; empty if there is none.
    fn mask(&self, index: usize) -> &[T] {
        of_image(&self.mask, index / self.shape[1], self.size())
    }

    /// Writes the answer `denoised`, pulled with weight `w`, to `out`.
    pub(crate) fn pull(&self, w: f64, denoised: &[T], out: &mut [T], threads: usize) {
        let channels = denoised.chunks(self.size()).zip(out.chunks_mut(self.size())).enumerate();
        threads::map(channels, threads, |(index, (denoised, out))| -> Option<()> {
            self.pull_channel(index, w, denoised, out);
            None
        });
    }

    fn pull_channel(&self, index: usize, w: f64, denoised: &[T], out: &mut [T]) {
        let (reference, mask) = (self.channel(index), self.mask(index));
        out.copy_from_slice(denoised);
        if !mask.is_empty() && mask.iter().all(T::is_zero) {
            return;
        }
        if let (Some(lowpass), [.., height, width]) = (&self.lowpass, &self.shape[..]) {
            lowpass.apply(out, [*height, *width]);
        }
        let [of_answer, of_reference, shift] = match self.matching {
            RefMatch::None => [-w, w, 0.0],
            RefMatch::Channel => matched(w, &Pair::of(out, reference, mask)),
        }
        .map(T::of);
        simd::widest(
            #[inline(always)]
            || {
                let change = |c: T, b: T| of_answer * c + of_reference * b + shift;
                if mask.is_empty() {
                    for ((out, d), b) in out.iter_mut().zip(denoised).zip(reference) {
                        *out = *d + change(*out, *b);
                    }
                    return;
                }
                for (((out, d), b), m) in out.iter_mut().zip(denoised).zip(reference).zip(mask) {
                    // Not even the sign of a zero changes where the mask is 0.
                    *out = if m.is_zero() { *d } else { *d + *m * change(*out, *b) };
                }
            },
        );
    }
}

/// The factors of `C` and of `B` and the shift in `P - C`, for the weight `w` and patterns of the same mean and deviation.
fn matched(w: f64, pair: &Pair) -> [f64; 3] {
    let Pair { means, deviations, correlation, .. } = *pair;
    if deviations[0] == 0.0 {
        return [0.0; 3];
    }
    // Of the mean of both patterns, of 1 each; opposite ones cancel, and nothing has no contrast to be kept.
    let deviation = ((1.0 - w).powi(2) + w * w + 2.0 * w * (1.0 - w) * correlation).sqrt().max(LEAST);
    let of_answer = (1.0 - w) / deviation - 1.0;
    let of_reference = w * deviations[0] / (deviation * deviations[1]);
    [of_answer, of_reference, -of_answer * means[0] - of_reference * means[1]]
}

const LEAST: f64 = 0.1;
