"""The list of a release's wheels is what install.py looks for."""

import importlib.util
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_install_finds_the_wheel_of_a_listing(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    wheels = load(ROOT / ".github" / "wheels.py")
    name = "sonar_sampler-0.1.0-py3-none-any.whl"
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / name).write_bytes(b"a wheel")
    listed = wheels.listing(tmp_path / "dist", "https://example.org/v0.1.0/")
    assert listed["wheels"][0]["url"] == f"https://example.org/v0.1.0/{name}"
    install = sys.modules["install"]
    (tmp_path / "wheels.json").write_text(json.dumps(listed))
    monkeypatch.setattr(install, "WHEELS", tmp_path / "wheels.json")
    monkeypatch.setattr(install, "_content", lambda entry: (tmp_path / "dist" / entry["name"]).read_bytes())
    found = install._listed_wheel(tmp_path)
    assert found is not None
    assert found.read_bytes() == b"a wheel"
