//! The widest vectors that the processor has, found at run time.
//!
//! The same source is compiled for each; every operation still rounds once and none are fused, so the bits are the same.

/// Runs `work`, compiled for AVX-512 or AVX2 where the processor has it. Only what is inlined into `work` profits.
#[inline]
pub(crate) fn widest<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        use fearless_simd::{Level, Simd};

        let level = Level::new();
        if let Some(avx512) = level.as_avx512() {
            return avx512.vectorize(work);
        }
        if let Some(avx2) = level.as_avx2() {
            return avx2.vectorize(work);
        }
    }
    work()
}
