"""What an extension's install.py imports from the host."""

import importlib.util
import subprocess
import sys

args = None


def is_installed(package):
    return importlib.util.find_spec(package) is not None


def run_pip(command, desc=None, live=False):
    subprocess.run([sys.executable, "-m", "pip", *command.split(), "--prefer-binary"], check=True)


def git_tag():
    return "test-host"
