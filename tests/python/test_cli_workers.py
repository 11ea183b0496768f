"""Pictures made by processes of this machine are those of one process, and none that is finished is lost."""

import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from command import COMMAND, QUICK, call, made, opened, refused

pytestmark = pytest.mark.xdist_group("workers")

psutil = pytest.importorskip("psutil")

LISTS = ["--momentum", "0.7:0.9:3", "--momentum-hist", "0.5,0.9"]
GRID = ["grid", *QUICK[:-1], "10", *LISTS]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The grid of one process."""
    folder = tmp_path_factory.mktemp("alone")
    made(*GRID, out=folder)
    return folder


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def finished(folder):
    return list(folder.rglob("momentum-*.png"))


def wait_for(happened, still=lambda: True):
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        assert still()
        time.sleep(0.02)


class Started:
    """The command in a process group of its own, which Ctrl-C in a terminal would reach."""

    def __init__(self, *arguments, out):
        self.run = subprocess.Popen(
            [*COMMAND, *arguments, "--out", str(out)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def wait_for(self, happened):
        wait_for(happened, lambda: self.run.poll() is None)

    def workers(self):
        children = psutil.Process(self.run.pid).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]

    def ended(self):
        _, told = self.run.communicate(timeout=60)
        assert "Traceback" not in told
        return self.run.returncode, told

    def __exit__(self, *_):
        if self.run.poll() is None:
            os.killpg(self.run.pid, signal.SIGKILL)
            self.run.communicate()


def test_again_makes_the_grid_of_one_process_with_two(tmp_path, alone):
    (sheet,) = made("again", str(alone / "grid-mountains-sunset-7.png"), "--workers", "2", out=tmp_path)
    assert sheet.name == "grid-mountains-sunset-7-again.png"
    assert list(files(tmp_path).values()) == list(files(alone).values())


def test_a_search_over_seeds_makes_the_same_pictures_and_then_only_what_is_missing(tmp_path):
    search = ["txt2img", *QUICK, "--count", "3"]
    made(*search, out=tmp_path / "one")
    paths = made(*search, "--workers", "2", out=tmp_path / "two")
    assert files(tmp_path / "two") == files(tmp_path / "one")
    before = {path: path.stat().st_mtime_ns for path in paths}
    first, second, *rest = sorted(paths)
    first.unlink()
    second.write_bytes(second.read_bytes()[:20_000])
    done = call(*search, out=tmp_path / "two")
    assert "1 of the pictures were there already" in done.stderr
    assert len(done.stdout.split()) == 3
    assert all(path.stat().st_mtime_ns == before[path] for path in rest)
    damaged = tmp_path / "two" / "mountains-sunset-8-2.png"
    assert damaged.read_bytes() == files(tmp_path / "one")[second.relative_to(tmp_path / "two")]
    with_other_parameters = made(*search, "--sampler", "euler", out=tmp_path / "two")
    assert not {*with_other_parameters} & {*paths, damaged}


def test_a_worker_that_is_killed_loses_nothing(tmp_path, alone):
    with Started(*GRID, "--workers", "2", out=tmp_path) as sonar:
        sonar.wait_for(lambda: finished(tmp_path))
        kept = {path: path.stat().st_mtime_ns for path in finished(tmp_path)}
        sonar.workers()[0].kill()
        assert sonar.ended() == (0, "")
    assert files(tmp_path) == files(alone)
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())


def test_ctrl_c_keeps_what_is_done_and_the_same_command_makes_the_rest(tmp_path, alone, interruptible):
    with Started(*GRID, "--workers", "2", out=tmp_path) as sonar:
        sonar.wait_for(lambda: finished(tmp_path))
        workers = sonar.workers()
        os.killpg(sonar.run.pid, signal.SIGINT)
        status, told = sonar.ended()
    assert (status, told.count("\n")) == (130, 1)
    assert "--seed 7 makes the pictures that are missing" in told
    _, left = psutil.wait_procs(workers, timeout=10)
    assert not left
    kept = {path: path.stat().st_mtime_ns for path in finished(tmp_path)}
    assert 0 < len(kept) < 6
    colours = opened(tmp_path / "grid-mountains-sunset-7.png").convert("RGB").getcolors(maxcolors=10**7)
    assert (0xE6, 0xE6, 0xE6) in {colour for _, colour in colours}
    made(*GRID, out=tmp_path)
    assert files(tmp_path) == files(alone)
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())


def test_workers_end_with_a_command_that_is_killed(tmp_path):
    with Started(*GRID, "--workers", "2", out=tmp_path) as sonar:
        sonar.wait_for(lambda: finished(tmp_path))
        workers = sonar.workers()
        sonar.run.kill()
    assert workers
    _, left = psutil.wait_procs(workers, timeout=10)
    assert not left


OWN = """
import os
from pathlib import Path
from sonar_sampler import NumericError, sample
with open({log!r}, "a") as log:
    print(os.getpid(), file=log)
