"""The worked examples of docs/your-own-sampler.md do what they say."""

import os
import re
import shutil
import subprocess
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
def heun_file(tmp_path):
    path = tmp_path / "heun.py"
    path.write_text(example("heun.py"))
    return path


def test_the_python_example_is_second_order(heun_file):
    from sonar_sampler import SonarConfig
    from sonar_sampler.cli.custom import load

    heun = load(f"{heun_file}:heun").function
    scale, top, end = 0.7, 8.0, 0.5
    x = np.linspace(-3, 3, 12).reshape(1, 3, 2, 2)

    def error(steps):
        sigmas = np.geomspace(top, end, steps + 1)
        result = heun(lambda x, s: x * scale**2 / (scale**2 + s**2), x, sigmas, SonarConfig(momentum=1.0))
        exact = x * np.sqrt((scale**2 + end**2) / (scale**2 + top**2))
        return np.abs(result - exact).max()

    assert 3.5 < error(40) / error(80) < 4.5


def test_the_python_example_works_on_the_command_line(heun_file, tmp_path):
    def sonar(*arguments):
        done = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return Path(done.stdout.strip())

    def opened(path):
        with Image.open(path) as image:
            image.load()
            return image

    settings = ["mountains sunset", "--seed", "7", "--steps", "6"]
    own = sonar("txt2img", *settings, "--sampler", f"{heun_file}:heun", "--momentum", "0.8")
    plain = sonar("txt2img", *settings, "--sampler", "euler", "--momentum", "0.8")
    assert f"{heun_file}:heun" in opened(own).text["parameters"]
    assert np.abs(np.asarray(opened(own), float) - np.asarray(opened(plain), float)).mean() > 1
    assert sonar("again", str(own), "--allow-sampler-file", str(heun_file)).read_bytes() == own.read_bytes()


@pytest.mark.skipif(shutil.which("cargo") is None, reason="no cargo: the Rust example is not compiled")
@pytest.mark.timeout(600)
def test_the_rust_example_compiles_and_is_in_the_table(tmp_path):
    crate = tmp_path / "crate"
    shutil.copytree(ROOT / "src", crate / "src")
    manifest = (ROOT / "Cargo.toml").read_text()
    # Tests and benches of the project are not copied.
    (crate / "Cargo.toml").write_text(re.split(r"^\[\[(?:test|bench)\]\]", manifest, maxsplit=1, flags=re.M)[0])
    for name in ("Cargo.lock", "build.rs", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, crate / name)
    (crate / "src/method/euler_fade.rs").write_text(example("src/method/euler_fade.rs"))
    table = crate / "src/method/mod.rs"
    text = table.read_text().replace("mod euler;\n", "mod euler;\nmod euler_fade;\n", 1)
    start = text.index("pub static TABLE")
    end = text.index("\n];", start)
    table.write_text(text[:end] + "\n" + example("row").rstrip() + text[end:])
    (crate / "tests").mkdir()
    (crate / "tests/fade.rs").write_text(RUST_TEST)
    target = ROOT / "target"  # where the dependencies are compiled already
    command = ["cargo", "test", "--quiet", "--offline", "--test", "fade"]
    done = subprocess.run(
        command, cwd=crate, env=os.environ | {"CARGO_TARGET_DIR": str(target)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


RUST_TEST = """
use ndarray::ArrayD;
use sonar_sampler::{Config, Stepper, drive, method};

#[test]
fn noise_fades_below_sigma_one() {
    let run = |name: &str, from: f64, to: f64| {
        let config = Config { sampler: method::by_name(name).unwrap(), ..Config::default() };
        let x = ArrayD::<f64>::zeros(vec![1, 1, 8, 8]);
        let stepper = Stepper::new(config, &[from, to], x.shape(), x.as_slice().unwrap(), None, false, &f64::sqrt);
        drive::run(stepper.unwrap(), x, None, |x, _| Ok(x.to_owned())).unwrap()
    };
    assert_eq!(run("euler_fade", 8.0, 4.0), run("euler_a", 8.0, 4.0));
    let spread = |x: ArrayD<f64>| x.mapv(|v| v * v).mean().unwrap().sqrt();
    let (fade, full) = (spread(run("euler_fade", 0.2, 0.1)), spread(run("euler_a", 0.2, 0.1)));
    assert!((fade / full - 0.2).abs() < 1e-9, "{fade} {full}");
}
"""
