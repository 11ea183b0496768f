"""The command `sonar`."""

from sonar_sampler.cli.main import main

__all__ = ["main"]
