"""How long the property tests and fuzzers look: `SONAR_FUZZ=long` searches for new inputs, else a short fixed run."""

import os

from hypothesis import HealthCheck, settings

_CALM = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)

settings.register_profile("short", deadline=None, derandomize=True, max_examples=60, suppress_health_check=_CALM)
settings.register_profile(
    "long",
    deadline=None,
    max_examples=int(os.environ.get("SONAR_FUZZ_EXAMPLES", "20000")),
    print_blob=True,
    suppress_health_check=_CALM,
)


def load():
    settings.load_profile("long" if os.environ.get("SONAR_FUZZ") == "long" else "short")
