"""Two checkpoints and the change from one to the other."""

import contextlib

from modules import shared, tiny_model

checkpoints = {"tiny": 0.0, "tiny2": 0.7}
_loaded = {}


def load(name="tiny"):
    if name not in _loaded:
        _loaded[name] = tiny_model.TinyModel(name, checkpoints[name])
    shared.sd_model = _loaded[name]
    return shared.sd_model


def get_closet_checkpoint_match(name):
    load_before = shared.sd_model
    if name.split(".")[0] not in checkpoints:
        return None
    info = load(name.split(".")[0]).sd_checkpoint_info
    shared.sd_model = load_before
    return info


def reload_model_weights(sd_model=None, info=None, forced_reload=False):
    return load(info.name_for_extra if info else "tiny")


@contextlib.contextmanager
def SkipWritingToConfig():
    yield
