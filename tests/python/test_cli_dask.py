"""Pictures made by a real Dask cluster of two processes are those of one process, and a killed worker loses nothing."""

import importlib.metadata
import os
import signal
import socket
import sys
import threading
import time

import pytest

from command import QUICK, made, refused
from test_cli_workers import GRID, OWN, Started, files, finished, wait_for

pytestmark = pytest.mark.xdist_group("workers")

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs="CRITICAL"
    ) as cluster:
        yield cluster


@pytest.fixture
def dask(cluster):
    """The options that name the cluster."""
    return ["--dask", cluster.scheduler_address]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The grid of one process."""
    folder = tmp_path_factory.mktemp("alone")
    made(*GRID, out=folder)
    return folder


def another_version(_name):
    return "0.0.1"


def no_sonar(name):
    raise importlib.metadata.PackageNotFoundError(name)


@pytest.mark.parametrize(("there", "told"), [(another_version, "has Sonar 0.0.1, this is"), (no_sonar, "has no Sonar")])
def test_a_worker_with_another_sonar_or_none_is_named(tmp_path, cluster, dask, there, told):
    def put(function):
        import importlib.metadata

        importlib.metadata.right = getattr(importlib.metadata, "right", importlib.metadata.version)
        importlib.metadata.version = function or importlib.metadata.right

    with distributed.Client(cluster, set_as_default=False) as client:
        distributed.protocol.pickle.cloudpickle.register_pickle_by_value(sys.modules[__name__])
        client.run(put, there)
        try:
            line = refused("txt2img", *QUICK, *dask, out=tmp_path, status=1)
        finally:
            client.run(put, None)
    assert told in line
    assert 'pip install "sonar-sampler[cli]==' in line


def test_ctrl_c_keeps_what_is_done_and_the_same_command_makes_the_rest(tmp_path, alone, dask, interruptible):
    with Started(*GRID, *dask, out=tmp_path) as sonar:
        sonar.wait_for(lambda: finished(tmp_path))
        os.killpg(sonar.run.pid, signal.SIGINT)
        status, told = sonar.ended()
    assert (status, told.count("\n")) == (130, 1)
    kept = {path: path.stat().st_mtime_ns for path in finished(tmp_path)}
    assert 0 < len(kept) < 6
    made(*GRID, *dask, out=tmp_path)
    assert files(tmp_path) == files(alone)
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())


def test_a_sampler_of_ones_own_is_sent_and_loaded_once_in_each_worker(tmp_path, dask):
    log = tmp_path / "loaded"
    (tmp_path / "own.py").write_text(OWN.format(log=str(log), at_08="pass", otherwise="pass"))
    search = ["txt2img", *QUICK, "--count", "6", "--sampler", f"{tmp_path / 'own.py'}:own"]
    made(*search, out=tmp_path / "one")
    log.unlink()
    made(*search, *dask, out=tmp_path / "two")
    assert files(tmp_path / "two") == files(tmp_path / "one")
    loaded = log.read_text().split()
    assert len(loaded) == 2
    assert len(set(loaded)) == 2


@pytest.mark.parametrize(
    ("address", "status", "told"),
    [
        ("cluster", 2, "must be an address such as tcp://"),
        ("http://127.0.0.1:80", 2, "unknown address scheme 'http'"),
        ("tcp://127.0.0.1:{free}", 1, "no Dask scheduler answers there"),
        ("tcp://127.0.0.1:{silent}", 1, "no Dask scheduler answers there"),
    ],
)
def test_an_address_without_a_scheduler_is_told_within_seconds(tmp_path, address, status, told):
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.create_server(("127.0.0.1", 0)) as closed:
        free = closed.getsockname()[1]
        closed.close()
        begin = time.monotonic()
        address = address.format(free=free, silent=silent.getsockname()[1])
        assert told in refused("txt2img", *QUICK, "--dask", address, out=tmp_path, status=status)
    assert time.monotonic() - begin < 20


def test_without_dask_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    line = refused("txt2img", *QUICK, "--dask", "tcp://127.0.0.1:8786", out=tmp_path, status=1)
    assert 'pip install "sonar-sampler[dask]"' in line


def test_a_worker_that_is_killed_loses_nothing(tmp_path, alone, cluster, dask):
    with distributed.Client(cluster, set_as_default=False) as client:
        first, _ = client.run(os.getpid).values()

    def kill():
        wait_for(lambda: finished(tmp_path))
        killed.append(len(finished(tmp_path)))
        os.kill(first, signal.SIGKILL)

    killed = []
    killer = threading.Thread(target=kill)
    killer.start()
    made(*GRID, *dask, out=tmp_path)
    killer.join()
    assert killed < [6]
    assert files(tmp_path) == files(alone)


def test_a_picture_that_ends_every_worker_is_named(tmp_path, dask):
    (tmp_path / "own.py").write_text(OWN.format(log=os.devnull, at_08="os._exit(1)", otherwise="pass"))
    own = ["--momentum", "0.8", "--momentum-hist", "0.5", "--sampler", f"{tmp_path / 'own.py'}:own"]
    line = refused("grid", *QUICK, *own, *dask, out=tmp_path, status=1)
    assert "momentum-0.8-history-0.5: the workers cannot make it: Attempted to run task" in line
