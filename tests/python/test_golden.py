"""Replays the recorded runs of the original extension: it answers what the original's model answered.

`golden/original.json` and `original.npz` hold 70 runs of stable-diffusion-webui-sonar (torch, CPU, float32).
Without guidance every latent that the model sees, and the result, are equal bit for bit; with guidance mean and
standard deviation are sums whose order differs, which leaves a relative error of at most 2e-6.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from sonar_sampler import SonarConfig, sample

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = json.loads((GOLDEN / "original.json").read_text())
ARRAYS = np.load(GOLDEN / "original.npz")

CONFIG_KEYS = (
    "sampler",
    "momentum",
    "momentum_hist",
    "momentum_hist_init",
    "momentum_sign",
    "ref_method",
    "ref_factor",
)
CONFIG_KEYS += ("eta", "s_churn", "s_tmin", "s_tmax", "s_noise")


def config_of(case):
    options = {key: case[key] for key in CONFIG_KEYS if key in case}
    if case["momentum_sign"] == "rand":
        options["momentum_sign"] = case["signs"]
    if "ref_first_step" in case:
        options |= {"ref_start": case["ref_first_step"], "ref_stop": case["ref_last_step"]}
    return SonarConfig(**options)


class Replay:
    """The recorded model, noise and history."""

    def __init__(self, case):
        def recorded(name):
            key = f"{case['id']}/{name}"
            return ARRAYS.get(key)

        self.x0, self.sigmas, self.out = recorded("x0"), recorded("sigmas"), recorded("out")
        self.model_x, self.model_sigma = recorded("model_x"), recorded("model_sigma")
        self.denoised, self.reference = recorded("denoised"), recorded("ref_latent")
        self.draws = dict(zip(case["draws"], recorded("noise") if case["draws"] else [], strict=True))
        self.history = self.draws.pop("history", None)
        self.seen = []

    def denoise(self, x, sigma):
        step = len(self.seen)
        self.seen.append(x.copy())
        assert np.float32(sigma) == np.float32(self.model_sigma[step].flat[0])
        return self.denoised[step]

    def noise(self, sigma, sigma_next):
        step = int(np.flatnonzero(self.sigmas == np.float32(sigma))[0])
        return self.draws[step]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['id']}-{case['sampler']}")
def test_the_originals_run_is_replayed(case):
    replay = Replay(case)
    result = sample(
        replay.denoise,
        replay.x0,
        replay.sigmas,
        config_of(case),
        reference=replay.reference,
        noise=replay.noise,
        history=replay.history,
    )
    pairs = [*zip(replay.seen, replay.model_x, strict=True), (result, replay.out)]
    assert len(replay.seen) == len(replay.sigmas) - 1
    for ours, original in pairs:
        if replay.reference is None:
            np.testing.assert_array_equal(ours, original)
        else:
            scale = np.abs(original).max()
            np.testing.assert_allclose(ours, original, rtol=2e-6, atol=2e-6 * scale)


def test_all_seventy_runs_are_there():
    assert len(CASES) == 70
    assert sum("ref_method" in case for case in CASES) == 8
