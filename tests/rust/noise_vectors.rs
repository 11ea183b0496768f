//! The seeded generator is value-stable: these numbers never change, so that an image can be made again.

use sonar_sampler::noise::{Purpose, coin, fill_batch, fill_normal};

fn normal<T: sonar_sampler::real::Real>(count: usize, seed: u64, step: usize, purpose: Purpose) -> Vec<T> {
    let mut values = vec![T::zero(); count];
    fill_normal(&mut values, seed, step, purpose);
    values
}

#[test]
fn initial_noise() {
    assert_eq!(
        normal::<f32>(4, 0, 0, Purpose::Initial),
        [-1.370_223_5, -0.853_473_7, 1.540_123, 0.162_183_82]
    );
    assert_eq!(
        normal::<f32>(4, u64::MAX, 0, Purpose::Initial),
        [0.339_129_5, -1.214_255_9, -1.219_245_7, -0.217_427_79]
    );
}

#[test]
fn the_history_of_rand_new() {
    let pinned = [0.208_282_482_058_381_65, -0.390_450_016_126_669_85, -0.963_901_905_110_960_1];
    assert_eq!(normal::<f64>(3, 42, 0, Purpose::History), pinned);
}

#[test]
fn random_signs() {
    let signs: String = (0..12).map(|step| if coin(7, step) { 'p' } else { 'n' }).collect();
    assert_eq!(signs, "nnnppnpnppnn");
}

#[test]
fn float32_is_float64_rounded() {
    let wide = normal::<f64>(1000, 5, 3, Purpose::Step);
    #[expect(clippy::cast_possible_truncation, reason = "rounding is the point")]
    let rounded: Vec<f32> = wide.iter().map(|&value| value as f32).collect();
    assert_eq!(normal::<f32>(1000, 5, 3, Purpose::Step), rounded);
}

#[test]
fn a_stream_does_not_depend_on_how_much_of_it_is_drawn() {
    assert_eq!(normal::<f64>(7, 5, 3, Purpose::Step), normal::<f64>(1000, 5, 3, Purpose::Step)[..7]);
}

#[test]
fn seed_step_and_purpose_make_streams_of_their_own() {
    let mut streams = Vec::new();
    for seed in [0, 1, 1 << 40] {
        for step in [0, 1, 300] {
            for purpose in [Purpose::Step, Purpose::History, Purpose::Initial] {
                streams.push(normal::<f64>(4, seed, step, purpose).map_bits());
            }
        }
    }
    let count = streams.len();
    streams.sort_unstable();
    streams.dedup();
    assert_eq!(streams.len(), count);
}

trait MapBits {
    fn map_bits(self) -> Vec<u64>;
}

impl MapBits for Vec<f64> {
    fn map_bits(self) -> Vec<u64> {
        self.into_iter().map(f64::to_bits).collect()
    }
}

#[test]
fn a_batch_is_its_images() {
    let mut batch = vec![0.0_f64; 3 * 50];
    fill_batch(&mut batch, &[4, 9, 2], 6, Purpose::Step);
    for (image, seed) in batch.chunks(50).zip([4, 9, 2]) {
        assert_eq!(image, normal::<f64>(50, seed, 6, Purpose::Step));
    }
}
