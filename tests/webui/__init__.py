"""Tests of the webui extension in a real webui: `make webui WEBUI=FOLDER-OR-URL`."""
