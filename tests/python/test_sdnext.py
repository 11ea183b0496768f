"""Sonar among SD.Next's samplers: with its own lists at SDNEXT_PATH, or in a small host with lists of that kind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sonar_sampler.listed import LISTED
from sonar_sampler.presets import PRESETS

CONTRACT = Path(__file__).parents[1] / "sdnext_host" / "contract.py"
ONCE = [listed for listed in LISTED.values() if listed.facts.calls == 1]
NAMES = {
    "sd1": [f"Sonar {listed.label}" for listed in ONCE],
    "sd3": [f"Sonar {listed.label}" for listed in ONCE if listed.facts.flows],
}


@pytest.fixture(scope="module")
def told():
    done = subprocess.run(
        [sys.executable, CONTRACT], capture_output=True, text=True, check=False, timeout=300, env=os.environ
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_they_are_added_at_the_end_once_and_nothing_moves(told):
    lists = told[0]
    count = len(lists["before"])
    added = lists["names"][count:]
    assert lists["names"][:count] == lists["before"]
    assert sorted(added) == sorted([*NAMES["sd1"], *(f"{name} FlowMatch" for name in NAMES["sd3"])])
    assert {name.lower() for name in added} <= set(lists["map"])


def test_each_samples_as_the_scheduler_that_it_is(told):
    """Both kinds of models, made by the host from the model's own scheduler, against what diffusers makes."""
    assert [(run["family"], run["name"]) for run in told[1:]] == [(of, name) for of in NAMES for name in NAMES[of]]
    for run in told[1:]:
        assert run["told"] == [], run
        assert run["difference"] == 0, run
        assert run["spread"] > 0.01, run
        assert run["class"] == {"sd1": "SonarScheduler", "sd3": "SonarFlowMatchScheduler"}[run["family"]]


def test_their_options_are_those_of_their_rows(told):
    for run in told[1:]:
        listed = next(listed for listed in LISTED.values() if run["name"] == f"Sonar {listed.label}")
        assert run["sampler"] == listed.solver
        for name, value in (PRESETS[listed.preset].options if listed.preset else {"momentum_mode": "classic"}).items():
            assert run[name] == value, (run, name)
