//! The arrays of one step, lent for as long as it is computed.

/// The arrays of one step, C-contiguous. An array that is not there is empty.
#[derive(Debug)]
pub struct Arrays<'a, T> {
    /// The latent at the start of the step; not there if it lies in `out`, to be stepped in place.
    pub x: &'a [T],
    /// What the model answered.
    pub denoised: &'a [T],
    /// What it answered before that.
    pub older: &'a mut [T],
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

impl<T> Arrays<'_, T> {
    pub(crate) fn none() -> Self {
        Self {
            x: &[],
            denoised: &[],
            older: &mut [],
            noise: &[],
            reference: &[],
            history: &mut [],
            momentum_d: &mut [],
            out: &mut [],
        }
    }

    /// The same arrays, lent.
    pub(crate) fn again(&mut self) -> Arrays<'_, T> {
        Arrays {
            x: self.x,
            denoised: self.denoised,
            older: self.older,
            noise: self.noise,
            reference: self.reference,
            history: self.history,
            momentum_d: self.momentum_d,
            out: self.out,
        }
    }

    /// The latent at the start of the step, until it is stepped in place.
    pub(crate) fn latent(&self) -> &[T] {
        if self.x.is_empty() { self.out } else { self.x }
    }

    /// Takes off the first `n` numbers of every array that is there.
    #[inline]
    pub(crate) fn first(&mut self, n: usize) -> Self {
        Self {
            x: take(&mut self.x, n),
            denoised: take(&mut self.denoised, n),
            older: take_mut(&mut self.older, n),
            noise: take(&mut self.noise, n),
            reference: take(&mut self.reference, n),
            history: take_mut(&mut self.history, n),
            momentum_d: take_mut(&mut self.momentum_d, n),
            out: take_mut(&mut self.out, n),
        }
    }
}

fn take<'a, T>(rest: &mut &'a [T], n: usize) -> &'a [T] {
    rest.split_off(..n).unwrap_or_default()
}

/// Takes off the first `n` numbers, or all that there are.
#[expect(clippy::mut_mut, reason = "the slice itself moves on")]
pub(crate) fn take_mut<'a, T>(rest: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    rest.split_off_mut(..n).unwrap_or_default()
}
