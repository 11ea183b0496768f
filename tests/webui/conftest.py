"""The real webui that `--webui` names; everything here is skipped without it."""

import time

import pytest

from webui.client import Webui
from webui.real import open_webui


@pytest.fixture(scope="session")
def _real(request, tmp_path_factory):
    where = request.config.getoption("--webui")
    if not where:
        pytest.skip("no real webui: give --webui URL, or the root of an installed one")
    with open_webui(where, tmp_path_factory.mktemp("webui")) as url:
        yield Webui(url)


@pytest.fixture
def webui(_real):
    return _real


@pytest.fixture
def slow_model():
    """A real model is slow enough."""
    time.sleep(0)
