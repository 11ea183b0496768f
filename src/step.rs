//! One step as one pass over memory, and another where something must be measured first, in one thread or many with
//! the same bits.

use crate::arrays::{Arrays, take_mut};
use crate::direction::{Directed, Lead};
use crate::formula::Form;
use crate::kernel::{self, Advance, Pass};
use crate::measure::Measured;
use crate::moments::{BLOCK, Moments};
use crate::pull::{Look, Pull};
use crate::real::Real;
use crate::solver::Added;
use crate::threads;

/// Numbers that one task works on: a multiple of [`BLOCK`], small enough for the second-level cache.
const CHUNK: usize = 8 * BLOCK;

/// The coefficients of one move.
#[derive(Debug, Clone)]
pub struct Step<T> {
    /// Along what, and how far; none if the latent only takes on noise.
    pub advance: Option<Moving<T>>,
    /// The pull towards the reference, if there is one at this step.
    pub pull: Option<Pull<T>>,
    /// Factor on the latent before noise is added.
    pub rescale: T,
    /// The noise.
    pub noise: Option<Added<T>>,
    /// Whether the answer becomes the older one.
    pub keeps_answer: bool,
}

/// A move along a direction.
#[derive(Debug, Clone)]
pub struct Moving<T> {
    /// The solver's formula.
    pub form: Form<T>,
    /// Where the derivative is taken.
    pub sigma_hat: T,
    /// Where the step goes.
    pub sigma_to: T,
    /// The momentum, of all images.
    pub direction: Directed<T>,
}

/// Computes the step. Returns the images of the batch whose new latent is not finite.
pub fn step<T: Real>(step: &Step<T>, arrays: Arrays<'_, T>, batch: usize, threads: usize) -> Vec<usize> {
    // Whole images one by one, so that what was measured is still in the cache when it is stepped. Without measuring it
    // takes a tenth less time too, if there are enough images for a thread that wakes late to leave one to the others.
    let shared_out = batch.is_multiple_of(threads) && (step.measures() || batch >= 2 * threads);
    if threads == 1 || shared_out {
        return threads::map(images(arrays, batch), threads, |part| {
            let image = part.image;
            step.whole(part).then_some(image)
        });
    }
    step.in_parts(arrays, batch, threads)
}

impl<T: Real> Step<T> {
    fn measures(&self) -> bool {
        self.measures_answer() || self.measures_latent()
    }

    fn measures_answer(&self) -> bool {
        self.guarded().is_some() || matches!(self.pull, Some(Pull::Euler { .. }))
    }

    fn measures_latent(&self) -> bool {
        matches!(self.pull, Some(Pull::Linear { .. }))
    }

    fn guarded(&self) -> Option<&Lead> {
        self.advance.as_ref().and_then(|moving| moving.direction.guarded())
    }

    /// Measures the answer, one entry a block.
    fn measure(&self, mut arrays: Arrays<'_, T>, blocks: &mut [Measured]) {
        for measured in blocks {
            let block = arrays.first(arrays.out.len().min(BLOCK));
            *measured = match self.guarded() {
                Some(lead) => lead.measure(block.latent(), block.denoised, block.history),
                None => Measured::of(Moments::of_block(block.denoised)),
            };
        }
    }

    /// What is done to an image in one pass, or in the first of two where its latent is measured in between.
    fn pass(&self, image: usize, measured: Option<&Measured>) -> Pass<T> {
        let advance = self.advance.as_ref().map(|moving| Advance {
            form: moving.form,
            sigma_hat: moving.sigma_hat,
            dt: moving.sigma_to - moving.sigma_hat,
            direction: moving.direction.of_image(image, measured),
        });
        if self.measures_latent() {
            return Pass {
                advance,
                pull: None,
                rescale: T::one(),
                noise: None,
                keeps_answer: self.keeps_answer,
            };
        }
        let pull = self.pull.zip(measured.map(|measured| Look::of(measured.values)));
        Pass { advance, pull, rescale: self.rescale, noise: self.noise, keeps_answer: self.keeps_answer }
    }

    /// The second pass, over a latent that was measured.
    fn pull_pass(&self, measured: &Measured) -> Pass<T> {
        let pull = self.pull.map(|pull| (pull, Look::of(measured.values)));
        Pass { advance: None, pull, rescale: self.rescale, noise: self.noise, keeps_answer: false }
    }

