"""What the host's modules and its extensions share: settings, the running job, the model, errors that were logged."""

import argparse
import json
import sys
import traceback
from pathlib import Path

from modules import devices

cmd_opts = argparse.Namespace(kind=None, disable_nan_check=False)
device = devices.device
sd_model = config_filename = None
sd_upscalers = []  # bound anew after the extensions' scripts were loaded
reported: list[str] = []
"""For tests: what went wrong without ending a job."""


def report(message):
    reported.append(f"{message}\n{traceback.format_exc()}")
    print("***", reported[-1], file=sys.stderr)


class OptionInfo:
    def __init__(self, default=None, label="", component=None, component_args=None, onchange=None, section=None):
        self.default, self.label, self.onchange, self.section = default, label, onchange, section
        self.component, self.component_args, self.comment_after = component, component_args, ""

    def info(self, info):
        self.comment_after += f"<span class='info'>({info})</span>"
        return self

    def needs_reload_ui(self):
        return self.info("requires Reload UI")


class Options:
    def __init__(self, data):
        self.__dict__.update(data=data, data_labels={key: OptionInfo(value, key) for key, value in data.items()})

    def __setattr__(self, key, value):
        self.data[key] = value

    def __getattr__(self, key):
        if key in self.data:
            return self.data[key]
        raise AttributeError(f"'Options' object has no attribute '{key}'")

    def add_option(self, key, info):
        self.data_labels[key] = info
        self.data.setdefault(key, info.default)

    def set(self, key, value):
        """Stores a value, or takes it back if its check raises; whether it changed."""
        old = self.data.get(key)
        if old == value:
            return False
        self.data[key] = value
        try:
            if self.data_labels[key].onchange:
                self.data_labels[key].onchange()
        except Exception:
            self.data[key] = old
            return False
        return True

    def save(self, filename):
        Path(filename).write_text(json.dumps(self.data), encoding="utf-8")


opts = Options(
    {
        "grid_save": True,
        "grid_format": "png",
        "eta_ancestral": 1.0,
        "eta_noise_seed_delta": 0,
        "s_churn": 0.0,
        "s_tmin": 0.0,
        "s_tmax": 0.0,
        "s_noise": 1.0,
        "sgm_noise_multiplier": False,
        "always_discard_next_to_last_sigma": False,
        "img2img_extra_noise": 0.0,
    }
)


class State:
    """The running job."""

    def begin(self):
        self.job_no, self.job_count, self.sampling_step = 0, -1, 0
        self.interrupted, self.skipped, self.textinfo = False, False, None

    def nextjob(self):
        self.job_no += 1
        self.sampling_step = 0

    def interrupt(self):
        self.interrupted = True


state = State()
state.begin()
