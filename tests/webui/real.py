"""A real webui: one that runs, or one that is started from its folder."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from webui.client import Webui
from webui.jobs import FORMS

ROOT = Path(__file__).resolve().parents[2]
READY = "Startup time"
FLAGS = "--api --skip-torch-cuda-test --use-cpu all --no-half --skip-version-check --no-download-sd-model"


def is_url(where):
    return where.startswith(("http://", "https://"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def open_webui(where, folder, form=None):
    """A webui; `where` is its URL, or the folder that has launch.py.

    Started from a folder, it runs with the project as its only extension in that form, data in `folder`, with the flags
    of SONAR_WEBUI_FLAGS after ours (its checkpoint, for example), by the interpreter SONAR_WEBUI_PYTHON.
    """
    if is_url(where):
        yield connected(where)
        return
    root = Path(where).resolve()
    if not (root / "launch.py").is_file():
        pytest.fail(f"--webui {where}: neither a URL nor a folder with launch.py")
    (folder / "extensions").mkdir()
    (folder / "extensions" / "sonar").symlink_to(ROOT, target_is_directory=True)
    (folder / "config.json").write_text(json.dumps({"hires_fix_show_sampler": True, "sonar_form": form}))
    own = root / "venv" / "bin" / "python"
    python = os.environ.get("SONAR_WEBUI_PYTHON") or str(own if own.exists() else sys.executable)
    port = free_port()
    flags = [*shlex.split(FLAGS), "--port", str(port), "--data-dir", str(folder)]
    flags += shlex.split(os.environ.get("SONAR_WEBUI_FLAGS", ""))
    environment = {**os.environ, "GRADIO_ANALYTICS_ENABLED": "False", "PYTHONUNBUFFERED": "1"}
    environment.setdefault("OMP_NUM_THREADS", "1")
    log = folder / "webui.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [python, "-u", "launch.py", *flags],
            cwd=root,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + float(os.environ.get("SONAR_WEBUI_WAIT", "300"))
        while READY not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the webui did not start:\n{log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.5)
        webui = connected(f"http://127.0.0.1:{port}")
        assert webui.is_dropdown == (form == FORMS[0])
        yield webui
    finally:
        stop(process)


def stop(process):
    """Ends the webui and what it started: extensions are installed by child processes."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(30)
    process.kill()


def connected(url):
    """The webui at a URL; says what is missing before dozens of tests fail for it."""
    webui = Webui(url)
    try:
        known = webui.get("scripts")
    except requests.RequestException as e:
        pytest.fail(f"{url}: no webui with --api answers there ({e})")
    if "sonar" not in known["txt2img"]:
        pytest.fail(f"{url}: the webui runs, but has no Sonar: {known['txt2img']}")
    # Without its package the script is there in both forms at once.
    if sum(script["name"] == "sonar" for script in webui.get("script-info")) != 2:
        pytest.fail(f"{url}: the webui has Sonar's panel, but not its package: the panel says why")
    return webui
