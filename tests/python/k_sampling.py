"""The samplers of the real k-diffusion, without its training code, whose imports take most of the time."""

import importlib
import importlib.util
import sys
import types
import warnings


def load():
    spec = importlib.util.find_spec("k_diffusion")
    package = types.ModuleType("k_diffusion")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules.setdefault("k_diffusion", package)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies use what others have deprecated
        return importlib.import_module("k_diffusion.sampling")
