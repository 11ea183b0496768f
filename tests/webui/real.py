"""A real webui: one that runs, or one that is started from its folder."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from webui.fixtures import ROOT, free_port

READY = "Startup time"
FLAGS = "--api --skip-torch-cuda-test --use-cpu all --no-half --skip-version-check --no-download-sd-model"


@contextlib.contextmanager
def open_webui(where, folder):
    """The URL of a webui; `where` is one, or the folder that has launch.py.

    Started from a folder, it runs with the project as its only extension and data in `folder`, with the flags of
    SONAR_WEBUI_FLAGS after ours (its checkpoint, for example), by the interpreter SONAR_WEBUI_PYTHON.
    """
    if where.startswith(("http://", "https://")):
        check(where)
        yield where
        return
    root = Path(where).resolve()
    if not (root / "launch.py").is_file():
        pytest.fail(f"--webui {where}: neither a URL nor a folder with launch.py")
    (folder / "extensions").mkdir()
    (folder / "extensions" / "sonar").symlink_to(ROOT, target_is_directory=True)
    (folder / "config.json").write_text('{"hires_fix_show_sampler": true}')
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
        url = f"http://127.0.0.1:{port}"
        check(url)
        yield url
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


def check(url):
    """Says what is missing before dozens of tests fail for it."""
    try:
        response = requests.get(f"{url.rstrip('/')}/sdapi/v1/scripts", timeout=30)
        response.raise_for_status()
    except requests.RequestException as e:
        pytest.fail(f"{url}: no webui with --api answers there ({e})")
    if "sonar" not in response.json()["txt2img"]:
        pytest.fail(f"{url}: the webui runs, but has no Sonar: {response.json()['txt2img']}")
