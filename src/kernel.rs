//! The loops over the numbers of a latent, compiled for what a step needs and for the processor's widest vectors.
//!
//! They work in place: a latent that lies elsewhere is copied to where the next one goes, block by block, so that the
//! copy is still in the cache when it is stepped.

use crate::guidance::{Look, Pull};
use crate::method::{Added, Plan};
use crate::moments::{BLOCK, Moments};
use crate::momentum::Momentum;
use crate::real::Real;
use crate::simd;
use crate::update::{Arrays, History, Part, Step};

/// The coefficients of the loop.
struct Kernel<T> {
    sigma_hat: T,
    dt: T,
    momentum: Momentum<T>,
    pull: (Pull<T>, Look<T>),
    rescale: T,
    added: Added<T>,
}

const UNTOUCHED: u8 = 0;
const BEGINS: u8 = 1;
const BLENDS: u8 = 2;

/// No noise.
const SILENT: u8 = 0;
/// Noise, with `rescale` and `s_noise` 1: to multiply by 1 changes no bit, and costs a tenth of the loop.
const PLAIN: u8 = 1;
/// Noise with all its factors.
const SCALED: u8 = 2;

/// The step of one part, in a loop made for what it needs; whether a number of the new latent is not finite.
pub(crate) fn pass<T: Real>(step: &Step<'_, T>, part: Part<'_, T>, pull: Option<(Pull<T>, Look<T>)>) -> bool {
    let Part { image, arrays, moments } = part;
    let Plan { sigma_hat, sigma_to, rescale, noise, .. } = *step.plan;
    let nothing = (Pull::Linear { keep: T::one(), f: T::zero() }, Look { mean: T::zero(), std: T::zero() });
    let kernel = Kernel {
        sigma_hat,
        dt: sigma_to - sigma_hat,
        momentum: step.momentum[image % step.momentum.len()],
        pull: pull.unwrap_or(nothing),
        rescale,
        added: noise.unwrap_or(Added { s_noise: T::zero(), scale: T::zero() }),
    };
    let noise = match arrays.noise {
        [] => SILENT,
        _ if rescale == T::one() && kernel.added.s_noise == T::one() => PLAIN,
        _ => SCALED,
    };
    let (pulls, records) = (pull.is_some(), !arrays.momentum_d.is_empty());
    macro_rules! choose {
        ($history:ident, $($is:pat => $noise:ident;)*) => {
            match (noise, pulls, records) {
                $(
                    ($is, false, false) => choose!($history, $noise, false, false),
                    ($is, false, true) => choose!($history, $noise, false, true),
                    ($is, true, false) => choose!($history, $noise, true, false),
                    ($is, true, true) => choose!($history, $noise, true, true),
                )*
            }
        };
        ($history:ident, $noise:ident, $pulls:literal, $records:literal) => {
            simd::widest(
                #[inline(always)]
                || fused::<T, $history, $noise, $pulls, $records>(&kernel, arrays, moments),
            )
        };
        ($history:ident) => {
            choose!($history, SILENT => SILENT; PLAIN => PLAIN; _ => SCALED;)
        };
    }
    match step.history {
        History::Untouched => choose!(UNTOUCHED),
        History::Begins => choose!(BEGINS),
        History::Blends => choose!(BLENDS),
    }
}

/// The loop; block by block, so that a block's moments are taken while it is in the cache.
#[inline(always)]
fn fused<T: Real, const HISTORY: u8, const NOISE: u8, const PULL: bool, const RECORD: bool>(
    kernel: &Kernel<T>,
    mut arrays: Arrays<'_, T>,
    moments: &mut [Moments],
) -> bool {
    let mut alarm = T::Alarm::default();
    let mut moments = moments.iter_mut();
    while !arrays.out.is_empty() {
        let n = arrays.out.len().min(BLOCK);
        let block = arrays.first(n);
        if !block.x.is_empty() {
            block.out.copy_from_slice(block.x);
        }
        // A loop of a length known to the compiler has no remainder, whose numbers would take up registers.
        let bits = if n == BLOCK {
            numbers::<T, HISTORY, NOISE, PULL, RECORD>(kernel, block, BLOCK, moments.next())
        } else {
            numbers::<T, HISTORY, NOISE, PULL, RECORD>(kernel, block, n, moments.next())
        };
        alarm = alarm | bits;
    }
    T::rings(alarm)
}

