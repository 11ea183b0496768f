"""Tests of the webui extension that run against the test host and, with `pytest tests/webui --webui URL`, a real webui."""
