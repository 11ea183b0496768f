import signal

import pytest

import k_sampling
import left_out
import profiles

profiles.load()
k_sampling.without_training()


@pytest.fixture
def interruptible():
    """SIGINT as in a terminal, for this process and its children: a background job inherits it as ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_collection_modifyitems(items):
    """The web UI's test host takes seconds to start: with several workers one has it and all of its tests."""
    for item in items:
        if "test_host" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("webui"))


def pytest_terminal_summary(terminalreporter):
    left_out.report(terminalreporter)