def own(denoise, x, sigmas, config, **options):
    if config.momentum == 0.8:
        {at_08}
    {otherwise}
    return sample(denoise, x, sigmas, config, **options)
"""


@pytest.fixture
def own(tmp_path):
    """A sampler of one's own that does something else in the middle row, and the ids of processes that load it."""
    log = tmp_path / "loaded"

    def written(at_08, otherwise="pass"):
        (tmp_path / "own.py").write_text(OWN.format(log=str(log), at_08=at_08, otherwise=otherwise))
        return f"{tmp_path / 'own.py'}:own", log

    return written


def test_a_sampler_of_ones_own_is_sent_and_loaded_once_in_each_process(tmp_path, own):
    name, log = own("pass")
    search = ["txt2img", *QUICK, "--count", "4", "--sampler", name]
    made(*search, out=tmp_path / "one")
    log.unlink()
    made(*search, "--workers", "2", out=tmp_path / "two")
    assert files(tmp_path / "two") == files(tmp_path / "one")
    loaded = log.read_text().split()
    assert 1 <= len(loaded) <= 2  # this process has it already
    assert len(set(loaded)) == len(loaded)


def test_a_picture_that_diverges_in_a_worker_leaves_the_others(tmp_path, own):
    name, _ = own("raise NumericError('step 3: the latent is not finite')")
    done = call(*GRID, "--sampler", name, "--workers", "2", out=tmp_path)
    assert done.exit_code == 1
    assert "2 pictures could not be made" in done.stderr
    assert "the first: momentum-0.8-history-0.5: step 3: the latent is not finite" in done.stderr
    assert len(finished(tmp_path)) == 4


def test_a_picture_that_ends_every_worker_is_named_and_the_others_are_kept(tmp_path, own):
    name, _ = own("os._exit(1)")
    done = call(*GRID[:-1], "0.5", "--sampler", name, "--workers", "2", out=tmp_path)
    assert done.exit_code == 1
    assert "first: momentum-0.8-history-0.5: the worker that made it ended 3 times" in done.stderr
    assert {path.name[:12] for path in finished(tmp_path)} == {"momentum-0.7", "momentum-0.9"}
    colours = opened(tmp_path / "grid-mountains-sunset-7.png").convert("RGB").getcolors(maxcolors=10**7)
    assert (0xE6, 0xE6, 0xE6) in {colour for _, colour in colours}


def test_workers_that_end_with_every_picture_are_given_up(tmp_path, own):
    name, _ = own("pass", otherwise="os._exit(1)")
    line = refused("txt2img", *QUICK, "--count", "50", "--sampler", name, "--workers", "2", out=tmp_path, status=1)
    assert "the worker that made it ended 3 times" in line
    assert "pictures could not be made" not in line  # not one after the other, 50 times


