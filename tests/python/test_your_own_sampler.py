"""The worked examples of docs/your-own-sampler.md do what they say."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sonar_sampler.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "your-own-sampler.md").read_text()


def example(name):
    return re.search(rf"<!-- example: {re.escape(name)} -->\n```\w+\n(.*?)```", DOCUMENT, re.S)[1]


@pytest.fixture
def ralston_file(tmp_path):
    path = tmp_path / "ralston.py"
    path.write_text(example("ralston.py"))
    return path


def test_the_python_example_is_second_order(ralston_file):
    from sonar_sampler import SonarConfig
    from sonar_sampler.cli.custom import load

    ralston = load(f"{ralston_file}:ralston").function
    scale, top, end = 0.7, 8.0, 0.5
    x = np.linspace(-3, 3, 12).reshape(1, 3, 2, 2)

    def error(steps):
        sigmas = np.geomspace(top, end, steps + 1)
        result = ralston(lambda x, s: x * scale**2 / (scale**2 + s**2), x, sigmas, SonarConfig(momentum=1.0))
        exact = x * np.sqrt((scale**2 + end**2) / (scale**2 + top**2))
        return np.abs(result - exact).max()

    assert 3.5 < error(40) / error(80) < 4.5


def test_the_python_example_works_on_the_command_line(ralston_file, tmp_path):
    def sonar(*arguments):
        done = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return Path(done.stdout.strip())

    def opened(path):
        with Image.open(path) as image:
            image.load()
            return image

    settings = ["mountains sunset", "--seed", "7", "--steps", "6"]
    own = sonar("txt2img", *settings, "--sampler", f"{ralston_file}:ralston", "--momentum", "0.8")
    plain = sonar("txt2img", *settings, "--sampler", "euler", "--momentum", "0.8")
    assert f"{ralston_file}:ralston" in opened(own).text["parameters"]
    assert np.abs(np.asarray(opened(own), float) - np.asarray(opened(plain), float)).mean() > 1
    assert sonar("again", str(own), "--allow-sampler-file", str(ralston_file)).read_bytes() == own.read_bytes()


@pytest.mark.skipif(shutil.which("cargo") is None, reason="no cargo: the Rust example is not compiled")
@pytest.mark.timeout(900)
def test_the_rust_example_is_in_every_host_by_its_file_and_its_row(tmp_path):
    crate, package = tmp_path / "crate", tmp_path / "package"
    shutil.copytree(ROOT / "src", crate / "src")
    manifest = (ROOT / "Cargo.toml").read_text()
    # Tests and benches of the project are not copied.
    (crate / "Cargo.toml").write_text(re.split(r"^\[\[(?:test|bench)\]\]", manifest, maxsplit=1, flags=re.M)[0])
    for name in ("Cargo.lock", "build.rs", "README.md"):
        shutil.copy(ROOT / name, crate / name)
    (crate / "src/solver/ralston.rs").write_text(example("src/solver/ralston.rs"))
    table = crate / "src/solver/mod.rs"
    text = table.read_text().replace("mod naive;\n", "mod naive;\nmod ralston;\n", 1)
    start = text.index("\nsolvers! {")
    end = text.index("\n}", start)
    table.write_text(text[:end] + "\n" + example("row").rstrip() + text[end:])
    target = ROOT / "target"  # where the dependencies are compiled already
    command = ["cargo", "rustc", "--quiet", "--offline", "--lib", "--features", "python", "--crate-type", "cdylib"]
    environment = os.environ | {"CARGO_TARGET_DIR": str(target), "PYO3_PYTHON": sys.executable}
    built = subprocess.run(command, cwd=crate, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (library,) = [
        path for path in (target / "debug").glob("*sonar_sampler.*") if path.suffix in (".so", ".dylib", ".dll")
    ]
    shutil.copytree(ROOT / "python" / "sonar_sampler", package / "sonar_sampler", ignore=COMPILED)
    shutil.copy(library, package / "sonar_sampler" / ("_core.pyd" if library.suffix == ".dll" else "_core.abi3.so"))
    path = os.pathsep.join(map(str, (package, ROOT / "tests" / "python", ROOT / "tests")))
    environment = os.environ | {"PYTHONPATH": path, "OUT": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", EVERYWHERE], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split("\n")[-2] == "all"


COMPILED = shutil.ignore_patterns("_core.*.so", "_core.pyd", "__pycache__")

EVERYWHERE = """
import os, sys
import numpy as np
from click.testing import CliRunner
from sonar_sampler import SonarConfig, sample
from sonar_sampler.cli import main

def denoise(x, sigma):
    return x * 0.49 / (0.49 + sigma**2)

x = np.linspace(-3, 3, 12).reshape(1, 3, 2, 2)
config = SonarConfig(sampler="ralston", momentum=1.0)
def error(steps):
    exact = x * np.sqrt((0.49 + 0.25) / (0.49 + 64))
    return np.abs(sample(denoise, x, np.geomspace(8, 0.5, steps + 1), config) - exact).max()
assert 3.5 < error(40) / error(80) < 4.5, (error(40), error(80))

done = CliRunner().invoke(main, ["txt2img", "sea", "--steps", "4", "--sampler", "ralston", "--out", os.environ["OUT"]])
assert done.exit_code == 0, done.output
done = CliRunner().invoke(main, ["show", done.stdout.strip()])
assert "Sonar Ralston" in done.output, done.output

import torch
from sonar_sampler.torch import sample_sonar_ralston
levels = torch.tensor([8.0, 2.0, 0.5], dtype=torch.float64)
latent = torch.from_numpy(x)
ours = sample_sonar_ralston(lambda x, sigma: denoise(x, sigma.item()), latent, levels, disable=True, momentum=1.0)
assert np.abs(ours.numpy() - sample(denoise, x, [8.0, 2.0, 0.5], config)).max() < 1e-12

from hosted import Host
host = Host(None)  # its script is for the checkout's package, and this is another
from modules import processing, sd_samplers
from sonar_sampler.hosts import webui
from sonar_sampler.hosts.webui.options import OPTIONS
webui.register()
assert "Sonar Ralston" in [data.name for data in sd_samplers.all_samplers]
assert "Ralston" in OPTIONS["sampler"].knob.choices
job = dict(prompt="a cat", seed=1, steps=4, width=64, height=64, do_not_save_samples=True)
made = {name: processing.process_images(processing.StableDiffusionProcessingTxt2Img(sampler_name=name, **job))
        for name in ("Sonar Ralston", "Sonar Euler")}
assert "Sampler: Sonar Ralston, " in made["Sonar Ralston"].info
assert made["Sonar Ralston"].images[0].tobytes() != made["Sonar Euler"].images[0].tobytes()
print("all")
"""
