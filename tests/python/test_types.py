"""What a type checker finds in code that uses the package."""

import sys

import pytest

api = pytest.importorskip("mypy.api")

USE = """
import numpy as np
from numpy.typing import NDArray
from sonar_sampler import SonarConfig, sample
from sonar_sampler.torch import sample_sonar_heun

SonarConfig(sampler="heun", momentum_sign=("pos", "neg"), ref_method="euler", momentum_mode="lead", seed=None)
SonarConfig(sampler="nope")
SonarConfig(momentum_hist_init="ones")
SonarConfig(ref_method="Linear")

x: NDArray[np.float32] = np.zeros((1, 4, 8, 8), np.float32)
kept: NDArray[np.float32] = sample(lambda x, sigma: x, x, [2.0, 1.0], SonarConfig())
lost: NDArray[np.float64] = sample(lambda x, sigma: x, x, [2.0, 1.0], SonarConfig())
sample_sonar_heun("no model")
"""


@pytest.mark.timeout(300)
def test_wrong_words_are_found_and_the_dtype_is_kept(tmp_path):
    (tmp_path / "use.py").write_text(USE)
    flags = ["--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache"), "--python-executable"]
    told, complaints, _ = api.run([*flags, sys.executable, str(tmp_path / "use.py")])
    assert not complaints
    lines = USE.split("\n")
    wrong = ("nope", "ones", '"Linear"', "lost:", "no model")
    expected = {number for number, line in enumerate(lines, 1) if any(word in line for word in wrong)}
    found = {int(line.split("use.py:")[1].split(":")[0]) for line in told.splitlines() if "error:" in line}
    assert found == expected, told
