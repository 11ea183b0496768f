"""The cases in the page of the test host, in both forms of the script."""

from webui.page_cases import *  # noqa: F403
