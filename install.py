"""Brings the compiled package of this checkout into the webui's Python: the webui runs this file at each start.

Nothing happens if the installed package was made from these very sources. Otherwise it is installed from a wheel
whose sha256 stands in `wheels.json`, or built here if Rust is there; never by a bare name from an index, and
without touching any other package. It never raises; what is missing is said in one line.

`scripts/sonar.py` asks `problem()` too. Needs nothing but the standard library and pip.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PACKAGE = ROOT / "python" / "sonar_sampler"
WHEELS = ROOT / "wheels.json"
NAME = "sonar_sampler"


def problem() -> str | None:
    """Why the installed package is not the one of this checkout, and what to do; None if it is."""
    installed = _installed()
    if installed is None:
        return f"the package {NAME} is not installed. Restart the webui completely; its console says what is missing."
    if not _is_current(installed):
        return (
            f"the package {NAME} that is installed is not the one of this extension (was it updated?). "
            "Restart the webui completely; its console says what is missing."
        )
    return None


def source() -> str:
    """The mark that `build.rs` puts into a compiled module made from these sources."""
    files = ["Cargo.toml", "Cargo.lock", "build.rs"]
    files += [path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.rs")]
    return f"sonar-source:{_fingerprint(ROOT, files):016x}"


def release() -> str:
    """The key of this checkout in `wheels.json`: the compiled sources and the Python files."""
    return f"{source()}/{_fingerprint(PACKAGE, _python_files(PACKAGE)):016x}"


def main() -> None:
    """Installs the package if it is missing or old."""
    try:
        installed = _installed()
        if installed is None or not _is_current(installed):
            _install()
    except Exception as error:  # whatever it is, the webui must start
        print(f"Sonar: not installed: {type(error).__name__}: {error}")


def _install() -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        wheel = _listed_wheel(Path(folder)) or _built_wheel(Path(folder))
        if wheel is None:
            return
        failure = _pip("install", "--no-deps", "--no-index", "--force-reinstall", str(wheel))
    if failure:
        print(f"Sonar: not installed: pip could not install {wheel.name}: {failure}")
    elif (found := _installed()) is None or not _is_current(found):
        print(f"Sonar: {wheel.name} was installed, but another {NAME} comes first on Python's path: {found}")
    else:
        print(f"Sonar: installed {wheel.name}")


def _listed_wheel(folder: Path) -> Path | None:
    """The first wheel of `wheels.json` for these sources and this Python, with the right sha256."""
    if not WHEELS.is_file():
        return None
    listed = json.loads(WHEELS.read_text(encoding="utf-8"))
    if listed.get("release") != release():
        return None
    for entry in listed.get("wheels", []):
        if not _fits(entry["name"]):
            continue
        wheel: Path = folder / entry["name"]
        try:
            content = _content(entry)
        except OSError as error:
            print(f"Sonar: {entry['name']} could not be fetched ({error}); building instead")
            return None
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            print(f"Sonar: {entry['name']} does not have the sha256 of wheels.json; building instead")
            return None
        wheel.write_bytes(content)
        return wheel
    return None


def _content(entry: dict[str, str]) -> bytes:
    if "file" in entry:
        return (ROOT / entry["file"]).read_bytes()
    if not entry["url"].startswith("https://"):
        raise OSError(f"{entry['url']} is not https")
    with urllib.request.urlopen(entry["url"], timeout=60) as answer:
        content: bytes = answer.read()
    return content


def _fits(name: str) -> bool:
    """Whether this Python can install a wheel of that name."""
    try:
        from packaging import tags, utils
    except ImportError:
        from pip._vendor.packaging import tags, utils  # type: ignore[no-redef]
    return not utils.parse_wheel_filename(name)[3].isdisjoint(tags.sys_tags())


def _built_wheel(folder: Path) -> Path | None:
    cargo = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
    if cargo is None:
        print(
            "Sonar: not installed: there is no wheel for these sources and this Python, and no Rust to build one. "
            "Install Rust from https://rustup.rs and start the webui again."
        )
        return None
    print("Sonar: building the package with Rust, which takes a few minutes once")
    environment = {
        "PATH": os.pathsep.join([str(Path(cargo).parent), os.environ.get("PATH", "")]),
        "CARGO_TARGET_DIR": str(folder / "target"),
    }
    failure = _pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT), **environment)
    if failure:
        print(f"Sonar: not installed: the build failed: {failure}")
        return None
    return next(iter(folder.glob("*.whl")))


def _pip(*arguments: str, **environment: str) -> str | None:
    """Runs pip; the last line of its complaint if it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    telling = [line for line in lines if line.lower().startswith(("error", "caused by"))]
    return (telling or lines or ["no reason given"])[-1]


def _installed() -> Path | None:
    """The folder of the installed package; it is not imported, since Windows cannot replace a loaded module."""
    importlib.invalidate_caches()
    found = importlib.util.find_spec(NAME)
    return None if found is None or found.origin is None else Path(found.origin).parent


def _is_current(installed: Path) -> bool:
    compiled = [path for ending in ("so", "pyd") for path in installed.glob(f"_core*.{ending}")]
    if len(compiled) != 1 or source().encode() not in compiled[0].read_bytes():
        return False
    ours = _python_files(PACKAGE)
    return ours == _python_files(installed) and _fingerprint(PACKAGE, ours) == _fingerprint(installed, ours)


def _python_files(package: Path) -> list[str]:
    return sorted(path.relative_to(package).as_posix() for path in package.rglob("*.py"))


def _fingerprint(root: Path, files: list[str]) -> int:
    """FNV-1a of names and contents, without regard to line ends: `build.rs` computes the same."""
    fingerprint = 0xCBF29CE484222325
    for file in sorted(files):
        for byte in file.encode() + (root / file).read_bytes().replace(b"\r", b""):
            fingerprint = (fingerprint ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return fingerprint


if __name__ == "__main__":
    main()
