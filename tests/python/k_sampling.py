"""The samplers of the real k-diffusion, without its training code, whose imports take most of the time."""

import importlib
import importlib.util
import sys
import warnings


def load():
    spec = importlib.util.find_spec("k_diffusion")
    sys.modules.setdefault("k_diffusion", importlib.util.module_from_spec(spec))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies use what others have deprecated
        return importlib.import_module("k_diffusion.sampling")
