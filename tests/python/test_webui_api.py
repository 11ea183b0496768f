"""The cases over HTTP on the test host, in both forms of the script."""

from webui.api_cases import *  # noqa: F403
