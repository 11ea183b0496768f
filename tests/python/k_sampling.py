"""The samplers of the real k-diffusion, without its training code, whose imports take most of the time."""

import importlib
import importlib.util
import sys
import types
import warnings


def without_training():
    """Makes `import k_diffusion.sampling` read that file alone; what the training code imports is not installed."""
    if "k_diffusion" not in sys.modules and (spec := importlib.util.find_spec("k_diffusion")) is not None:
        package = types.ModuleType("k_diffusion")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["k_diffusion"] = package


def load():
    without_training()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies use what others have deprecated
        return importlib.import_module("k_diffusion.sampling")
