import importlib.util
import signal

import pytest

import k_sampling
import left_out
import profiles

# diffusers needs Python 3.11.
collect_ignore_glob = [] if importlib.util.find_spec("diffusers") else ["test_quality.py", "test_diffusers_*.py"]

profiles.load()
k_sampling.without_training()


@pytest.fixture
def interruptible():
    """SIGINT as in a terminal, for this process and its children: a background job inherits it as ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def _host():
    pytest.importorskip("k_diffusion")
    import hosted

    hosted.check_package()
    return hosted.Host()


@pytest.fixture
def host(_host):
    """The small webui as it starts: the script in the dropdown, settings as installed."""
    import k_diffusion.sampling
    import torch

    _host.reset()
    _host.use("Script dropdown")
    yield _host
    _host.reset()
    k_diffusion.sampling.torch = torch  # which a job replaces; other tests use it without a host


def pytest_terminal_summary(terminalreporter):
    left_out.report(terminalreporter)
