//! The widest vectors that the processor has, found at run time.
//!
//! The same source is compiled twice; each operation still rounds once and none are fused, so the bits are the same.

/// Runs `work`, compiled for AVX2 where the processor has it. Only what is inlined into `work` profits.
#[inline]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    if let Some(avx2) = fearless_simd::Level::new().as_avx2() {
        return fearless_simd::Simd::vectorize(avx2, work);
    }
    work()
}
