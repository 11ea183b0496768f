"""What can go wrong, by kind. Every message holds the offending value and what is allowed."""


class SonarError(Exception):
    """Any error of Sonar's own; an exception that a model or a callback raises passes through unchanged."""


class ConfigError(SonarError, ValueError):
    """An option has a value that is not allowed."""


class UnknownOptionError(ConfigError, TypeError):
    """There is no option of that name."""


class LatentError(SonarError, ValueError):
    """An array has the wrong shape, or holds numbers that cannot be sampled from."""


class DtypeError(SonarError, TypeError):
    """Something is not an array of a real floating type."""


class ScheduleError(SonarError, ValueError):
    """The sigmas do not make a schedule."""


class ProtocolError(SonarError, RuntimeError):
    """A stepper was used out of order, or from two threads at once."""


class NumericError(SonarError, ArithmeticError):
    """The latent is no longer finite; the message says at which step and in which images."""


def shown(value: object) -> str:
    """`repr(value)` for a message, cut to a line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_LONGEST = 80
