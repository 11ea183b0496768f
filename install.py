"""Brings the compiled part of Sonar into `.sonar/` beside this file: the webui runs this file at each start.

The Python files are used where they are, in this checkout; only the Rust core has to fit the system. Nothing happens
if the core that is there was made from these very sources. Otherwise it is taken out of a wheel whose sha256 stands in
`wheels.json`, or built if Rust is there. The webui's Python is never changed, and nothing is asked of a package index.
It never raises; what is missing is said in one line, which `problem()` says again in the webui.

Needs nothing but the standard library, and `packaging` or pip.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import importlib.metadata
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PACKAGE = ROOT / "python" / "sonar_sampler"
WHEELS = ROOT / "wheels.json"
KEPT = ROOT / ".sonar"
REASON = KEPT / "problem.txt"
NAME = "sonar_sampler"
CORE = NAME + r"/_core[^/]*\.(so|pyd)"
RUST = "install Rust from https://rustup.rs and start the webui again"
REMOVE = f'"{sys.executable}" -m pip uninstall sonar-sampler'
LARGEST = 64 * 2**20  # bytes of a wheel or a core; real ones have 1 to 3 MB
PATIENCE = 300  # seconds for one download


class NoCoreError(Exception):
    """Why the core cannot be had in one of the ways, in words for the user."""


def problem() -> str | None:
    """Why this checkout's package cannot be used in this process, and what to do; None if it can."""
    if NAME in sys.modules:
        return _problem_of_loaded()
    if _compiled() is not None:
        return None
    with contextlib.suppress(OSError, ValueError):
        made_for, reason = REASON.read_text(encoding="utf-8").split("\n")[:2]
        if made_for == source():
            return reason
    return (
        "its compiled part is missing. Restart the webui completely, without --skip-install, "
        f"and with {ROOT} writable; its console says what is missing."
    )


def load() -> str | None:
    """Makes `import sonar_sampler` mean the package of this checkout, whatever else is installed.

    Returns the problem if that is not possible. The webui's `sys.path` stays as it is.
    """
    if (reason := problem()) is not None or NAME in sys.modules:
        return reason
    places = [str(_compiled()), str(PACKAGE)]
    spec = importlib.util.spec_from_file_location(NAME, PACKAGE / "__init__.py", submodule_search_locations=places)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]
        return f"its compiled part does not load: {_line(error)}"
    vars(module)["__files__"] = _python_files()
    return None


def source() -> str:
    """The mark that `build.rs` puts into a compiled module made from these sources."""
    files = ["Cargo.toml", "Cargo.lock", "build.rs"]
    files += [path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.rs")]
    fingerprint = 0xCBF29CE484222325  # FNV-1a of names and contents, without regard to line ends
    for file in sorted(files):
        for byte in file.encode() + (ROOT / file).read_bytes().replace(b"\r", b""):
            fingerprint = (fingerprint ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"sonar-source:{fingerprint:016x}"


def core_of(wheel: bytes, name: str) -> tuple[str, bytes]:
    """File name and contents of the compiled module in a wheel, which must have been made from these sources."""
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            cores = [file for file in archive.infolist() if re.fullmatch(CORE, file.filename)]
            if len(cores) != 1 or cores[0].file_size > LARGEST:
                raise NoCoreError(f"{name} has no compiled module of Sonar")
            core = archive.read(cores[0])
    except zipfile.BadZipFile as error:
        raise NoCoreError(f"{name} is not a wheel ({_line(error)})") from None
    if source().encode() not in core:
        raise NoCoreError(f"{name} was made from other sources than this checkout")
    return Path(cores[0].filename).name, core


def main() -> None:
    """Brings the core if it is missing or old."""
    try:
        if _compiled() is None:
            _install()
        _tidy()
    except Exception as error:  # whatever it is, the webui must start
        reason = _line(error) if isinstance(error, NoCoreError) else f"{type(error).__name__}: {_line(error)}"
        print(f"Sonar is not available: {reason}")
        with contextlib.suppress(OSError):
            KEPT.mkdir(exist_ok=True)
            REASON.write_text(f"{source()}\n{reason}\n", encoding="utf-8")


def _install() -> None:
    try:
        came_from = _keep(*_listed())
    except NoCoreError as why:
        came_from = _keep(*_built(str(why)))
    print(f"Sonar: installed {came_from}")
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        old = importlib.metadata.version("sonar-sampler")
        print(f"Sonar: the package sonar-sampler {old} in the webui's Python is not used by it; to remove it: {REMOVE}")


def _listed() -> tuple[str, str, bytes]:
    """The core of the first wheel of `wheels.json` for these sources and this Python, with the right sha256."""
    if not WHEELS.is_file():
        raise NoCoreError("there is no ready-made package (no wheels.json)")
    try:
        listed = json.loads(WHEELS.read_text(encoding="utf-8"))
        made_from = listed["source"]
        wheels = [(entry["name"], entry["url"], entry["sha256"]) for entry in listed["wheels"]]
        fitting = [wheel for wheel in wheels if _fits(wheel[0])]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise NoCoreError(f"wheels.json is malformed ({type(error).__name__}: {_line(error)})") from None
    if made_from != source():
        raise NoCoreError("the ready-made packages of wheels.json are of other sources than this checkout")
    if not fitting:
        python = f"Python {sysconfig.get_python_version()} on {sysconfig.get_platform()}"
        raise NoCoreError(f"wheels.json has no ready-made package for {python}")
    name, url, sha256 = fitting[0]
    wheel = _fetched(url)
    if hashlib.sha256(wheel).hexdigest() != sha256:
        raise NoCoreError(f"{url} does not have the sha256 of wheels.json")
    return name, *core_of(wheel, name)


def _fits(name: str) -> bool:
    """Whether this Python can load what is in a wheel of that name."""
    try:
        from packaging import tags, utils
    except ImportError:
        from pip._vendor.packaging import tags, utils  # type: ignore[no-redef]
    return not utils.parse_wheel_filename(name)[3].isdisjoint(tags.sys_tags())


def _fetched(url: str) -> bytes:
    """What is at an address. Only https, on the loopback address too: one rule, and nobody needs another."""
    if not url.startswith("https://"):
        raise NoCoreError(f"{url} is not https")
    content, end = bytearray(), time.monotonic() + PATIENCE
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            while part := answer.read1(2**16):
                content += part
                if len(content) > LARGEST or time.monotonic() > end:
                    raise NoCoreError(f"{url} is too large or too slow")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if type(error) is urllib.error.URLError else error
        raise NoCoreError(f"{url} could not be fetched ({_line(reason) or type(error).__name__})") from None
    return bytes(content)


def _built(why: str) -> tuple[str, str, bytes]:
    """The core, built by cargo in a temporary folder; crates come by the checksums of Cargo.lock."""
    cargo = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
    if cargo is None:
        raise NoCoreError(f"{why}, and no Rust to build one: {RUST}.")
    print(f"Sonar: {why}; building it with Rust, which takes a few minutes once")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [cargo, "rustc", "--release", "--locked", "--lib", "--crate-type", "cdylib", "--features", "python"]
        command += ["--message-format", "json-render-diagnostics"]
        if sys.platform == "darwin":
            command += ["--", "-C", "link-arg=-undefined", "-C", "link-arg=dynamic_lookup"]
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(cargo).parent), os.environ.get("PATH", "")]),
            "CARGO_TARGET_DIR": folder,
            "CARGO_TERM_COLOR": "never",
            "PYO3_PYTHON": sys.executable,
        }
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", errors="replace"
        )
        if done.returncode != 0:
            raise NoCoreError(f"{why}, and the build failed: {_complaint(done.stderr)}")
        built = [file for file in _artifacts(done.stdout) if file.suffix in (".so", ".dylib", ".dll")]
        file = "_core.pyd" if os.name == "nt" else "_core.abi3.so"
        return "what was built here", file, built[-1].read_bytes()


