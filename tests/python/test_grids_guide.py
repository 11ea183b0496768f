"""What docs/grids.md tells a reader to type works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sonar_sampler.cli import main

DOCUMENT = (Path(__file__).parents[2] / "docs" / "grids.md").read_text()

pytestmark = pytest.mark.xdist_group("workers")


@pytest.mark.parametrize("command", re.findall(r"^sonar (.+ --workers .+)$", DOCUMENT, re.M))
def test_the_commands_run(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*shlex.split(command), "--steps", "2"])
    assert done.exit_code == 0, done.output
    assert all(Path(line).is_file() for line in done.stdout.split())


def test_the_python_example_runs_in_a_file(tmp_path):
    (tmp_path / "example.py").write_text(re.search(r"```python\n(.*?)```", DOCUMENT, re.S)[1])
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    path, count = done.stdout.split()
    assert (tmp_path / path).is_file()
    assert int(count) == 4
