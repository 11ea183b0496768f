"""The webui's fixtures; nothing is started before a test asks for one."""

from webui.fixtures import browser, host, page, pytest_addoption, test_host, webui

__all__ = ["browser", "host", "page", "pytest_addoption", "test_host", "webui"]
