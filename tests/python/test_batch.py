"""An image does not depend on its neighbours in the batch, nor on threads."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from runs import SAMPLERS, cases, denoise, karras, latent, same_bits
from sonar_sampler import ConfigError, NumericError, SonarConfig, initial_noise, sample

LARGE = (2, 4, 256, 256)  # past the number of elements from which threads are used


def alone(image, case):
    x, sigmas, config, reference, history = case
    seeds = [config.seed + k for k in range(len(x))] if isinstance(config.seed, int) else config.seed
    if reference is not None and len(reference) > 1:
        reference = reference[image : image + 1]
    if history is not None:
        history = history[image : image + 1]
    config = replace(config, seed=seeds[image])
    return sample(denoise, x[image : image + 1], sigmas, config, reference=reference, history=history)


@given(case=cases(dtypes=(np.float32, np.float64, np.float16)))
def test_a_batch_is_its_images_made_alone_bit_for_bit(case):
    x, sigmas, config, reference, history = case
    try:
        together = sample(denoise, x, sigmas, config, reference=reference, history=history)
    except NumericError:
        return
    for image in range(len(x)):
        same_bits(together[image : image + 1], alone(image, case))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("sign", ["pos", "neg", "rand"])
@pytest.mark.parametrize("init", ["zero", "rand_init", "rand_new"])
def test_with_every_option_on_a_batch_is_its_images_made_alone(sampler, sign, init):
    config = SonarConfig(
        sampler=sampler, momentum_sign=sign, momentum_hist_init=init, s_churn=2.0, ref_factor=0.1, seed=40
    )
    x, reference = latent(1, (3, 4, 16, 16)), latent(2, (3, 4, 16, 16))
    case = (x, karras(6), config, reference, None)
    together = sample(denoise, x, karras(6), config, reference=reference)
    for image in range(3):
        same_bits(together[image : image + 1], alone(image, case))


def test_image_k_of_a_batch_has_the_seed_plus_k():
    x, config = np.repeat(latent(1, (1, 4, 8, 8)), 3, 0), SonarConfig(seed=5)
    first = sample(denoise, x, karras(4), config)
    same_bits(first, sample(denoise, x, karras(4), replace(config, seed=(5, 6, 7))))
    same_bits(first[::-1].copy(), sample(denoise, x, karras(4), replace(config, seed=[7, 6, 5])))
    assert len({image.tobytes() for image in first}) == 3


def test_the_order_of_a_batch_does_not_matter():
    x, seeds = latent(1, (3, 4, 8, 8)), np.array([9, 2, 5])
    config = SonarConfig(momentum_sign="rand", momentum_hist_init="rand_new")
    out = sample(denoise, x, karras(6), replace(config, seed=seeds))
    turned = sample(denoise, x[[2, 0, 1]], karras(6), replace(config, seed=seeds[[2, 0, 1]]))
    same_bits(turned, out[[2, 0, 1]])


def test_another_seed_is_another_image():
    x = latent(1)
    for options in (
        {"sampler": "euler_a"},
        {"sampler": "euler", "s_churn": 2.0},
        {"sampler": "naive"},
        {"sampler": "euler", "momentum_hist_init": "rand_new"},
        {"sampler": "euler", "momentum_sign": "rand"},
    ):
        outs = [sample(denoise, x, karras(8), SonarConfig(seed=seed, **options)).tobytes() for seed in (0, 0, 77)]
        assert outs[0] == outs[1] != outs[2], options


@pytest.mark.parametrize("seed", [[1], (1, 2, 3), []])
def test_one_seed_per_image_or_an_error_that_counts_them(seed):
    with pytest.raises(ConfigError, match=rf"seed = {len(seed)} seeds: .*one per image of the batch \(2\)"):
        sample(denoise, latent(), karras(3), SonarConfig(seed=seed))


def test_a_seed_that_leaves_no_room_for_the_batch_is_refused():
    last = SonarConfig(seed=2**64 - 1)
    sample(denoise, latent(0, (1, 4, 8, 8)), karras(2), last)
    with pytest.raises(ConfigError, match=r"seed = 18446744073709551615: seed \+ 1 must be below"):
        sample(denoise, latent(0, (2, 4, 8, 8)), karras(2), last)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("ref_method", [None, "linear", "euler"])
def test_the_same_bits_on_one_and_on_many_threads(sampler, ref_method):
    config = SonarConfig(
        sampler=sampler, ref_method=ref_method or "linear", s_churn=2.0, momentum_sign="rand", ref_factor=0.1
    )
    x = initial_noise(LARGE, 3) * 14
    reference = None if ref_method is None else initial_noise(LARGE, 8)
    runs = [sample(denoise, x, karras(3), config, reference=reference, threads=n) for n in (1, 2, 3, 7)]
    for other in runs[1:]:
        same_bits(other, runs[0])


def test_a_large_batch_is_its_images_made_alone():
    config, x = SonarConfig(seed=3, ref_factor=0.1), initial_noise(LARGE, 3) * 14
    reference = initial_noise((1, *LARGE[1:]), 4)
    together = sample(denoise, x, karras(2), config, reference=reference, threads=2)
    for image in range(2):
        same_bits(together[image : image + 1], alone(image, (x, karras(2), config, reference, None)))


def test_eight_threads_of_the_host_at_once_give_the_same_bits():
    def job(seed):
        x = latent(seed, (2, 4, 256, 256) if seed % 8 == 0 else (1, 4, 16, 16))
        return sample(denoise, x, karras(4), SonarConfig(seed=seed, momentum_sign="rand")).tobytes()

    alone = [job(seed) for seed in range(32)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(job, range(32))) == alone


def test_the_number_of_threads_of_the_environment_does_not_change_a_bit():
    script = """
from sonar_sampler import SonarConfig, initial_noise, sample
import hashlib
x = initial_noise((1, 4, 256, 256), 3)
print(hashlib.sha256(sample(lambda x, s: x * x.dtype.type(0.5), x, [1.0, 0.5, 0.0], SonarConfig())).hexdigest())
"""
    outs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"OMP_NUM_THREADS": threads},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for threads in ("1", "4", "nonsense")
    }
    assert len(outs) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the names of threads from /proc")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two cores: no more threads are made than there are")
def test_the_runs_above_really_use_threads():
    names, end = set(), time.monotonic() + 20
    while "sonar-1" not in names and time.monotonic() < end:
        sample(denoise, initial_noise(LARGE, 3), [2.0, 1.0], SonarConfig(), threads=3)
        names = {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}
    assert "sonar-1" in names


def test_more_threads_than_cores_are_not_made():
    # A subprocess, since the pool of this one may be of any size.
    program = (
        "import numpy as np, pathlib, sonar_sampler as s\n"
        "x = s.initial_noise((1, 4, 300, 300), 0)\n"
        "s.sample(lambda x, sigma: x * 0, x, [2.0, 1.0, 0.5], s.SonarConfig(), threads=2000)\n"
        "print(len(list(pathlib.Path('/proc/self/task').iterdir())))"
    )
    for environment in ({}, {"OMP_NUM_THREADS": "5000"}):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
        assert int(done.stdout) <= 3 * (os.cpu_count() or 1) + 4
