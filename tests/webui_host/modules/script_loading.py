"""Script files are executed; they do not enter `sys.modules`."""

import importlib.util
from pathlib import Path

loaded_scripts = {}


def load_module(path):
    spec = importlib.util.spec_from_file_location(Path(path).name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded_scripts[path] = module
    return module
