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
    (crate / "src/solver/ralston.rs").write_text(example("src/solver/ralston.rs"))
    table = crate / "src/solver/mod.rs"
    text = table.read_text().replace("mod stage;\n", "mod ralston;\nmod stage;\n", 1)
    end = text.index("\n}", text.index("\nsolvers! {"))
    table.write_text(text[:end] + "\n" + example("row").rstrip() + text[end:])
    (crate / "tests").mkdir()
    (crate / "tests/ralston.rs").write_text(RUST_TEST)
    target = ROOT / "target"  # where the dependencies are compiled already
    command = ["cargo", "test", "--quiet", "--offline", "--test", "ralston"]
    done = subprocess.run(
        command, cwd=crate, env=os.environ | {"CARGO_TARGET_DIR": str(target)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


RUST_TEST = """
use sonar_sampler::config::RunOptions;
use sonar_sampler::direction::MomentumOptions;
use sonar_sampler::options::PerStep;
use sonar_sampler::solver::Sampler;
use sonar_sampler::{Config, Run};

#[test]
fn it_is_in_the_table_and_of_second_order() {
    assert_eq!(Sampler::Ralston.facts().label, "Ralston");
    assert!(Sampler::ALL.contains(&Sampler::Ralston));
    // The posterior mean of a normal distribution of deviation 0.7, whose flow has a closed form.
    let (top, end, variance): (f64, f64, f64) = (8.0, 0.5, 0.49);
    let error = |steps: i32| {
        let sigmas: Vec<f64> =
            (0..=steps).map(|k| top * (end / top).powf(f64::from(k) / f64::from(steps))).collect();
        let config = Config {
            run: RunOptions { sampler: Sampler::Ralston, ..RunOptions::default() },
            momentum: MomentumOptions { momentum: PerStep::Constant(1.0), ..MomentumOptions::default() },
            ..Config::default()
        };
        let run = Run::own(config, &sigmas, &[1, 1, 2], vec![3.0, -5.0]).unwrap();
        let out = run
            .complete(|x, sigma| Ok(x.iter().map(|x| x * variance / (variance + sigma * sigma)).collect()))
            .unwrap();
        (out[0] - 3.0 * ((variance + end * end) / (variance + top * top)).sqrt()).abs()
    };
    let ratio = error(40) / error(80);
    assert!((3.5..4.5).contains(&ratio), "{ratio}");
}
"""
