"""The webui's fixtures; nothing is started before a test asks for one."""

import pytest

pytest.register_assert_rewrite("webui.api_cases", "webui.page_cases")

from webui.fixtures import (  # noqa: E402 - after the line above
    browser,
    form,
    host,
    page,
    pytest_addoption,
    pytest_collection_modifyitems,
    slow_model,
    test_host,
    webui,
)

_HOOKS = (pytest_addoption, pytest_collection_modifyitems)
_FIXTURES = (browser, form, host, page, slow_model, test_host, webui)
