"""Here so that pytest puts this folder on the path: tests of both webuis share webui/jobs.py."""
