"""The cases in the page of a real webui."""

from webui.page_cases import *  # noqa: F403
