//! Seeded noise: one independent stream per image, step and purpose.
//!
//! The generator is `ChaCha8`, whose output is fixed by its specification. Its 32-byte key is the image's seed, the
//! step and the purpose, so that no draw depends on the rest of the batch, on the order of draws or on threads.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::real::Real;

/// What a draw is for; a part of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Noise that a sampler adds in a step.
    Step = 1,
    /// The initial history of `rand_new`.
    History = 2,
    /// The random sign of the momentum.
    Sign = 3,
    /// The latent that a run starts from.
    Initial = 4,
    /// Noise that a sampler adds a second time in a step.
    StepAgain = 5,
}

fn stream(seed: u64, step: usize, purpose: Purpose) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(step as u64).to_le_bytes());
    key[16] = purpose as u8;
    ChaCha8Rng::from_seed(key)
}

/// Fills `image` with standard normal numbers (ziggurat, drawn in double precision and rounded).
pub fn fill_normal<T: Real>(image: &mut [T], seed: u64, step: usize, purpose: Purpose) {
    let mut rng = stream(seed, step, purpose);
    for value in image {
        *value = T::of(StandardNormal.sample(&mut rng));
    }
}

/// Fills a batch, image by image.
pub fn fill_batch<T: Real>(batch: &mut [T], seeds: &[u64], step: usize, purpose: Purpose) {
    let size = batch.len() / seeds.len();
    for (image, &seed) in batch.chunks_mut(size).zip(seeds) {
        fill_normal(image, seed, step, purpose);
    }
}

/// A fair coin of an image at a step.
#[must_use]
pub fn coin(seed: u64, step: usize) -> bool {
    stream(seed, step, Purpose::Sign).next_u32() & 1 == 0
}
