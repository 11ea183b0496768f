"""Tests of the webui extension for the test host and, with `pytest tests/webui --webui URL`, for a real webui."""
