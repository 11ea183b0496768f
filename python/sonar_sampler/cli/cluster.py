"""A Dask cluster as an executor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import TYPE_CHECKING

from sonar_sampler import ConfigError
from sonar_sampler.cli.pool import WorkerError

if TYPE_CHECKING:
    from distributed import Client

_PACKAGE = "sonar-sampler"
_SECONDS = 5


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the Dask scheduler at an address such as tcp://127.0.0.1:8786.

    Raises:
        ConfigError: that is no address.
        WorkerError: `distributed` is not installed, or no scheduler answers there, or its workers have no Sonar or
            another version of it.
    """
    try:
        from distributed import Client
    except ImportError:
        raise WorkerError('--dask needs Dask: pip install "sonar-sampler[dask]"') from None
    try:
        asyncio.run(_reach(address))
    except ValueError as error:
        raise ConfigError(f"dask = {address!r}: {error}; must be an address such as tcp://127.0.0.1:8786") from None
    except Exception as error:  # whatever else than a scheduler listens there
        reason = str(error) or f"within {_SECONDS} s"
        raise WorkerError(
            f"dask = {address!r}: no Dask scheduler answers there ({reason}); start one with: dask scheduler"
        ) from None
    # That a scheduler is lost is told once, by the picture that was not made.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    with Client(address, timeout=_SECONDS, set_as_default=False) as client:
        _check_versions(client, address)
        yield client


async def _reach(address: str) -> None:
    """A client whose first connection fails leaves threads behind that report it at the program's end."""
    from distributed import Security
    from distributed.comm import connect

    arguments = Security().get_connection_args("client")
    # Its own time-out ends before the other side says what it is.
    comm = await asyncio.wait_for(connect(address, **arguments), _SECONDS)
    await comm.close()


def _check_versions(client: Client, address: str) -> None:
    here = metadata.version(_PACKAGE)
    # A function of the standard library: the workers may have nothing else.
    found = client.run(metadata.version, _PACKAGE, on_error="return")
    for worker, version in found.items():
        # Of another error, as of a worker that has just ended, the pictures will tell.
        if isinstance(version, str | metadata.PackageNotFoundError) and version != here:
            there = f"Sonar {version}" if isinstance(version, str) else "no Sonar"
            raise WorkerError(
                f"dask = {address!r}: the worker {worker} has {there}, this is Sonar {here}; install there: "
                f'pip install "{_PACKAGE}[cli]=={here}"'
            )