def test_an_error_of_a_sampler_in_a_worker_is_the_one_line_of_one_process(tmp_path, own):
    name, _ = own("return None")
    one = [*GRID[:-1], "0.5", "--sampler", name]
    assert refused(*one, out=tmp_path, status=1) == refused(*one, "--workers", "2", out=tmp_path, status=1)


@pytest.mark.parametrize("given", [None, "3"])
def test_workers_share_the_cores(monkeypatch, given):
    from sonar_sampler.cli.processes import Processes

    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    with Processes(2) as processes:
        assert processes.submit(os.getenv, "OMP_NUM_THREADS").result() == (given or str(max(1, cores // 2)))
    assert os.environ.get("OMP_NUM_THREADS") == given


def large():
    return bytes(80_000_000)


@pytest.mark.parametrize("after", [0.0, 0.05, 0.1])
def test_workers_that_end_while_they_send_keep_nobody_waiting(after):
    from sonar_sampler.cli.processes import Processes

    processes = Processes(2)
    results = [processes.submit(large) for _ in range(6)]
    results[0].result()
    time.sleep(after)
    ending = threading.Thread(target=processes.shutdown, daemon=True)
    ending.start()
    ending.join(30)
    assert not ending.is_alive()


class Counting(ThreadPoolExecutor):
    submitted = 0

    def submit(self, *arguments, **options):
        self.submitted += 1
        return super().submit(*arguments, **options)


def jobs(count):
    from sonar_sampler import SonarConfig
    from sonar_sampler.cli.job import Job

    return {str(seed): Job("sea", steps=1, config=SonarConfig(seed=seed)) for seed in range(count)}


def test_only_so_many_jobs_are_with_an_executor_at_a_time():
    from sonar_sampler.cli.pool import pictures
    from sonar_sampler.cli.report import Report

    with Counting(2) as executor:
        ahead = []
        for number, _ in enumerate(pictures("sea", jobs(6), Report(), executor, at_once=2)):
            time.sleep(0.05)  # longer than a picture takes
            ahead.append(executor.submitted - number)
    assert len(ahead) == 6
    assert max(ahead) <= 2


def test_what_has_not_begun_is_cancelled_when_nobody_waits_for_it():
    from sonar_sampler.cli.pool import pictures
    from sonar_sampler.cli.report import Report

    with Counting(1) as executor:
        made = pictures("sea", jobs(9), Report(), executor, at_once=9)
        next(made)
        made.close()
        begin = time.monotonic()
        executor.submit(int).result()
    assert executor.submitted == 10
    assert time.monotonic() - begin < 1


def test_an_executor_that_takes_no_more_is_told():
    from sonar_sampler.cli.pool import WorkerError, pictures
    from sonar_sampler.cli.report import Report

    executor = Counting(1)
    executor.shutdown()
    with pytest.raises(WorkerError, match="0: the workers take no more work: cannot schedule new futures"):
        next(pictures("sea", jobs(2), Report(), executor))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--workers", "0"], "0 is not in the range 1<=x<=61"),
        (["--workers", "62"], "62 is not in the range 1<=x<=61"),
        (["--workers", "2", "--dask", "tcp://127.0.0.1:8786"], "give one of them"),
    ],
)
@pytest.mark.parametrize("command", [["txt2img", "sea"], ["grid", "sea"], ["again", __file__]], ids=lambda c: c[0])
def test_a_wrong_number_of_workers_is_refused(tmp_path, command, options, told):
    assert told in refused(*command, *options, out=tmp_path)


def test_again_of_a_picture_uses_the_workers_and_of_a_contact_sheet_says_that_it_does_not(tmp_path):
    (path,) = made("txt2img", *QUICK, out=tmp_path)
    (again,) = made("again", str(path), "--workers", "2", out=tmp_path)
    assert again.read_bytes() == path.read_bytes()
    (steps,) = made("steps", *QUICK, out=tmp_path)
    assert "leave them out" in refused("again", str(steps), "--workers", "2", out=tmp_path)
