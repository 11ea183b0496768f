//! The step's kernels without Python: `cargo bench`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::ArrayD;
use sonar_sampler::config::Config;
use sonar_sampler::guidance::RefMethod;
use sonar_sampler::noise::{Purpose, fill_normal};
use sonar_sampler::update::Arrays;
use sonar_sampler::{Stepper, threads};

/// Latents of SD 1.5, SDXL, a batch of SDXL, and a short video.
const SHAPES: [&[usize]; 4] = [&[1, 4, 64, 64], &[1, 4, 128, 128], &[8, 4, 128, 128], &[1, 16, 21, 90, 160]];

/// Steps of a run; a new run begins when they are used up.
const STEPS: u8 = 100;

/// What a step reads and writes.
struct Latents {
    shape: Vec<usize>,
    x: Vec<f32>,
    denoised: Vec<f32>,
    noise: Vec<f32>,
    history: Vec<f32>,
    reference: ArrayD<f32>,
}

impl Latents {
    fn new(shape: &[usize]) -> Self {
        let size = shape.iter().product();
        let normal = |seed| {
            let mut values = vec![0.0; size];
            fill_normal(&mut values, seed, 0, Purpose::Initial);
            values
        };
        Self {
            shape: shape.to_vec(),
            x: normal(1),
            denoised: normal(2),
            noise: normal(3),
            history: normal(4),
            reference: ArrayD::from_shape_vec(shape, normal(5)).expect("one number for each place"),
        }
    }

    fn run(&self, guidance: Option<RefMethod>, threads: usize) -> Stepper<f32> {
        let mut config = Config::default();
        config.ref_method = guidance.unwrap_or(config.ref_method);
        let sigmas: Vec<f64> = (0..=STEPS).rev().map(|i| 0.1 * f64::from(i)).collect();
        let reference = guidance.map(|_| self.reference.view());
        Stepper::new(config, &sigmas, &self.shape, &self.x, reference, true, &f32::sqrt)
            .expect("the run is well formed")
            .with_threads(threads)
    }

    /// One step in place, with the model's and the noise's arrays as they lie.
    fn step(&mut self, run: &mut Stepper<f32>) {
        run.await_noise().expect("the model's answer is asked for");
        let arrays = Arrays {
            x: &[],
            denoised: &self.denoised,
            noise: &self.noise,
            reference: &[],
            history: &mut self.history,
            momentum_d: &mut [],
            out: &mut self.x,
        };
        run.advance(arrays).expect("the numbers are finite");
    }
}

fn steps(criterion: &mut Criterion) {
    let cases = [("step", None), ("linear", Some(RefMethod::Linear)), ("euler", Some(RefMethod::Euler))];
    for shape in SHAPES {
        let mut latents = Latents::new(shape);
        let mut group = criterion.benchmark_group(format!("{shape:?}"));
        group.throughput(Throughput::Bytes(6 * size_of_val(&latents.x[..]) as u64));
        for threads in 1..=threads::default() {
            for (name, guidance) in cases {
                let mut run = latents.run(guidance, threads);
                group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                    bencher.iter(|| {
                        // The last step, to sigma 0, takes no noise.
                        if run.step() + 1 == usize::from(STEPS) {
                            run = latents.run(guidance, threads);
                        }
                        latents.step(&mut run);
                        black_box(run.request())
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
