"""A webui to test: the test host in this process, or a real one that the command line names."""

import gc
import importlib.util
import os
import shutil
import socket
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest

from webui.client import JOB, Webui

ROOT = Path(__file__).resolve().parents[2]
HOST_ROOT = ROOT / "tests" / "webui_host"
FORMS = ["Script dropdown", "Accordion with Enable"]

# gradio 3, k-diffusion and their neighbours warn about each other; nothing of ours is meant by these.
_WARNERS = (
    "gradio|gradio_client|fastapi|starlette|pydantic|websockets|uvicorn|altair|jsonschema|clip|pkg_resources|httpx"
)
THIRD_PARTY_WARNINGS = [
    f"ignore::DeprecationWarning:({_WARNERS})",
    f"ignore::UserWarning:({_WARNERS}|torch)",
    "ignore::PendingDeprecationWarning",
    "ignore::ResourceWarning",
]


def pytest_addoption(parser):
    parser.addoption("--webui", help="URL of a running webui with Sonar and --api, or the root of an installed one")


def pytest_collection_modifyitems(items):
    for item in items:
        if "_real" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(600))
        if {"test_host", "_real"} & set(getattr(item, "fixturenames", ())):
            for warning in THIRD_PARTY_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def check_package():
    """With a package of other sources the panel has nothing but a note, and every test here would fail for it."""
    spec = importlib.util.spec_from_file_location("sonar_install", ROOT / "install.py")
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    if (problem := install.problem()) is not None:
        pytest.fail(f"{problem} Here: `maturin develop --release`, or install the checkout again.", pytrace=False)


class TestHost:
    """The test host in this process, with the project as its extension."""

    __test__ = False

    def __init__(self, data_dir):
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        check_package()
        sys.path.insert(0, str(HOST_ROOT))
        self.data_dir, self.port = data_dir, free_port()
        self.initialize = self.module("initialize")
        self.client = Webui(self.initialize.start(data_dir, [ROOT], self.port))
        assert self.client.script("sonar")["args"], self.client.script("sonar")
        self.shared = self.module("shared")
        self.settings = dict(self.shared.opts.data)

    @staticmethod
    def module(name):
        return importlib.import_module(f"modules.{name}")

    def reload(self, **settings):
        """Changes settings and presses "Reload UI"."""
        for key, value in settings.items():
            assert key in self.shared.opts.data_labels, key
            self.shared.opts.set(key, value)
        self.initialize.reload(self.port)

    def use(self, form):
        if self.client.is_dropdown != (form == FORMS[0]):
            self.reload(sonar_form=form)

    def reset(self):
        """Nothing of the last test is left."""
        for key, value in self.settings.items():
            if key != "sonar_form":
                self.shared.opts.set(key, value)
        self.shared.cmd_opts.kind = None
        self.shared.state.interrupted = False
        self.module("tiny_model").delay = 0.0
        self.module("sd_models").load()
        for listed in (self.module("errors").reported, self.module("images").saved, self.module("images").annotated):
            listed.clear()

    @property
    def reported(self):
        return self.module("errors").reported

    def make(self, kind="txt2img", **fields):
        """A job of the host, as its page makes it, without any script's arguments."""
        fields = {**JOB, "do_not_save_samples": True, "do_not_save_grid": True, **fields}
        return self.module("jobs").make_job(kind, fields)

    def run(self, kind="txt2img", sonar=None, **fields):
        """Runs a job in this thread: what it processed, and the latent that each pass ended with."""
        args = list(self.shared.api.defaults[kind])
        p = self.make(kind, **fields)
        if sonar is not None:
            script = p.scripts.script("sonar")
            if not script.alwayson:
                args[0] = p.scripts.selectable_scripts.index(script) + 1
            args[script.args_from : script.args_to] = self.client.args(
                {**({"enable": True} if script.alwayson else {}), **sonar}, kind
            )
        sampler, latents = self.module("sd_samplers_common").Sampler, []
        launch = sampler.launch_sampling

        def launch_and_keep(*given):
            latents.append(launch(*given).clone())
            return latents[-1]

        sampler.launch_sampling = launch_and_keep
        self.shared.state.begin()
        try:
            processed = self.module("jobs").run_job(p, args)
        finally:
            self.shared.state.end()
            sampler.launch_sampling = launch
        return SimpleNamespace(processed=processed, latents=latents, latent=latents[-1] if latents else None, p=p)


@pytest.fixture(scope="session")
def test_host(tmp_path_factory):
    pytest.importorskip("gradio")
    pytest.importorskip("k_diffusion")
    host = TestHost(tmp_path_factory.mktemp("webui"))
    yield host
    host.shared.demo.close()
    with warnings.catch_warnings():
        # The server leaves the connections of browsers to the collector, which at the end of the tests is an error.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def host(test_host):
    """The test host as it starts: the script in the dropdown, settings as installed."""
    test_host.reset()
    test_host.use(FORMS[0])
    yield test_host
    test_host.reset()
    hijacked()


@pytest.fixture
def slow_model(test_host):
    """A model that takes its time, so that a job can be watched and interrupted."""
    model = test_host.module("tiny_model")
    model.delay = 0.03
    yield
    model.delay = 0.0


def hijacked():
    """Other tests use k-diffusion without a host."""
    import k_diffusion.sampling
    import torch

    k_diffusion.sampling.torch = torch


@pytest.fixture(scope="session", params=FORMS, ids=["dropdown", "accordion"])
def form(request):
    return request.param


@pytest.fixture
def webui(test_host, form):
    """The test host over HTTP, in both forms of the script."""
    test_host.reset()
    test_host.use(form)
    yield test_host.client
    hijacked()


def chromium():
    """Where the browser is; a test without one is skipped, or fails where browsers are promised."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    path = os.environ.get("SONAR_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        reason = f"no browser: none of {', '.join(names)} is on the PATH"
        if os.environ.get("CI") or os.environ.get("SONAR_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def browser():
    path = chromium()
    sync_api = pytest.importorskip("playwright.sync_api", reason="no browser: playwright is not installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    flags += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"]
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
