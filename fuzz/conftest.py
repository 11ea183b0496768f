"""The fuzzers share the runs and the profiles of the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "python"))

import profiles

profiles.load()
