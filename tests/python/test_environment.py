"""The environment of `make`: its locks, the stand-in for CUDA, and what a run says that it left out."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import left_out

ROOT = Path(__file__).parents[2]


def test_the_metadata_names_the_pythons_that_make_takes():
    named = re.findall(r"Python :: 3\.(\d+)", (ROOT / "pyproject.toml").read_text())
    least, below = re.search(
        r"\(3, (\d+)\) <= sys\.version_info < \(3, (\d+)\)", (ROOT / "Makefile").read_text()
    ).groups()
    assert [int(minor) for minor in named] == list(range(int(least), int(below)))


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").glob("*.lock")), ids=lambda path: path.name)
def test_a_lock_has_hashes_and_no_addresses(lock):
    text = lock.read_text()
    assert "://" not in text
    assert all(line.endswith("\\") for line in text.splitlines() if re.match(r"\S+==", line))


@pytest.mark.skipif(sys.platform != "linux", reason="torch links to CUDA on Linux only")
def test_an_empty_cuda_function_says_its_name_and_ends_the_process():
    library = Path(importlib.util.find_spec("torch").origin).parent / "lib" / "libsonar_no_cuda.so"
    if not library.exists():
        pytest.skip("torch has its CUDA libraries here")
    call = f"import ctypes; ctypes.CDLL({str(library)!r}).cublasCreate_v2()"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.startswith("cublasCreate_v2: there is no GPU")


def test_a_run_says_what_it_left_out_and_why():
    lines = left_out.block(["Skipped: no cargo", "Skipped: no cargo", "could not import 'diffusers': none"])
    assert lines[:2] == ["2 skipped: no cargo", "1 skipped: could not import 'diffusers': none"]
    (real,) = (line for line in lines if "tests/webui" in line)
    target = re.search(r"make (\w+) WEBUI=", real)[1]
    assert re.search(rf"^{target}:.*\n\t.*tests/webui --webui \$\(WEBUI\)", (ROOT / "Makefile").read_text(), re.M)
