"""What `import sonar_sampler` costs a host that starts: little time, and no other library than numpy."""

import subprocess
import sys

IMPORT = """
import sys, time
import numpy
before, begin = set(sys.modules), time.process_time()
import sonar_sampler
print(time.process_time() - begin, *sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def imported():
    out = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True, timeout=60).stdout
    seconds, *names = out.split()
    return float(seconds), set(names)


def test_the_import_takes_less_than_50_ms_beyond_numpys():
    assert min(imported()[0] for _ in range(5)) < 0.05


def test_the_import_needs_only_numpy_and_the_standard_library():
    assert imported()[1] - sys.stdlib_module_names - {"numpy"} == {"sonar_sampler"}
