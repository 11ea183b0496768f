"""Finished pictures as they come, from this process or from the workers of an executor."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import closing

from PIL import Image

from sonar_sampler import NumericError, SonarError
from sonar_sampler.cli.job import Job, Progress
from sonar_sampler.cli.report import Report

AT_ONCE = 64
"""Pictures that an executor is asked for at a time, if nobody knows how many workers it has."""

TRIES = 3
"""How often a picture is begun whose worker died; and how many are given up before the workers are, with none made."""

# A wait without an end cannot be interrupted on Windows.
_SECONDS = 1.0


class WorkerError(SonarError):
    """The workers of an executor cannot be reached, or cannot make a picture; the message says which and why."""


class LostError(WorkerError):
    """A picture was begun `TRIES` times and its worker died each time."""


Outcome = Image.Image | NumericError | LostError


def pictures(
    what: str, jobs: Mapping[str, Job], report: Report, executor: Executor | None = None, at_once: int = AT_ONCE
) -> Generator[tuple[str, Outcome]]:
    """Makes the pictures of many jobs; the same ones, bit for bit, wherever they are made.

    What has not begun is cancelled when the iterator is closed, or left by an exception.

    Args:
        what: is made, for the bar.
        jobs: by the names of their pictures.
        report: told of each step of a picture, or of each picture where an executor makes them.
        executor: runs the jobs in its workers, which need this package in the same version and no files of this
            machine; None: this process makes one after the other.
        at_once: so many jobs are with the executor at a time, and as many finished pictures in this process's memory
            at most. Twice the workers keeps them busy.

    Yields:
        Name and picture, as they are finished; a NumericError in place of one that diverged, a LostError of one that
            ends its workers.

    Raises:
        WorkerError: the executor failed, or lost `TRIES` pictures and made none.
        Whatever else a job raises passes through.
    """
    if executor is None:
        with report.progress(what, sum(job.steps for job in jobs.values()), "steps") as step:
            for name, job in jobs.items():
                yield name, _outcome(attempt(job, step))
        return
    made = _from_workers(jobs, executor, at_once)
    with report.progress(what, len(jobs), "pictures") as advance, closing(made):
        for name, result in made:
            advance({})
            yield name, _outcome(result)


def attempt(job: Job, progress: Progress | None = None) -> Image.Image | Exception:
    """The picture of a job, or what went wrong in the sampling.

    An exception that comes out of an executor is then one of the executor.
    """
    try:
        return job.run(progress)
    except (SonarError, MemoryError) as error:
        return error


def _outcome(result: Image.Image | Exception) -> Outcome:
    if isinstance(result, Outcome):
        return result
    raise result


def _from_workers(
    jobs: Mapping[str, Job], executor: Executor, at_once: int
) -> Generator[tuple[str, Image.Image | Exception]]:
    waiting = deque(jobs)
    running: dict[Future[Image.Image | Exception], str] = {}
    begun: Counter[str] = Counter()
    made = lost = 0
    try:
        while waiting or running:
            while waiting and len(running) < _room(begun, waiting[0], running.values(), at_once):
                name = waiting.popleft()
                running[_submit(executor, name, jobs[name])] = name
                begun[name] += 1
            done, _ = wait(running, _SECONDS, FIRST_COMPLETED)
            # Pictures first: none that is finished is lost with another that failed.
            for future in sorted(done, key=_failed):
                name = running.pop(future)
                try:
                    result = future.result()
                except BrokenExecutor as error:
                    if begun[name] < TRIES:
                        waiting.appendleft(name)
                        continue
                    ended = LostError(
                        f"the worker that made it ended {TRIES} times; there may be too little memory for it"
                    )
                    lost += 1
                    if lost == TRIES and not made:
                        raise WorkerError(f"{name}: {ended}") from error
                    yield name, ended
                except Exception as error:
                    raise WorkerError(f"{name}: the workers cannot make it: {_reason(error)}") from error
                else:
                    made += 1
                    yield name, result
    finally:
        for future in running:
            future.cancel()


def _room(begun: Counter[str], name: str, running: Collection[str], at_once: int) -> int:
    """How many jobs may run together: one at its last try runs alone, so that no other is blamed for its end."""
    last = any(begun[other] == TRIES for other in running) or begun[name] == TRIES - 1
    return 1 if last else at_once


def _submit(executor: Executor, name: str, job: Job) -> Future[Image.Image | Exception]:
    try:
        return executor.submit(attempt, job)
    except RuntimeError as error:
        raise WorkerError(f"{name}: the workers take no more work: {_reason(error)}") from error


def _failed(future: Future[Image.Image | Exception]) -> bool:
    return future.cancelled() or future.exception() is not None


def _reason(error: Exception) -> str:
    if isinstance(error, CancelledError):
        return "it was given up; the connection to them may be lost"
    return str(error) or type(error).__name__