/// The loop over a block of `n` numbers.
#[inline(always)]
fn numbers<T: Real, const HISTORY: u8, const NOISE: u8, const PULL: bool, const RECORD: bool>(
    kernel: &Kernel<T>,
    block: Arrays<'_, T>,
    n: usize,
    moments: Option<&mut Moments>,
) -> T::Alarm {
    let Arrays { denoised, noise, reference, history, momentum_d, out, .. } = block;
    // Slices of one length, so that the compiler drops the bounds checks and vectorises the loop.
    let (denoised, out) = (&denoised[..n], &mut out[..n]);
    let noise = if NOISE == SILENT { denoised } else { &noise[..n] };
    let reference = if PULL { &reference[..n] } else { denoised };
    let history = if HISTORY == UNTOUCHED { &mut [] } else { &mut history[..n] };
    let momentum_d = if RECORD { &mut momentum_d[..n] } else { &mut [] };
    let mut alarm = T::Alarm::default();
    for i in 0..n {
        let x = out[i];
        let d = (x - denoised[i]) / kernel.sigma_hat;
        let m = match HISTORY {
            UNTOUCHED => d,
            BEGINS => {
                let m = kernel.momentum.correct(d, T::zero());
                history[i] = m;
                m
            }
            _ => {
                let m = kernel.momentum.correct(d, history[i]);
                history[i] = kernel.momentum.blend(history[i], m);
                m
            }
        };
        if RECORD {
            momentum_d[i] = m;
        }
        let mut y = x + m * kernel.dt;
        if PULL {
            let (pull, look) = kernel.pull;
            y = pull.apply(y, look.shift(reference[i]));
        }
        y = match NOISE {
            SILENT => y,
            PLAIN => y + noise[i] * kernel.added.scale,
            _ => y * kernel.rescale + noise[i] * kernel.added.s_noise * kernel.added.scale,
        };
        alarm = alarm | y.alarm();
        out[i] = y;
    }
    if let Some(moments) = moments {
        *moments = Moments::of_block(out);
    }
    alarm
}

/// `out = x + noise * s_noise * scale`; whether a number is not finite.
pub(crate) fn churn<T: Real>(added: Added<T>, arrays: Arrays<'_, T>) -> bool {
    let Arrays { x, noise, out, .. } = arrays;
    if !x.is_empty() {
        out.copy_from_slice(x);
    }
    simd::widest(
        #[inline(always)]
        || {
            let mut alarm = T::Alarm::default();
            for (out, &noise) in out.iter_mut().zip(noise) {
                *out = *out + noise * added.s_noise * added.scale;
                alarm = alarm | out.alarm();
            }
            T::rings(alarm)
        },
    )
}

/// The second pass of linear guidance, over the latent that the first one left in `out`.
pub(crate) fn pull_pass<T: Real>(
    plan: &Plan<T>,
    arrays: Arrays<'_, T>,
    pull: Pull<T>,
    look: Look<T>,
) -> bool {
    simd::widest(
        #[inline(always)]
        || pulled(plan, arrays, pull, look),
    )
}

#[inline(always)]
fn pulled<T: Real>(plan: &Plan<T>, arrays: Arrays<'_, T>, pull: Pull<T>, look: Look<T>) -> bool {
    let Arrays { noise, reference, out, .. } = arrays;
    let mut alarm = T::Alarm::default();
    let mut put = |out: &mut T, y: T| {
        alarm = alarm | y.alarm();
        *out = y;
    };
    match plan.noise {
        Some(Added { s_noise, scale }) => {
            for ((out, &r), &noise) in out.iter_mut().zip(reference).zip(noise) {
                let y = pull.apply(*out, look.shift(r));
                put(out, y * plan.rescale + noise * s_noise * scale);
            }
        }
        None => {
            for (out, &r) in out.iter_mut().zip(reference) {
                let y = pull.apply(*out, look.shift(r));
                put(out, y);
            }
        }
    }
    T::rings(alarm)
}
