"""Forks, the end of the interpreter, and other ends of the process."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

COMMON = """
import os, sys, threading, time
import numpy as np
from sonar_sampler import SonarConfig, initial_noise, sample

def denoise(x, sigma):
    return x * x.dtype.type(0.5)

SMALL, LARGE = initial_noise((1, 4, 16, 16), 1), initial_noise((1, 4, 256, 256), 1)
SIGMAS = [4.0, 2.0, 1.0]

def run(x=SMALL, model=denoise, sigmas=SIGMAS):
    return sample(model, x, sigmas, SonarConfig(), threads=2)
"""


def python(script, timeout=60, **options):
    script = COMMON + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=timeout, check=False, **options
    )


def passes(script):
    done = python(script)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@fork
def test_a_forked_child_makes_the_same_bits_with_threads_of_its_own():
    passes("""
        expected = run(LARGE).tobytes()  # the pool of threads is made
        for _ in range(5):
            child = os.fork()
            if child == 0:
                os._exit(0 if run(LARGE).tobytes() == expected else 1)
            assert os.waitpid(child, 0)[1] == 0
        assert run(LARGE).tobytes() == expected
    """)


@fork
def test_a_fork_inside_of_the_model_ends_the_run_in_both_processes():
    passes("""
        expected = run(LARGE).tobytes()
        children = []

        def forking(x, sigma):
            children.append(os.fork())
            return denoise(x, sigma)

        same = run(LARGE, forking).tobytes() == expected
        if 0 in children:
            os._exit(0 if same else 1)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        assert same
    """)


@fork
def test_a_fork_while_other_threads_sample_leaves_the_child_able_to_and_to_exit():
    passes("""
        expected = run(LARGE).tobytes()
        stop = threading.Event()

        def busy():
            while not stop.is_set():
                run(LARGE)

        threads = [threading.Thread(target=busy) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(5):
            time.sleep(0.01)
            child = os.fork()
            if child == 0:
                threading._shutdown = lambda: None  # the threads of the parent are not here to be joined
                start = time.monotonic()
                import atexit
                atexit.register(lambda: os._exit(0 if time.monotonic() - start < 4 else 3))
                sys.exit(0 if run(LARGE).tobytes() == expected else 1)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
    """)


@fork
def test_the_workers_of_a_forked_pool_make_the_same_bits():
    passes("""
        import multiprocessing

        def work(_):
            return run(LARGE).tobytes()

        expected = work(0)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert set(pool.map(work, range(4))) == {expected}
    """)


@pytest.mark.parametrize("model", ["denoise", "sleeping", "steppers"])
def test_the_interpreter_may_end_while_daemon_threads_sample(model):
    done = python(f"""
        from sonar_sampler import Stepper

        def sleeping(x, sigma):
            time.sleep(0.001)
            return denoise(x, sigma)

        def steppers():
            while True:
                stepper = Stepper(SonarConfig(sampler="euler"), np.linspace(9, 1, 1000), SMALL)
                while stepper.result is None:
                    stepper.feed(stepper.request().x)

        def forever():
            while True:
                run(model={model} if {model!r} != "steppers" else denoise, sigmas=np.linspace(9, 1, 1000))

        for _ in range(3):
            threading.Thread(target=steppers if {model!r} == "steppers" else forever, daemon=True).start()
        time.sleep(0.3)
        print("end", flush=True)
    """)
    assert done.returncode == 0, done
    assert done.stdout == "end\n"
    assert "FATAL" not in done.stderr
    assert "panicked" not in done.stderr
    # A daemon thread that is stopped says so, or Python stops it silently.
    assert all("shutting down" in line for line in done.stderr.splitlines() if "Error:" in line)


def test_the_end_of_the_interpreter_waits_for_the_present_model_call_only():
    start = time.monotonic()
    done = python("""
        def slow(x, sigma):
            time.sleep(0.5)
            return denoise(x, sigma)

        threading.Thread(target=lambda: run(model=slow, sigmas=np.linspace(9, 1, 1000)), daemon=True).start()
        time.sleep(0.2)
    """)
    assert done.returncode == 0, done
    assert time.monotonic() - start < 30


def test_what_runs_at_exit_may_still_sample():
    passes("""
        import atexit
        import sonar_sampler
        atexit.register(run)
        sonar_sampler._core.close(0.0)
        run()
    """)


def test_a_run_in_a_module_level_destructor_does_not_crash():
    done = python("""
        class Late:
            def __del__(self):
                run()

        late = Late()
        sys.modules["keeps"] = late
    """)
    assert done.returncode == 0, done
    assert "FATAL" not in done.stderr
    assert "panicked" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_ctrl_c_in_mid_run_is_a_keyboard_interrupt(interruptible):
    script = COMMON + textwrap.dedent("""
        print("ready", flush=True)
        try:
            run(model=np.multiply, sigmas=np.linspace(9, 1, 1_000_001))
        except KeyboardInterrupt:
            print("interrupted")
    """).replace("model=np.multiply", "model=lambda x, s: np.zeros_like(x)")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30)[0] == "interrupted\n"
        finally:
            process.kill()
        assert process.returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_the_tests_that_interrupt_pass_in_a_background_job():
    """There SIGINT is inherited as ignored, by these tests and by what they start."""
    here = Path(__file__)
    background = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.executable, sys.argv[1:])"
    )
    tests = [here, *(here.with_name(f"test_{name}.py") for name in ("callbacks", "cli", "cli_terminal"))]
    chosen = ["-q", "-p", "no:cacheprovider", "-k", "(an_interrupt or ctrl_c) and not background", *tests]
    command = [sys.executable, "-c", background, sys.executable, "-m", "pytest", *chosen]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 7


def test_importing_needs_nothing_but_numpy():
    out = passes("""
        third = {name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
        print(sorted(name for name in third if name[0] != "_"))
    """)
    assert "numpy" in out
    assert not {"torch", "tqdm", "PIL", "click", "rich", "gradio"} & set(eval(out))
