//! The two floating point types of a latent.

use std::ops::BitOr;

use num_traits::Float;

use crate::simd;

/// `f32` or `f64`. Every operation rounds once; nothing is fused.
pub trait Real: Float + Send + Sync + std::fmt::Debug + 'static {
    /// Name of the type as numpy says it.
    const NAME: &'static str;

    /// Bits in which a number that is not finite leaves a mark that survives a bitwise or; none if all are finite.
    type Alarm: Copy + Default + BitOr<Output = Self::Alarm>;

    /// Rounds a configuration number to this type.
    fn of(value: f64) -> Self;

    /// This number as `f64`, exactly.
    fn wide(self) -> f64;

    /// The alarm of one number: the difference to itself, which is 0 or NaN. A loop over it vectorises, and no
    /// constants take up registers that the loop needs.
    fn alarm(self) -> Self::Alarm;

    /// Whether any of the numbers whose alarms were joined is infinite or NaN.
    fn rings(alarm: Self::Alarm) -> bool;
}

impl Real for f32 {
    const NAME: &'static str = "float32";
    type Alarm = u32;

    #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
    fn of(value: f64) -> Self {
        value as Self
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    #[expect(clippy::eq_op, reason = "0 for a finite number, NaN for another")]
    fn alarm(self) -> u32 {
        (self - self).to_bits()
    }

    fn rings(alarm: u32) -> bool {
        alarm != 0
    }
}

impl Real for f64 {
    const NAME: &'static str = "float64";
    type Alarm = u64;

    fn of(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }

    #[inline]
    #[expect(clippy::eq_op, reason = "0 for a finite number, NaN for another")]
    fn alarm(self) -> u64 {
        (self - self).to_bits()
    }

    fn rings(alarm: u64) -> bool {
        alarm != 0
    }
}

/// Whether every number of `values` is finite.
pub fn all_finite<T: Real>(values: &[T]) -> bool {
    simd::widest(
        #[inline(always)]
        || !T::rings(values.iter().fold(T::Alarm::default(), |alarm, value| alarm | value.alarm())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_rings_for_every_number_that_is_not_finite_and_for_no_other() {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(!all_finite(&[1.0, bad, f32::MAX]), "{bad}");
            assert!(!all_finite(&[1.0, f64::from(bad), f64::MAX]), "{bad}");
        }
        assert!(all_finite(&[0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1)]));
        assert!(all_finite(&[0.0, -0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::from_bits(1)]));
    }
}