    /// All that is done to one image.
    fn whole(&self, part: Part<'_, T>) -> bool {
        let Part { image, mut arrays } = part;
        let count = if self.measures() { arrays.out.len().div_ceil(BLOCK) } else { 0 };
        let mut blocks = vec![Measured::default(); count];
        let merged = |blocks: &[Measured]| blocks.iter().copied().fold(Measured::default(), Measured::merge);
        let measured = self.measures_answer().then(|| {
            self.measure(arrays.again(), &mut blocks);
            merged(&blocks)
        });
        let pass = self.pass(image, measured.as_ref());
        if !self.measures_latent() {
            return kernel::pass(&pass, arrays, &mut []);
        }
        let (noise, reference) = (arrays.noise, arrays.reference);
        kernel::pass(&pass, Arrays { noise: &[], reference: &[], ..arrays.again() }, &mut blocks);
        let pull = self.pull_pass(&merged(&blocks));
        kernel::pass(&pull, Arrays { noise, reference, out: arrays.out, ..Arrays::none() }, &mut [])
    }

    /// The same, image by image in parts for all threads.
    fn in_parts(&self, mut arrays: Arrays<'_, T>, batch: usize, threads: usize) -> Vec<usize> {
        let size = arrays.out.len() / batch;
        let count = size.div_ceil(BLOCK);
        let mut blocks = vec![Measured::default(); if self.measures() { count * batch } else { 0 }];
        let merged = |blocks: &[Measured]| -> Vec<Measured> {
            let image =
                |blocks: &[Measured]| blocks.iter().copied().fold(Measured::default(), Measured::merge);
            blocks.chunks(count).map(image).collect()
        };
        let mut answers = None;
        if self.measures_answer() {
            run(arrays.again(), &mut blocks, batch, threads, |part, blocks| {
                self.measure(part.arrays, blocks);
                false
            });
            answers = Some(merged(&blocks));
        }
        let pass = |image: usize| self.pass(image, answers.as_ref().map(|answers| &answers[image]));
        if !self.measures_latent() {
            return run(arrays, &mut [], batch, threads, |part, _| {
                kernel::pass(&pass(part.image), part.arrays, &mut [])
            });
        }
        let (noise, reference) = (arrays.noise, arrays.reference);
        let first = Arrays { noise: &[], reference: &[], ..arrays.again() };
        run(first, &mut blocks, batch, threads, |part, blocks| {
            kernel::pass(&pass(part.image), part.arrays, blocks);
            false
        });
        let latents = merged(&blocks);
        let second = Arrays { noise, reference, out: arrays.out, ..Arrays::none() };
        run(second, &mut [], batch, threads, |part, _| {
            kernel::pass(&self.pull_pass(&latents[part.image]), part.arrays, &mut [])
        })
    }
}

/// A part of one image.
struct Part<'a, T> {
    image: usize,
    arrays: Arrays<'a, T>,
}

