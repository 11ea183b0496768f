//! What a run keeps of its reference: how it must look depends on how it pulls.

use ndarray::{ArrayViewD, Axis};

use super::answer::Target;
use super::options::{RefMethod, ReferenceOptions};
use super::step::fitting_reference;
use crate::error::{Error, Result};
use crate::real::Real;

/// A run's reference.
#[derive(Debug, Clone)]
pub enum Reference<T> {
    /// There is none.
    None,
    /// Normalised, for the latent after a step.
    Step(Vec<T>),
    /// For the model's answer.
    Answer(Target<T>),
}

impl<T: Real> Reference<T> {
    /// The reference of a run with a latent of `shape`; `mask` says where it counts.
    ///
    /// # Errors
    /// Arrays that do not fit or that cannot be pulled towards; a mask without a reference or with a method that takes none.
    pub fn new(
        options: &ReferenceOptions,
        shape: &[usize],
        image: Option<ArrayViewD<'_, T>>,
        mask: Option<ArrayViewD<'_, T>>,
    ) -> Result<Self> {
        let refused = |allowed: &str| Err(Error::config("reference_mask", "an array", allowed));
        match (image, options.ref_method) {
            (None, _) if mask.is_some() => refused("it says where a reference counts; give a reference, too"),
            (None, _) => Ok(Self::None),
            (Some(image), RefMethod::Denoised) => Target::new(options, shape, image, mask).map(Self::Answer),
            (Some(_), _) if mask.is_some() => refused("needs ref_method = denoised; the others have no mask"),
            (Some(image), _) => fitting_reference(image, shape).map(Self::Step),
        }
    }

    /// A reference of the same options and shape, from what [`Self::arrays`] said.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_arrays(
        options: &ReferenceOptions,
        shape: &[usize],
        [image, mask]: [Vec<T>; 2],
    ) -> Result<Self> {
        if image.is_empty() {
            return Ok(Self::None);
        }
        if options.ref_method != RefMethod::Denoised {
            return Ok(Self::Step(image));
        }
        let mut image_shape = shape.to_vec();
        image_shape[0] = image.len() / shape[1..].iter().product::<usize>();
        let mut mask_shape = shape.to_vec();
        mask_shape[0] = mask.len() / shape[2..].iter().product::<usize>();
        mask_shape[1] = 1;
        let broken = |_| Error::Protocol("the arrays of a kept reference do not fit its latent".into());
        let image = ArrayViewD::from_shape(image_shape, &image).map_err(broken)?;
        let mask = (!mask.is_empty()).then(|| ArrayViewD::from_shape(mask_shape, &mask).map_err(broken));
        Self::new(options, shape, Some(image), mask.transpose()?)
    }

    /// The reference and the mask as they are kept, to be kept elsewhere; empty for none.
    #[must_use]
    pub fn arrays(&self) -> [&[T]; 2] {
        match self {
            Self::None => [&[], &[]],
            Self::Step(normal) => [normal, &[]],
            Self::Answer(target) => target.arrays(),
        }
    }

    /// The normalised reference for the latent after a step; empty if there is none.
    pub(crate) fn of_step(&self) -> &[T] {
        match self {
            Self::Step(normal) => normal,
            _ => &[],
        }
    }
}

/// An array for a latent of `shape`, of `channels` channels: of the batch or of one image; of a video or of one frame,
/// which then is that of all frames.
pub(super) fn expanded<T: Real>(
    what: &'static str,
    array: ArrayViewD<'_, T>,
    shape: &[usize],
    channels: usize,
) -> Result<Vec<T>> {
    let mut whole = shape.to_vec();
    whole[1] = channels;
    if array.ndim() == whole.len() && array.len_of(Axis(0)) == 1 {
        whole[0] = 1;
    }
    let is_frame = whole.len() > 4 && array.ndim() == whole.len() && array.shape()[2] == 1;
    let mut expected = whole.clone();
    if is_frame {
        expected[2] = 1;
    }
    match array.broadcast(whole) {
        Some(fitting) if array.shape() == expected => Ok(fitting.iter().copied().collect()),
        _ => {
            expected[0] = shape[0];
            let frame = if shape.len() > 4 { ", or one frame of it" } else { "" };
            Err(Error::Shape {
                what,
                found: array.shape().to_vec(),
                allowed: format!("must be {expected:?} for this latent, or one image of it{frame}"),
            })
        }
    }
}

/// Refuses numbers of which `is_allowed` is not true.
pub(super) fn checked<T: Real>(
    what: &'static str,
    numbers: &[T],
    is_allowed: impl Fn(T) -> bool,
    allowed: &str,
) -> Result<()> {
    match numbers.iter().find(|number| !is_allowed(**number)) {
        Some(bad) => {
            let found = format!("holds {:?}", bad.wide());
            Err(Error::Values { what, found, allowed: allowed.into() })
        }
        None => Ok(()),
    }
}

/// Part `index` of an array for the whole batch or for one image, in parts of `size` numbers; empty if there is no array.
pub(super) fn of_image<T>(array: &[T], index: usize, size: usize) -> &[T] {
    if array.is_empty() { array } else { &array[index * size % array.len()..][..size] }
}