def _artifacts(messages: str) -> list[Path]:
    """The files of this crate that cargo says it made."""
    made = [json.loads(line) for line in messages.splitlines() if line.startswith("{")]
    ours = [message for message in made if message.get("target", {}).get("name") == NAME]
    return [Path(file) for message in ours for file in message.get("filenames", [])]


def _complaint(said: str) -> str:
    """The first error that cargo printed, and the cause at the bottom of it if it names one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    first = next((n for n, line in enumerate(lines) if line.lower().startswith("error")), None)
    if first is None:
        return lines[-1] if lines else "no reason given"
    heads = ["Caused by:"] + [lines[first]] * lines[first].endswith(":")
    causes = [lines[n] for n in range(first + 1, len(lines)) if lines[n - 1] in heads]
    complaint = ": ".join([lines[first].rstrip(":"), *causes[-1:]])
    return complaint + (", so update Rust with `rustup update`" if re.search("rustc 1|edition", complaint) else "")


def _keep(came_from: str, file: str, core: bytes) -> str:
    """Puts a core into its folder if it loads here. A folder per source: Windows cannot replace a loaded module."""
    new = KEPT / f"new-{os.getpid()}"
    new.mkdir(parents=True)
    try:
        (new / file).write_bytes(core)
        load_it = (
            "import importlib.util, sys; spec = importlib.util.spec_from_file_location('_core', sys.argv[1]); "
            "spec.loader.exec_module(importlib.util.module_from_spec(spec))"
        )
        done = subprocess.run([sys.executable, "-c", load_it, str(new / file)], capture_output=True, text=True)
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise NoCoreError(f"{came_from} does not load: {said[-1]}")
        shutil.rmtree(_folder(), ignore_errors=True)
        new.replace(_folder())
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return came_from


def _tidy() -> None:
    """Removes what older versions left in `.sonar`; what a running webui still uses may stay until the next start."""
    for path in KEPT.iterdir() if KEPT.is_dir() else ():
        if path.is_dir() and path != _folder():
            shutil.rmtree(path, ignore_errors=True)
    REASON.unlink(missing_ok=True)


def _folder() -> Path:
    return KEPT / f"{source().rpartition(':')[2]}-{sysconfig.get_platform()}"


def _compiled() -> Path | None:
    """The folder with a core made from these sources: where a developer builds it, or ours."""
    for folder in (PACKAGE, _folder()):
        found = [file for ending in ("so", "pyd") for file in folder.glob(f"_core*.{ending}")]
        if len(found) == 1 and source().encode() in found[0].read_bytes():
            return folder
    return None


def _problem_of_loaded() -> str | None:
    """Whether the package that this process has imported is still the one on the disk."""
    module = sys.modules[NAME]
    if Path(module.__file__ or "").resolve() != PACKAGE / "__init__.py":
        return f"another {NAME} is in use, from {module.__file__}. To remove it: {REMOVE}"
    mark = getattr(sys.modules.get(f"{NAME}._core"), "__source__", None)
    if (mark, getattr(module, "__files__", _python_files())) != (source(), _python_files()):
        return "it was updated while the webui ran. Restart the webui completely."
    return None


def _python_files() -> str:
    """A fingerprint of the Python files."""
    files = sorted(PACKAGE.rglob("*.py"))
    return hashlib.sha256(b"\0".join(str(file).encode() + file.read_bytes() for file in files)).hexdigest()


def _line(reason: object) -> str:
    return " ".join(str(reason).split())


if __name__ == "__main__":
    main()
