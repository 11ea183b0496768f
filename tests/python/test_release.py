"""A release: its list of wheels is what install.py looks for."""

import importlib.util
import json
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = "sonar_sampler-0.1.0-py3-none-any.whl"


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wheels(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    return load(ROOT / ".github" / "wheels.py")


def wheel(folder, mark):
    folder.mkdir()
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        archive.writestr("sonar_sampler/_core.abi3.so", b"code" + mark.encode())


def test_install_finds_the_wheel_of_a_listing(tmp_path, monkeypatch, wheels):
    install = sys.modules["install"]
    wheel(tmp_path / "dist", install.source())
    listed = wheels.listing(tmp_path / "dist", "https://example.org/v0.1.0/")
    assert listed["wheels"][0]["url"] == f"https://example.org/v0.1.0/{NAME}"
    (tmp_path / "wheels.json").write_text(json.dumps(listed))
    monkeypatch.setattr(install, "WHEELS", tmp_path / "wheels.json")
    monkeypatch.setattr(install, "_fetched", lambda url: (tmp_path / "dist" / url.rpartition("/")[2]).read_bytes())
    assert install._listed() == (NAME, "_core.abi3.so", b"code" + install.source().encode())


def test_a_wheel_of_other_sources_is_not_listed(tmp_path, wheels):
    wheel(tmp_path / "dist", "sonar-source:0000000000000000")
    with pytest.raises(sys.modules["install"].NoCoreError, match="other sources"):
        wheels.listing(tmp_path / "dist", "https://example.org/v0.1.0")


def test_the_licences_of_what_is_linked_are_those_of_cargo():
    """A wheel carries the file: `python .github/licenses.py > LICENSES-THIRD-PARTY.txt` after a change of crates."""
    listed = (ROOT / "LICENSES-THIRD-PARTY.txt").read_text(encoding="utf-8")
    assert load(ROOT / ".github" / "licenses.py").listing() == listed
