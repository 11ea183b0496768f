"""The cases over HTTP on a real webui."""

from webui.api_cases import *  # noqa: F403
