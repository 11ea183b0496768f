"""A row of the list."""

from collections import namedtuple

SamplerData = namedtuple("SamplerData", ["name", "constructor", "aliases", "options"])
flow_models = ["sd3", "f1"]
