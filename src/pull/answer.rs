//! The pull of the model's answer, before a step:
//!
//! ```text
//! R'  = R, or R with the mean and spread of D in every channel          (ref_match)
//! D'  = D + w mask low(R' - D)                                          w: ReferenceOptions::weight
//! ```
//!
//! Solver and momentum go on with `D'` in the place of `D`: the reference is a second opinion on what the clean image is,
//! of weight `w` at every noise level, and not a push on the latent whose strength depends on the number of steps. `low`
//! leaves only what is coarse to it ([`Lowpass`]), after the idea of ILVR (Choi et al., 2021, arXiv 2108.02938).

use super::lowpass::Lowpass;
use super::options::{RefMatch, ReferenceOptions};
use super::reference::{checked, expanded, of_image};
use crate::error::{Error, Result};
use crate::moments::Moments;
use crate::real::Real;
use crate::simd;
use crate::threads;

use ndarray::ArrayViewD;

/// A reference as the answer is pulled towards it.
#[derive(Debug, Clone)]
pub struct Target<T> {
    /// Shaped like the latent, or like one image of it.
    image: Vec<T>,
    /// Where it counts: one channel of it; empty: everywhere.
    mask: Vec<T>,
    /// Mean and spread of every channel of every image of the batch, where they are matched.
    looks: Vec<Moments>,
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
        let mut target = Self { image, mask, looks: Vec::new(), lowpass, shape: shape.to_vec() };
        if options.ref_match == RefMatch::Channel {
            target.looks = target.measured()?;
        }
        Ok(target)
    }

    /// The reference and the mask, as they are kept.
    pub(super) fn arrays(&self) -> [&[T]; 2] {
        [&self.image, &self.mask]
    }

    /// Mean and spread of the reference, where the mask is, for every channel of every image of the batch.
    fn measured(&self) -> Result<Vec<Moments>> {
        let looks: Vec<Moments> = (0..self.shape[0] * self.shape[1])
            .map(|index| look(self.channel(index), self.mask(index)))
            .collect();
        // Where the mask lets nothing through, there is nothing to match.
        let constant = looks.iter().position(|look| look.count() > 0.0 && look.spread() == 0.0);
        if let Some(index) = constant {
            let (image, channel) = (index / self.shape[1], index % self.shape[1]);
            return Err(Error::Values {
                what: "reference",
                found: format!("channel {channel} of image {image} is constant where it counts"),
                allowed: "a constant channel has no spread to be matched; take ref_match = none".into(),
            });
        }
        Ok(looks)
    }

    /// The numbers of a channel.
    fn size(&self) -> usize {
        self.shape.iter().skip(2).product()
    }

    /// A channel of the reference: `index` counts the channels of all images.
    fn channel(&self, index: usize) -> &[T] {
        of_image(&self.image, index, self.size())
    }

    /// The mask of a channel; empty if there is none.
    fn mask(&self, index: usize) -> &[T] {
        of_image(&self.mask, index / self.shape[1], self.size())
    }

    /// Writes the answer `denoised`, pulled with weight `w`, to `out`.
    pub(crate) fn pull(&self, w: f64, denoised: &[T], out: &mut [T], threads: usize) {
        let channels = denoised.chunks(self.size()).zip(out.chunks_mut(self.size())).enumerate();
        threads::map(channels, threads, |(index, (denoised, out))| -> Option<()> {
            self.pull_channel(index, T::of(w), denoised, out);
            None
        });
    }

    fn pull_channel(&self, index: usize, w: T, denoised: &[T], out: &mut [T]) {
        let (reference, mask) = (self.channel(index), self.mask(index));
        let (scale, shift) = match self.looks.get(index) {
            Some(own) => {
                let answer = look(denoised, mask);
                let scale = answer.spread() / own.spread();
                (T::of(scale), T::of(answer.mean() - own.mean() * scale))
            }
            None => (T::one(), T::zero()),
        };
        if !mask.is_empty() && mask.iter().all(T::is_zero) {
            out.copy_from_slice(denoised);
            return;
        }
        simd::widest(
            #[inline(always)]
            || {
                for ((out, r), d) in out.iter_mut().zip(reference).zip(denoised) {
                    *out = *r * scale + shift - *d;
                }
            },
        );
        if let (Some(lowpass), [.., height, width]) = (&self.lowpass, &self.shape[..]) {
            lowpass.apply(out, [*height, *width]);
        }
        simd::widest(
            #[inline(always)]
            || {
                if mask.is_empty() {
                    for (out, d) in out.iter_mut().zip(denoised) {
                        *out = *d + w * *out;
                    }
                    return;
                }
                for ((out, d), m) in out.iter_mut().zip(denoised).zip(mask) {
                    // Not even the sign of a zero changes where the mask is 0.
                    *out = if m.is_zero() { *d } else { *d + w * *m * *out };
                }
            },
        );
    }
}

/// Mean and spread of a channel, where the mask is.
fn look<T: Real>(channel: &[T], mask: &[T]) -> Moments {
    if mask.is_empty() { Moments::of(channel) } else { Moments::weighted(channel, mask) }
}
