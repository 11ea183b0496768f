"""Processes of this machine as an executor."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = "OMP_NUM_THREADS"

# Seconds in which a result is sent; a worker that has none ends sooner, with the pool.
_SENDING = 2.0


class Processes(Executor):
    """A `ProcessPoolExecutor` whose workers are replaced when one dies, and end with it and with this process.

    What was with the workers when one died fails with `BrokenProcessPool`, as it does there; what is submitted then
    goes to new ones. Together they use as many threads as there are cores, unless OMP_NUM_THREADS says how many each.

    Args:
        count: of processes. They start when there is work for them.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        # Not forked: a child would have the locks of this process's threads, but not the threads.
        self._context = get_context("spawn")
        # Only this process holds the end that is never written to; when it is closed, the workers end.
        self._watched, self._held = self._context.Pipe(duplex=False)
        self._pool = self._new_pool()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs a function in a worker, which may start for it."""
        work = partial(fn, *args, **kwargs)
        with _interrupts_blocked(), _threads(max(1, _cores() // self._count)):
            try:
                return self._pool.submit(_run, work)
            except BrokenProcessPool:
                self._pool.shutdown(wait=False)
                self._pool = self._new_pool()
                return self._pool.submit(_run, work)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """Ends the workers, also in the middle of their work."""
        self._held.close()
        self._pool.shutdown(wait, cancel_futures=cancel_futures)
        self._watched.close()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._count, self._context, _begin, (self._watched,))


def _begin(watched: Connection) -> None:
    """What a worker does first."""
    # Ctrl-C in a terminal reaches the workers, too; what it does is for the process that started them to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(watched,), daemon=True).start()


class _Work:
    """What a worker is at. It must not end while it sends a result: the other side would wait for the rest."""

    gate = threading.Lock()
    inside = ending = False


def _run(work: Callable[[], T]) -> T:
    with _Work.gate:
        _Work.inside = True
        ending = _Work.ending
    if ending:
        threading.Event().wait()
    try:
        return work()
    finally:
        with _Work.gate:
            _Work.inside = False


def _end_with(watched: Connection) -> None:
    try:
        watched.poll(None)
    finally:
        with _Work.gate:
            _Work.ending = True
            if _Work.inside:
                os._exit(0)
        time.sleep(_SENDING)
        os._exit(0)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process that is started meanwhile is born deaf to Ctrl-C, which it would tell with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """In the environment, since libraries read it when they are loaded: before a worker's first own line."""
    if _THREADS in os.environ:
        yield
        return
    os.environ[_THREADS] = str(count)
    try:
        yield
    finally:
        del os.environ[_THREADS]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
