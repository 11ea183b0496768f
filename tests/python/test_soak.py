"""A small soak; the large one is `python tests/soak.py`."""

import importlib.util
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("soak", Path(__file__).parent.parent / "soak.py")
soak = sys.modules["soak"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(soak)


def test_mixed_jobs_on_four_threads_with_faults_give_the_bits_of_single_runs():
    wrong, figures = soak.soak(1200, kinds=40)
    assert wrong == []
    assert figures["jobs"] >= 1150
    assert all(figures["faults"][fault] > 10 for fault in soak.FAULTS)


def test_a_soak_finds_what_is_wrong():
    kind = soak.Kind.number(3)
    right = kind.alone()
    assert soak.job(kind, right, "none", 0) is None
    assert "other bits" in soak.job(kind, b"other", "none", 0)
    assert soak.job(kind, right, "answers NaN", 2) is None
    assert "no error" in soak.job(kind, right, "answers NaN", 99)