/// Runs `work` on every part of every image, with the blocks of what is measured there. Returns the images for which it
/// answered true.
fn run<T: Real>(
    arrays: Arrays<'_, T>,
    blocks: &mut [Measured],
    batch: usize,
    threads: usize,
    work: impl Fn(Part<'_, T>, &mut [Measured]) -> bool + Sync,
) -> Vec<usize> {
    let size = arrays.out.len() / batch;
    let mut blocks = blocks;
    let mut parts = Vec::with_capacity(batch * size.div_ceil(CHUNK));
    for Part { image, mut arrays } in images(arrays, batch) {
        while !arrays.out.is_empty() {
            let n = arrays.out.len().min(CHUNK);
            parts.push((Part { image, arrays: arrays.first(n) }, take_mut(&mut blocks, n.div_ceil(BLOCK))));
        }
    }
    let judged = |(part, blocks): (Part<'_, T>, &mut [Measured])| {
        let image = part.image;
        work(part, blocks).then_some(image)
    };
    let mut bad: Vec<usize> = threads::map(parts.into_iter(), threads, judged);
    bad.dedup();
    bad
}

fn images<T>(mut arrays: Arrays<'_, T>, batch: usize) -> impl Iterator<Item = Part<'_, T>> {
    let size = arrays.out.len() / batch;
    let reference = arrays.reference;
    let one_for_all = reference.len() == size;
    (0..batch).map(move |image| {
        if one_for_all {
            arrays.reference = reference;
        }
        Part { image, arrays: arrays.first(size) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::direction::{Classic, Sign};
    use crate::formula::Euler;
    use crate::pull::RefMethod;

    const SIZE: usize = CHUNK + BLOCK + 13;

    fn waves(k: usize) -> Vec<f32> {
        (0..2 * SIZE).map(|i| ((i * (k + 3)) as f32 * 0.37).sin() * 9.0).collect()
    }

    fn moving(sigma_hat: f32, sigma_to: f32, direction: Directed<f32>) -> Moving<f32> {
        let form = Form::Euler(Euler { sigma_hat, dt: sigma_to - sigma_hat });
        Moving { form, sigma_hat, sigma_to, direction }
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    /// The formulas, one number after another, compiled for what every processor has.
    #[test]
    fn wide_vectors_threads_and_steps_in_place_give_the_bits_of_the_plain_formulas() {
        let (x, denoised, noise, history) = (waves(0), waves(1), waves(2), waves(3));
        let factors = vec![Classic::new(0.95, 0.75, Sign::Pos), Classic::new(0.8, 0.6, Sign::Neg)];
        for (rescale, s_noise) in [(0.9, 1.1), (1.0, 1.0), (1.0, 1.1), (0.9, 1.0)] {
            let step = Step {
                advance: Some(moving(3.3, 2.1, Directed::Classic(factors.clone()))),
                pull: None,
                rescale,
                noise: Some(Added { factors: [s_noise, 0.7, 1.0] }),
                keeps_answer: true,
            };
            let dt = 2.1_f32 - 3.3;
            let (mut ys, mut hs, mut ms) = (Vec::new(), Vec::new(), Vec::new());
            for i in 0..2 * SIZE {
                let classic: Classic<f32> = factors[i / SIZE];
                let d = (x[i] - denoised[i]) / 3.3;
                let m = classic.on_d * d + classic.on_h * history[i];
                ms.push(m);
                hs.push(classic.keep * history[i] + classic.add * m);
                ys.push((x[i] + m * dt) * rescale + noise[i] * s_noise * 0.7);
            }
            for (threads, in_place) in [(1, false), (2, false), (5, false), (1, true), (2, true)] {
                let (mut h, mut m, mut older) = (history.clone(), vec![0.0; 2 * SIZE], waves(4));
                let mut y = if in_place { x.clone() } else { vec![0.0; 2 * SIZE] };
                let arrays = Arrays {
                    x: if in_place { &[] } else { &x },
                    denoised: &denoised,
                    older: &mut older,
                    noise: &noise,
                    reference: &[],
                    history: &mut h,
                    momentum_d: &mut m,
                    out: &mut y,
                };
                assert_eq!(super::step(&step, arrays, 2, threads), Vec::<usize>::new());
                for (found, expected) in [(&y, &ys), (&h, &hs), (&m, &ms), (&older, &denoised)] {
                    assert_eq!(bits(found), bits(expected), "{threads} threads, in place: {in_place}");
                }
            }
        }
    }

    #[test]
    fn what_is_measured_is_the_same_for_whole_images_and_for_parts() {
        let (denoised, noise, reference) = (waves(1), waves(2), waves(3));
        for method in RefMethod::ALL {
            let step = Step {
                advance: Some(moving(3.3, 2.1, Directed::Plain)),
                pull: Pull::new(*method, 0.3, 3.3, 2.5),
                rescale: 1.0,
                noise: Some(Added { factors: [1.0, 0.7, 1.0] }),
                keeps_answer: false,
            };
            let run = |threads| {
                let mut out = waves(0);
                let arrays = Arrays {
                    denoised: &denoised,
                    noise: &noise,
                    reference: &reference,
                    out: &mut out,
                    ..Arrays::none()
                };
                assert_eq!(super::step(&step, arrays, 2, threads), Vec::<usize>::new());
                bits(&out)
            };
            // Two threads take an image each, three take parts.
            assert_eq!(run(1), run(2));
            assert_eq!(run(1), run(3));
        }
    }

    #[test]
    fn images_that_are_not_finite_are_named_once_and_in_order() {
        let mut noise = vec![0.0; 4 * SIZE];
        for at in [3, SIZE - 1, 3 * SIZE, 4 * SIZE - 1] {
            noise[at] = f32::NAN;
        }
        let added = Some(Added { factors: [1.0, 1.0, 1.0] });
        let step = Step { advance: None, pull: None, rescale: 1.0, noise: added, keeps_answer: false };
        for threads in [1, 2, 5] {
            let mut out = vec![1.0; 4 * SIZE];
            let arrays = Arrays { noise: &noise, out: &mut out, ..Arrays::none() };
            assert_eq!(super::step(&step, arrays, 4, threads), [0, 3], "{threads} threads");
        }
    }
}
