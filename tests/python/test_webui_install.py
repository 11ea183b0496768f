"""install.py: what it installs and from where, with pip and cargo as fakes; it never raises."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
REAL_RUN = subprocess.run


def load(path):
    spec = importlib.util.spec_from_file_location("sonar_install_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Checkout:
    """A copy of what install.py looks at, an empty place for packages, and a record of what pip was asked."""

    def __init__(self, folder, monkeypatch):
        self.root, self.site = folder / "sonar", folder / "site"
        self.site.mkdir(parents=True)
        for name in ("Cargo.toml", "Cargo.lock", "build.rs", "pyproject.toml", "install.py"):
            if (ROOT / name).exists():
                self.copy(name)
        for path in [*(ROOT / "src").rglob("*.rs"), *(ROOT / "python").rglob("*.py")]:
            self.copy(path.relative_to(ROOT))
        self.module = load(self.root / "install.py")
        self.asked, self.answers, self.patch = [], [], monkeypatch
        monkeypatch.setattr(self.module.subprocess, "run", self.run)
        monkeypatch.setattr(self.module, "_installed", self.installed)
        monkeypatch.setattr(self.module.shutil, "which", lambda name, **_: None)

    def copy(self, name):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, self.root / name)

    def installed(self):
        package = self.site / "sonar_sampler"
        return package if package.exists() else None

    def install(self, mark=None):
        """What a successful installation leaves."""
        package = self.site / "sonar_sampler"
        shutil.rmtree(package, ignore_errors=True)
        shutil.copytree(self.root / "python" / "sonar_sampler", package, ignore=shutil.ignore_patterns("__pycache__"))
        (package / "_core.abi3.so").write_bytes(b"code" + (mark or self.module.source()).encode() + b"code")

    def run(self, command, **_):
        self.asked.append(command)
        answer = self.answers.pop(0) if self.answers else 0
        if answer == 0 and "install" in command:
            self.install()
        if answer == 0 and "wheel" in command:
            wheel = Path(command[command.index("--wheel-dir") + 1]) / "sonar_sampler-9-cp310-abi3-any.whl"
            wheel.write_bytes(b"built")
        return SimpleNamespace(returncode=answer and 1, stdout="", stderr="" if answer == 0 else f"noise\n{answer}\n")

    def cargo(self):
        self.patch.setattr(self.module.shutil, "which", lambda name, **_: f"/somewhere/{name}")

    def list_wheel(self, content=b"wheel", name="sonar_sampler-9-py3-none-any.whl", **entry):
        (self.root / "dist").mkdir(exist_ok=True)
        (self.root / "dist" / name).write_bytes(content)
        digest = hashlib.sha256(b"wheel").hexdigest()
        listed = {"name": name, "sha256": digest, "file": f"dist/{name}", **entry}
        wheels = {"release": self.module.release(), "wheels": [listed]}
        (self.root / "wheels.json").write_text(json.dumps(wheels))

    def start(self, capsys):
        """Runs install.py as a start of the webui does; what it printed."""
        self.module.main()
        return [line for line in capsys.readouterr().out.splitlines() if line.strip()]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    return Checkout(tmp_path, monkeypatch)


def test_nothing_happens_if_the_package_is_current(checkout, capsys):
    checkout.install()
    assert checkout.start(capsys) == []
    assert checkout.asked == []
    assert checkout.module.problem() is None


def test_a_listed_wheel_is_installed_without_other_packages(checkout, capsys):
    checkout.list_wheel()
    lines = checkout.start(capsys)
    assert len(lines) == 1
    (command,) = checkout.asked
    assert {"install", "--no-deps", "--no-index"} <= set(command)
    assert command[0] == sys.executable
    assert command[-1].endswith(".whl")
    assert checkout.start(capsys) == []
    assert len(checkout.asked) == 1


@pytest.mark.parametrize("change", ["src/lib.rs", "python/sonar_sampler/registry.py", "Cargo.toml"])
def test_changed_sources_are_installed_again(checkout, capsys, change):
    checkout.install()
    with (checkout.root / change).open("a") as file:
        file.write("\n# changed\n")
    assert "not the one of this extension" in checkout.module.problem()
    checkout.cargo()
    checkout.start(capsys)
    assert ["wheel" in command for command in checkout.asked] == [True, False]
    assert checkout.module.problem() is None


def test_line_ends_do_not_matter(checkout):
    checkout.install()
    path = checkout.root / "src" / "lib.rs"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert checkout.module.problem() is None


def test_a_file_that_an_update_removed_counts(checkout):
    checkout.install()
    (checkout.site / "sonar_sampler" / "old.py").write_text("")
    assert checkout.module.problem() is not None


@pytest.mark.parametrize("why", ["sha256", "release", "python", "missing"])
def test_a_wheel_that_does_not_fit_is_not_installed(checkout, capsys, why):
    if why == "sha256":
        checkout.list_wheel(content=b"another")
    elif why == "python":
        checkout.list_wheel(name="sonar_sampler-9-cp27-cp27m-win32.whl")
    else:
        checkout.list_wheel()
    if why == "release":
        wheels = json.loads((checkout.root / "wheels.json").read_text())
        (checkout.root / "wheels.json").write_text(json.dumps({**wheels, "release": "older"}))
    if why == "missing":
        shutil.rmtree(checkout.root / "dist")
    lines = checkout.start(capsys)
    assert checkout.asked == []
    assert "Rust" in lines[-1]
    assert all(line.startswith("Sonar: ") for line in lines)


def test_only_https_is_fetched(checkout, capsys, monkeypatch):
    checkout.list_wheel()
    wheels = json.loads((checkout.root / "wheels.json").read_text())
    del wheels["wheels"][0]["file"]
    wheels["wheels"][0]["url"] = "http://example.org/sonar.whl"
    (checkout.root / "wheels.json").write_text(json.dumps(wheels))
    monkeypatch.setattr(checkout.module.urllib.request, "urlopen", lambda *_, **__: pytest.fail("fetched"))
    assert "https" in checkout.start(capsys)[0]


def test_a_release_is_fetched(checkout, capsys, monkeypatch):
    checkout.list_wheel()
    wheels = json.loads((checkout.root / "wheels.json").read_text())
    del wheels["wheels"][0]["file"]
    wheels["wheels"][0]["url"] = "https://example.org/sonar.whl"
    (checkout.root / "wheels.json").write_text(json.dumps(wheels))

    class Answer:
        def read(self):
            return b"wheel"

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(checkout.module.urllib.request, "urlopen", lambda *_, **__: Answer())
    checkout.start(capsys)
    assert checkout.module.problem() is None


def test_without_wheel_and_rust_one_line_says_so(checkout, capsys):
    lines = checkout.start(capsys)
    assert len(lines) == 1
    assert "rustup.rs" in lines[0]
    assert checkout.asked == []
    assert "not installed" in checkout.module.problem()


def test_a_build_that_fails_is_told(checkout, capsys):
    checkout.cargo()
    checkout.answers = ["error: linker `cc` not found"]
    lines = checkout.start(capsys)
    assert "linker `cc` not found" in lines[-1]
    assert len(checkout.asked) == 1


def test_pip_that_fails_is_told(checkout, capsys):
    checkout.list_wheel()
    checkout.answers = ["ERROR: permission denied"]
    assert "permission denied" in checkout.start(capsys)[-1]


def test_nothing_is_ever_asked_of_an_index_by_name(checkout, capsys):
    checkout.cargo()
    checkout.start(capsys)
    for command in checkout.asked:
        assert "--no-deps" in command
        assert "sonar-sampler" not in command
        assert "sonar_sampler" not in command
        assert Path(command[-1]).is_absolute()


@pytest.mark.parametrize("broken", ["{", "[]", '{"release": 1, "wheels": 5}', '{"wheels": [{}]}'])
def test_it_never_raises(checkout, capsys, broken):
    (checkout.root / "wheels.json").write_text(broken)
    for line in checkout.start(capsys):
        assert line.startswith("Sonar: ")


def test_it_never_raises_on_a_system_that_refuses(checkout, capsys, monkeypatch):
    checkout.list_wheel()

    def refuse(*_, **__):
        raise PermissionError("no processes today")

    monkeypatch.setattr(checkout.module.subprocess, "run", refuse)
    assert "no processes today" in checkout.start(capsys)[-1]


def test_two_compiled_modules_are_not_trusted(checkout):
    checkout.install()
    package = checkout.site / "sonar_sampler"
    shutil.copy(package / "_core.abi3.so", package / "_core.cpython-310.so")
    assert checkout.module.problem() is not None


@pytest.mark.parametrize("current", [True, False])
def test_as_the_host_runs_it(checkout, tmp_path, current):
    """A child process at each start, in another folder; here without Rust, so that nothing is built."""
    checkout.install(mark=None if current else "sonar-source:0000000000000000")
    (tmp_path / "elsewhere").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(checkout.site), "PATH": "", "HOME": str(tmp_path)}
    done = REAL_RUN(
        [sys.executable, str(checkout.root / "install.py")],
        capture_output=True, text=True, timeout=60, cwd=tmp_path / "elsewhere", env=environment, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines == [] if current else len(lines) == 1 and "rustup.rs" in lines[0]
