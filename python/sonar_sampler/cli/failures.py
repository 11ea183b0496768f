"""Errors as one line and an exit status."""

from __future__ import annotations

from typing import Any

import click

from sonar_sampler import ConfigError, SonarError
from sonar_sampler.cli.files import OutputError
from sonar_sampler.cli.report import shortened

FAILED = 1
"""What was asked for could not be done."""
WRONG = 2
"""An option or a file has a value that is not allowed; click's own number for a wrong usage."""
INTERRUPTED = 130
"""After Ctrl-C, as shells count it."""


class Group(click.Group):
    """Shows an error that a user can do something about as a message, not as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted; what was finished is kept", err=True)
            raise SystemExit(INTERRUPTED) from None
        except ConfigError as error:
            raise _Wrong(shortened(str(error))) from error
        except (SonarError, OutputError) as error:
            raise _Failed(shortened(str(error))) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _Failed(shortened(str(error))) from error
        except MemoryError as error:
            raise _Failed("there is not enough memory") from error


class _Failed(click.ClickException):
    exit_code = FAILED


class _Wrong(click.ClickException):
    exit_code = WRONG
