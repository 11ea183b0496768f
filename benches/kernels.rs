//! The step's kernels without Python: `cargo bench`.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::ArrayD;
use sonar_sampler::direction::MomentumMode;
use sonar_sampler::noise::{Purpose, fill_normal};
use sonar_sampler::pull::RefMethod;
use sonar_sampler::run::{Manner, Start};
use sonar_sampler::schedule::Elementary;
use sonar_sampler::storage::Own;
use sonar_sampler::{Config, threads};

type Run = sonar_sampler::Run<f32, Vec<f32>>;

/// Latents of SD 1.5, SDXL, a batch of SDXL, and a short video.
const SHAPES: [&[usize]; 4] = [&[1, 4, 64, 64], &[1, 4, 128, 128], &[8, 4, 128, 128], &[1, 16, 21, 90, 160]];

/// Steps of a run; a new run begins when they are used up.
const STEPS: u8 = 100;

/// What a step does beside moving.
#[derive(Clone, Copy)]
enum Extra {
    Nothing,
    Pull(RefMethod),
    Lead,
}

/// What a step reads.
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

    fn run(&self, extra: Extra, threads: usize) -> Run {
        let mut config = Config::default();
        let mut reference = None;
        match extra {
            Extra::Nothing => {}
            Extra::Pull(method) => {
                config.reference.ref_method = method;
                reference = Some(self.reference.view());
            }
            Extra::Lead => config.momentum.momentum_mode = MomentumMode::Lead,
        }
        let sigmas: Vec<f64> = (0..=STEPS).rev().map(|i| 0.1 * f64::from(i)).collect();
        let start = Start {
            shape: &self.shape,
            x: self.x.clone(),
            history: Some(self.history.clone()),
            reference,
            mask: None,
        };
        let manner = Manner { threads, ..Manner::default() };
        Run::new(&Own, config, &sigmas, start, manner, Elementary::own()).expect("the run is well formed")
    }

    /// One step in place. The arrays of model and noise are lent and taken back, as a host does.
    fn step(&mut self, run: &mut Run) {
        for lent in [&mut self.denoised, &mut self.noise] {
            run.request().expect("the run goes on");
            run.feed(&Own, lent.clone()).expect("the numbers are finite");
        }
    }
}

fn steps(criterion: &mut Criterion) {
    let cases = [
        ("step", Extra::Nothing),
        ("linear", Extra::Pull(RefMethod::Linear)),
        ("euler", Extra::Pull(RefMethod::Euler)),
        ("denoised", Extra::Pull(RefMethod::Denoised)),
        ("lead", Extra::Lead),
    ];
    for shape in SHAPES {
        let mut latents = Latents::new(shape);
        let mut group = criterion.benchmark_group(format!("{shape:?}"));
        group.throughput(Throughput::Bytes(6 * size_of_val(&latents.x[..]) as u64));
        for threads in 1..=threads::default() {
            for (name, extra) in cases {
                let mut run = latents.run(extra, threads);
                group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                    bencher.iter(|| {
                        // The last step, to sigma 0, takes no noise.
                        if run.step() + 1 == usize::from(STEPS) {
                            run = latents.run(extra, threads);
                        }
                        latents.step(&mut run);
                        black_box(run.next())
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
