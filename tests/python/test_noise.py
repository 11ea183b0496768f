"""The seeded generator: pinned, so that an image can be made again by any later version."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracle_noise
from runs import Draws, denoise, latent, reply, same_bits
from sonar_sampler import SonarConfig, Stepper, initial_noise, sample

SEEDS = [0, 1, 42, 2**63, 2**64 - 1]


def test_the_initial_noise_is_pinned():
    pinned = [
        [-1.3702235, -0.8534737, 1.540123, 0.16218382],
        [0.3391295, -1.2142559, -1.2192457, -0.21742779],
    ]
    same_bits(initial_noise((2, 4), [0, 2**64 - 1]), np.array(pinned, np.float32))


def test_the_noise_of_the_history_and_of_a_step_is_pinned():
    zeros = np.zeros((1, 6))
    config = SonarConfig(sampler="naive", momentum_hist_init="rand_new", seed=42)
    history = Stepper(config, [1.0, 0.5], zeros).history
    # Logarithms of another C library may differ in the last bit.
    pinned = [0.20828248205838165, -0.39045001612666985, -0.9639019051109601]
    pinned += [0.1205981684676601, 0.6102898826665518, 0.9197171109369497]
    np.testing.assert_allclose(history, [pinned], rtol=1e-14)
    drawn = step_noise(zeros, 42)
    pinned = [1.316150492710767, 1.1299799580959926, -0.3064204487380983]
    pinned += [-0.9884758241960176, 0.36727436312324163, 1.099907218662296]
    np.testing.assert_allclose(drawn, [pinned], rtol=1e-9)


def step_noise(x, seed, step=0):
    """The noise of a step: a step of euler_a from nothing, all of whose variance is noise."""
    stepper = Stepper(SonarConfig(sampler="euler_a", momentum=1.0, seed=seed), [1e6] * (step + 1) + [1.0], x)
    for k in range(step + 1):
        reply(stepper, np.zeros_like(x))
        stepper.draw() if k == step else reply(stepper, np.zeros_like(x))
    return stepper.x


@pytest.mark.parametrize("seed", SEEDS)
def test_the_generator_is_chacha8_with_a_ziggurat(seed):
    shape = (1, 4, 40, 40)
    same_bits(
        initial_noise(shape, [seed]),
        oracle_noise.normal(shape, [seed], 0, oracle_noise.INITIAL).astype(np.float32),
    )
    x = np.zeros((1, 30))
    for step in (0, 1, 5):
        twin = oracle_noise.normal(x.shape, [seed], step, oracle_noise.STEP)
        np.testing.assert_allclose(step_noise(x, seed, step), twin, rtol=1e-9)


def test_chacha8_of_the_twin_is_the_ciphers():
    """The first words of the key stream for an all-zero key, from the eSTREAM test vectors of ChaCha8."""
    stream = oracle_noise.words(0, 0, 0)
    drawn = b"".join(next(stream).to_bytes(4, "little") for _ in range(8))
    assert drawn.hex() == "3e00ef2f895f40d67f5bb8e81f09a5a12c840ec3ce9a7f3b181be188ef711a1e"


def test_the_signs_are_pinned():
    assert [oracle_noise.sign(7, step) for step in range(12)] == signs(7, 12)
    assert "".join(sign[0] for sign in signs(7, 12)) == PINNED_SIGNS


PINNED_SIGNS = "nnnppnpnppnn"


def signs(seed, steps):
    """The signs that a run tosses: which of the two formulas gives its corrected derivative."""
    config = SonarConfig(sampler="euler", momentum=0.5, momentum_sign="rand", seed=seed)
    stepper = Stepper(config, np.linspace(20, 1, steps + 1), latent(0, (1, 2, 3, 3), np.float64))
    found = []
    for step in range(steps):
        x, sigma, h = stepper.x, stepper.request().sigma, stepper.history
        d = (x - latent(step + 1, x.shape, np.float64)) / sigma
        h = np.zeros_like(d) if h is None else h
        reply(stepper, latent(step + 1, x.shape, np.float64))
        pos, neg = 0.5 * d + 0.5 * h, 1.5 * d - 0.5 * h
        found.append("pos" if np.array_equal(stepper.momentum_d, pos) else "neg")
        same_bits(stepper.momentum_d, pos if found[-1] == "pos" else neg)
    return found


def test_the_coin_is_fair_and_differs_between_steps_and_images():
    tossed = [oracle_noise.sign(seed, step) for seed in range(40) for step in range(25)]
    assert 0.45 < tossed.count("pos") / len(tossed) < 0.55
    assert len({tuple(signs(seed, 8)) for seed in range(12)}) > 8


def test_the_noise_is_standard_normal_and_independent():
    noise = initial_noise((8, 4, 64, 64), range(8)).astype(np.float64)
    flat = noise.reshape(8, -1)
    assert np.abs(flat.mean(1)).max() < 0.03
    assert np.abs(flat.std(1) - 1).max() < 0.03
    assert np.abs(np.corrcoef(flat) - np.eye(8)).max() < 0.04
    for quantile, expected in ((0.9986501, 3.0), (0.8413447, 1.0), (0.5, 0.0), (0.0227501, -2.0)):
        np.testing.assert_allclose(np.quantile(flat, quantile), expected, atol=0.08)


def test_purposes_and_steps_have_streams_of_their_own():
    x = np.zeros((1, 50))
    streams = [oracle_noise.normal(x.shape, [3], step, purpose) for step in (0, 1) for purpose in (1, 2, 4)]
    assert len({stream.tobytes() for stream in streams}) == 6
    assert not np.array_equal(step_noise(x, 3, 0), step_noise(x, 3, 1))


@given(batch=st.integers(1, 4), seed=st.integers(0, 2**63))
def test_one_int_is_the_first_of_consecutive_seeds(batch, seed):
    shape = (batch, 3)
    same_bits(initial_noise(shape, seed), initial_noise(shape, [seed + k for k in range(batch)]))


@pytest.mark.parametrize("init", ["rand_new", "zero"])
def test_the_hosts_noise_never_feeds_the_history_or_the_signs(init):
    x = latent()
    config = SonarConfig(momentum_hist_init=init, momentum_sign="rand", eta=0.0)
    runs = [sample(denoise, x, [9.0, 4.0, 1.0], config, noise=Draws(seed, x.shape)) for seed in (1, 2)]
    same_bits(*runs)
