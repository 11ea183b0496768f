"""The real webui that `--webui` names, in each form of the script that it can have, and its page in a browser."""

import os
import shutil

import pytest

from webui.jobs import FORMS
from webui.real import is_url, open_webui


def pytest_addoption(parser):
    parser.addoption("--webui", help="URL of a running webui with Sonar and --api, or the folder of an installed one")


def pytest_generate_tests(metafunc):
    """A webui that runs has one form; one in a folder is started in both, one after the other."""
    if "real" in metafunc.fixturenames:
        where = metafunc.config.getoption("--webui")
        forms = (
            {"running": None}
            if not where or is_url(where)
            else dict(zip(("dropdown", "accordion"), FORMS, strict=True))
        )
        metafunc.parametrize("real", forms.values(), ids=forms, indirect=True, scope="session")


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.timeout(600))
        # playwright's and requests' own; nothing of ours is meant.
        item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(scope="session")
def real(request, tmp_path_factory):
    where = request.config.getoption("--webui")
    if not where:
        pytest.skip("no real webui: give --webui URL, or the folder of an installed one")
    with open_webui(where, tmp_path_factory.mktemp("webui"), request.param) as webui:
        yield webui


@pytest.fixture
def webui(real):
    return real


def chromium():
    """Where the browser is."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    path = os.environ.get("SONAR_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail(f"no browser: none of {', '.join(names)} is on the PATH, and SONAR_BROWSER names none")
    return path


@pytest.fixture(scope="session")
def browser():
    from playwright import sync_api

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    flags += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"]
    path = chromium()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(webui, browser, tmp_path):
    from webui.page import Page

    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    yield Page(context.new_page(), webui, tmp_path)
    context.close()
