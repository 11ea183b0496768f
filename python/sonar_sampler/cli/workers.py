"""The options that say where pictures are made."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from sonar_sampler.cli.pool import AT_ONCE
from sonar_sampler.cli.report import Report

# As many processes as Windows can wait for.
_MOST = 61


@dataclass(frozen=True)
class Workers:
    """Where pictures are made: in this process, in `count` others, or on a Dask cluster.

    Attributes:
        count: processes of this machine; 1 is this one.
        dask: the address of the cluster's scheduler.
    """

    count: int = 1
    dask: str | None = None

    @contextmanager
    def started(self, report: Report) -> Iterator[tuple[Executor | None, int]]:
        """The executor and how many pictures it is asked for at a time; both end with the `with`.

        Raises:
            ConfigError, WorkerError: as `cluster.connected`.
        """
        if self.dask is not None:
            from sonar_sampler.cli.cluster import connected

            with connected(self.dask) as client:
                threads = sum(client.nthreads().values())
                if not threads:
                    report.note(f"the cluster has no workers yet; the first may come: dask worker {self.dask}")
                # Unless they are told apart, the cluster gives the answer that it gave to the same job before.
                yield client.get_executor(pure=False), max(2 * threads, AT_ONCE)
        elif self.count > 1:
            from sonar_sampler.cli.processes import Processes

            with Processes(self.count) as executor:
                yield executor, 2 * self.count
        else:
            yield None, 1


def worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that say where pictures are made; the command gets `workers`."""

    @click.option(
        "--workers",
        default=1,
        show_default=True,
        type=click.IntRange(1, _MOST),
        help="How many processes make pictures at the same time.",
    )
    @click.option(
        "--dask",
        metavar="ADDRESS",
        help="Make the pictures on a Dask cluster: its scheduler's address, such as tcp://127.0.0.1:8786.",
    )
    @functools.wraps(command)
    def working(*args: Any, workers: int, dask: str | None, **options: Any) -> Any:
        if dask is not None and workers != 1:
            raise click.UsageError("--workers and --dask: give one of them; a cluster has workers of its own")
        return command(*args, workers=Workers(workers, dask), **options)

    return working
