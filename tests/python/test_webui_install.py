"""install.py as the webui runs it: a child process at each start, real wheels over https, the real compiled core.

Only cargo is a fake: a script that says what the real one says.
"""

import contextlib
import hashlib
import http.server
import importlib.util
import io
import json
import os
import shutil
import ssl
import stat
import subprocess
import sysconfig
import threading
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "sonar_sampler-9-py3-none-any.whl"


def load(path):
    spec = importlib.util.spec_from_file_location("sonar_install_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def core():
    """The core that the developer built: its file name, contents and mark."""
    install = load(ROOT / "install.py")
    (file,) = [path for path in (ROOT / "python" / "sonar_sampler").glob("_core*.*") if path.suffix in (".so", ".pyd")]
    content = file.read_bytes()
    assert install.source().encode() in content, "the compiled core is old: make build"
    return file.name, content, install.source()


class Server:
    """An https server on the loopback address, whose certificate SSL_CERT_FILE makes known to a child process."""

    def __init__(self, folder):
        self.certificate, key = folder / "certificate.pem", folder / "key.pem"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {self.certificate}"
        subprocess.run(command.split(), check=True, capture_output=True)
        self.files, outer = {}, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                content = outer.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.end_headers()
                with contextlib.suppress(OSError):
                    for part in content or ():
                        self.wfile.write(part)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make the certificate of an https server")
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


def zipped(**files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.fixture(scope="session")
def webui_python(tmp_path_factory):
    """A Python that has of ours only what a webui's has too; Sonar is not among it."""
    folder = tmp_path_factory.mktemp("python")
    venv.create(folder)
    paths = {"base": str(folder), "platbase": str(folder)}
    site, ours = Path(sysconfig.get_path("purelib", vars=paths)), Path(pytest.__file__).parents[1]
    for name in ("packaging", "numpy", "numpy.libs"):
        if (ours / name).exists():
            (site / name).symlink_to(ours / name)
    binary = Path(sysconfig.get_path("scripts", vars=paths)) / f"python{sysconfig.get_config_var('EXE') or ''}"
    return binary, site


class Checkout:
    """A copy of what a webui's extension folder has, without anything compiled."""

    def __init__(self, folder, core, webui_python):
        self.folder, self.root, self.elsewhere = folder, folder / "extensions" / "sonar", folder / "webui"
        self.core_name, self.core, self.mark = core
        self.binary, self.site = webui_python
        self.elsewhere.mkdir()
        for name in ("Cargo.toml", "Cargo.lock", "build.rs", "install.py"):
            self.copy(name)
        for path in [*(ROOT / "src").rglob("*.rs"), *(ROOT / "python").rglob("*.py")]:
            self.copy(path.relative_to(ROOT))
        self.environment = {**os.environ, "PATH": "", "HOME": str(folder), "USERPROFILE": str(folder)}

    def copy(self, name):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, self.root / name)

    def change(self, name):
        with (self.root / name).open("a") as file:
            file.write("\n# changed\n" if name.endswith((".py", ".toml", ".lock")) else "\n// changed\n")

    def source(self):
        return load(self.root / "install.py").source()

    def wheel(self, core=None):
        """A wheel with a core that was made from the sources as they are now."""
        core = self.core.replace(self.mark.encode(), self.source().encode()) if core is None else core
        return zipped(**{f"sonar_sampler/{self.core_name}": core, "sonar_sampler/__init__.py": b"raise SystemExit"})

    def offer(self, server, wheel=None, name=WHEEL, listed=None, **entry):
        """Puts a wheel on the server and into wheels.json."""
        wheel = self.wheel() if wheel is None else wheel
        server.files[f"/{name}"] = [wheel]
        self.environment["SSL_CERT_FILE"] = str(server.certificate)
        entry = {"name": name, "url": f"{server.url}/{name}", "sha256": hashlib.sha256(wheel).hexdigest(), **entry}
        wheels = {"source": self.source(), "wheels": [entry], **(listed or {})}
        (self.root / "wheels.json").write_text(json.dumps(wheels))

    def cargo(self, said="", makes=None):
        """A cargo that complains, or makes a core."""
        folder = self.folder / ".cargo" / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["#!/bin/sh", 'echo "$@" > "$HOME/asked"', "/bin/cat >&2 <<'END'", said, "END"]
        if makes is not None:
            (folder / "made").write_bytes(makes)
            message = '{"reason": "compiler-artifact", "target": {"name": "sonar_sampler"}, "filenames": ["%s"]}'
            lines += [f'/bin/cp {folder / "made"} "$CARGO_TARGET_DIR/lib.so"', 'echo "   Compiling"']
            lines += [f'''printf '{message % "%s"}\\n' "$CARGO_TARGET_DIR/lib.so"''']
        lines += [f"exit {101 if makes is None else 0}", ""]
        (folder / "cargo").write_text("\n".join(lines))
        (folder / "cargo").chmod(stat.S_IRWXU)

    def python(self, *arguments):
        return subprocess.run(
            [str(self.binary), *map(str, arguments)],
            capture_output=True, text=True, timeout=60, cwd=self.elsewhere, env=self.environment, check=False,
        )  # fmt: skip

    def start(self):
        """What install.py prints at a start of the webui."""
        done = self.python(self.root / "install.py")
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert all(line.startswith("Sonar") for line in lines), lines
        return lines

    def use(self, code="import sonar_sampler as s; print('used', s.__file__, s.Stepper.__name__)"):
        """What scripts/sonar.py does in the webui's own process: the problem, or what the code prints."""
        done = self.python("-c", f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("sonar_install", {str(self.root / "install.py")!r})
install = importlib.util.module_from_spec(spec)
spec.loader.exec_module(install)
path = list(sys.path)
if (why := install.load()) is not None:
    print("problem", why)
else:
    assert sys.path == path
    exec({code!r})
""")  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.strip()

    def works(self):
        return self.use() == f"used {self.root / 'python' / 'sonar_sampler' / '__init__.py'} Stepper"

    def files(self):
        return {path.relative_to(self.folder).parts[:4] for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def checkout(tmp_path, core, webui_python):
    return Checkout(tmp_path, core, webui_python)


@pytest.fixture
def installed(checkout, server):
    """A checkout that got its core from a wheel, which the server no longer has."""
    checkout.offer(server)
    checkout.start()
    server.files.clear()
    return checkout


def test_a_listed_wheel_gives_the_core_and_leaves_nothing_outside_the_extension(checkout, server):
    before, packages = checkout.files(), sorted(checkout.site.iterdir())
    checkout.offer(server)
    assert checkout.start() == [f"Sonar: installed {WHEEL}"]
    assert checkout.works()
    new = {parts for parts in checkout.files() - before if "__pycache__" not in parts}
    kept = Path(next(iter((checkout.root / ".sonar").iterdir()))).name
    assert new == {("extensions", "sonar", ".sonar", kept), ("extensions", "sonar", "wheels.json")}
    assert sorted(checkout.site.iterdir()) == packages


def test_nothing_happens_if_the_core_is_current(installed):
    assert installed.start() == []
    assert installed.works()


def test_a_core_that_a_developer_built_in_place_is_used(checkout):
    (checkout.root / "python" / "sonar_sampler" / checkout.core_name).write_bytes(checkout.core)
    assert checkout.start() == []
    assert checkout.works()
    assert not (checkout.root / ".sonar").exists()


def test_an_update_of_python_files_needs_no_wheel_and_no_rust(installed):
    with (installed.root / "python" / "sonar_sampler" / "__init__.py").open("a") as file:
        file.write("\nUPDATED = 'yes'\n")
    (installed.root / "python" / "sonar_sampler" / "new.py").write_text("")
    assert installed.start() == []
    assert installed.use("import sonar_sampler, sonar_sampler.new; print(sonar_sampler.UPDATED)") == "yes"


@pytest.mark.parametrize("change", ["src/lib.rs", "src/py/mod.rs", "Cargo.toml", "Cargo.lock", "build.rs"])
def test_an_update_of_compiled_sources_brings_a_new_core(installed, server, change):
    (old,) = (installed.root / ".sonar").iterdir()
    installed.change(change)
    assert installed.use().startswith("problem its compiled part is missing")
    installed.offer(server)
    assert installed.start() == [f"Sonar: installed {WHEEL}"]
    assert installed.works()
    (new,) = (installed.root / ".sonar").iterdir()
    assert new != old


def test_line_ends_do_not_matter(installed):
    path = installed.root / "src" / "lib.rs"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert installed.start() == []
    assert installed.works()


def test_an_older_installation_by_pip_does_not_win_and_can_be_removed(checkout, server):
    site = checkout.folder / "site"
    (site / "sonar_sampler").mkdir(parents=True)
    (site / "sonar_sampler" / "__init__.py").write_text("raise SystemExit('the old one')")
    (site / "sonar_sampler-0.1.0.dist-info").mkdir()
    (site / "sonar_sampler-0.1.0.dist-info" / "METADATA").write_text("Name: sonar-sampler\nVersion: 0.1.0\n")
    checkout.environment["PYTHONPATH"] = str(site)
    checkout.offer(server)
    _installed, note = checkout.start()
    assert "sonar-sampler 0.1.0" in note
    assert "pip uninstall sonar-sampler" in note
    assert checkout.works()
    assert checkout.start() == []


def test_another_package_of_the_name_that_is_loaded_already_is_named(installed):
    (installed.elsewhere / "sonar_sampler.py").write_text("")
    code = "for name in [n for n in sys.modules if n.startswith('sonar_sampler')]: del sys.modules[name]\n"
    code += "sys.path.insert(0, ''); import sonar_sampler; print(install.load())"
    said = installed.use(code)
    assert str(installed.elsewhere / "sonar_sampler.py") in said
    assert "pip uninstall sonar-sampler" in said


@pytest.mark.parametrize("change", ["python/sonar_sampler/registry.py", "src/lib.rs"])
def test_an_update_while_the_webui_runs_asks_for_a_restart(installed, change):
    code = f"""
import sonar_sampler
assert install.load() is None
with open({str(installed.root / change)!r}, "a") as file:
    file.write("\\n")
print(install.load())
"""
    assert installed.use(code) == "it was updated while the webui ran. Restart the webui completely."


def why(checkout):
    """The one line of the console, which the webui's panel says too."""
    (line,) = checkout.start()
    assert line.startswith("Sonar is not available: ")
    assert checkout.use() == f"problem {line.removeprefix('Sonar is not available: ')}"
    return line


def test_without_wheel_and_rust_one_line_says_so(checkout):
    assert why(checkout) == (
        "Sonar is not available: there is no ready-made package (no wheels.json), and no Rust to build one: "
        "install Rust from https://rustup.rs and start the webui again."
    )


MALFORMED = ["{", "[]", '{"source": 1, "wheels": 5}', '{"wheels": [{}]}', "\xff", "[" * 100_000, '{"wheels": []}']
MALFORMED += ['{"source": "", "wheels": [{"name": "x", "url": "", "sha256": ""}]}']
MALFORMED += ['{"source": "", "wheels": [{"name": 5, "url": "", "sha256": ""}]}']


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_list(checkout, text):
    (checkout.root / "wheels.json").write_bytes(text.encode("latin-1"))
    assert "wheels.json is malformed (" in why(checkout)
    assert len(why(checkout)) < 400


def test_each_way_that_a_wheel_can_be_wrong_has_its_reason(checkout, server):
    def said(**offer):
        checkout.offer(server, **offer)
        line = why(checkout)
        assert "https://rustup.rs" in line
        return line

    url = f"{server.url}/{WHEEL}"
    assert "of other sources than this checkout" in said(listed={"source": "sonar-source:0000000000000000"})
    assert "no ready-made package for Python" in said(name="sonar_sampler-9-cp27-cp27m-win32.whl")
    assert f"{url} does not have the sha256 of wheels.json" in said(sha256="0" * 64)
    assert "http://127.0.0.1/x is not https" in said(url="http://127.0.0.1/x")
    assert "file:///etc/passwd is not https" in said(url="file:///etc/passwd")
    assert "could not be fetched (HTTP Error 404: Not Found)" in said(url=f"{server.url}/nothing")
    assert "could not be fetched ([Errno" in said(url="https://127.0.0.1:9/x")
    assert "could not be fetched (" in said(url="https://127.0.0.1:nine/x")
    assert "could not be fetched (" in said(url="https://[/x")
    other = checkout.core.replace(checkout.mark.encode(), b"sonar-source:0000000000000000")
    assert f"{WHEEL} was made from other sources than this checkout" in said(wheel=checkout.wheel(core=other))
    assert f"{WHEEL} is not a wheel (File is not a zip file)" in said(wheel=b"no zip")
    assert f"{WHEEL} has no compiled module" in said(wheel=zipped(**{"sonar_sampler/__init__.py": b""}))
    no_module = b"not a module " + checkout.mark.encode()
    assert f"{WHEEL} does not load: ImportError: " in said(wheel=checkout.wheel(core=no_module))
    del checkout.environment["SSL_CERT_FILE"]
    assert "certificate verify failed" in why(checkout)


def test_a_server_without_end_is_left(checkout, server):
    checkout.offer(server)
    server.files[f"/{WHEEL}"] = iter(lambda: b"0" * 2**20, None)
    assert "is too large or too slow" in why(checkout)


def test_cargo_builds_the_core_if_no_wheel_fits(checkout):
    checkout.cargo(makes=checkout.core)
    building, installed = checkout.start()
    assert building == (
        "Sonar: there is no ready-made package (no wheels.json); building it with Rust, which takes a few minutes once"
    )
    assert installed == "Sonar: installed what was built here"
    assert checkout.works()
    asked = (checkout.folder / "asked").read_text()
    assert "--locked" in asked
    assert "--release" in asked


def test_a_core_that_does_not_load_is_not_kept(checkout):
    checkout.cargo(makes=b"nothing " + checkout.mark.encode())
    assert "what was built here does not load: ImportError: " in checkout.start()[-1]
    assert [path.name for path in (checkout.root / ".sonar").iterdir()] == ["problem.txt"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "   Updating crates.io index\nerror: failed to get `ndarray`\n\nCaused by:\n  download failed"
            "\n\nCaused by:\n  [7] Could not connect to server (Failed to connect to 127.0.0.1 port 9)\n",
            "error: failed to get `ndarray`: [7] Could not connect to server (Failed to connect to 127.0.0.1 port 9)",
        ),
        (
            "error: rustc 1.75.0 is not supported by these packages:\n  sonar-sampler@0.1.0 requires rustc 1.89",
            "error: rustc 1.75.0 is not supported by these packages: sonar-sampler@0.1.0 requires rustc 1.89, "
            "so update Rust with `rustup update`",
        ),
        (
            "   Compiling libc\nerror: linker `cc` not found\n  |\n  = note: No such file or directory (os error 2)\n\n"
            "error: could not compile `libc` (build script) due to 1 previous error\n",
            "error: linker `cc` not found",
        ),
        ("killed", "killed"),
        ("", "no reason given"),
    ],
    ids=["dead index", "old Rust", "no linker", "no error", "nothing"],
)
def test_a_build_that_fails_has_its_reason(checkout, said, reason):
    checkout.cargo(said)
    line = checkout.start()[-1]
    assert line.endswith(f"(no wheels.json), and the build failed: {reason}")
    assert checkout.use() == f"problem {line.removeprefix('Sonar is not available: ')}"


def test_a_reason_is_not_told_of_newer_sources(checkout):
    why(checkout)
    checkout.change("src/lib.rs")
    assert "without --skip-install" in checkout.use()


def test_a_reason_goes_when_the_core_comes(checkout, server):
    why(checkout)
    checkout.offer(server)
    checkout.start()
    assert not (checkout.root / ".sonar" / "problem.txt").exists()


def test_it_never_raises_on_a_system_that_refuses(checkout, server):
    (checkout.root / ".sonar").write_text("a file where the folder should be")
    checkout.offer(server)
    (line,) = checkout.start()
    assert line.startswith("Sonar is not available: NotADirectoryError: ")
    assert str(checkout.root) in checkout.use()


def test_a_damaged_core_is_replaced(installed, server):
    (file,) = (installed.root / ".sonar").glob("*/*")
    file.write_bytes(b"damaged")
    installed.offer(server)
    assert installed.start() == [f"Sonar: installed {WHEEL}"]
    assert installed.works()


def test_two_compiled_modules_are_not_trusted(installed):
    (file,) = (installed.root / ".sonar").glob("*/*")
    shutil.copy(file, file.with_name("_core.cpython-310.so"))
    assert "is missing" in installed.use()
