"""How an error reaches the user: as the page's message, or as the answer to a request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import HTTPException

from sonar_sampler.errors import NumericError, SonarError
from sonar_sampler.hosts.webui.options import OPTIONS


def refusal(p: Any, error: SonarError) -> Exception:
    """What to raise for an error in the job p.

    The page shows the text of any exception, here with the words that stand beside its controls. Requests need one that
    the server knows: some hosts answer others with a status that has lost the reason.
    """
    if not getattr(p, "is_api", False):
        return type(error)(labelled(str(error)))
    answer: Exception = HTTPException(500 if isinstance(error, NumericError) else 422, str(error))
    return answer


def labelled(message: str) -> str:
    """An error's message with the labels of its options in place of their names."""
    return _NAMES.sub(lambda found: _label(found[0]), message)


# At the beginning: "momentum = 2.0: must be in [0, 1]", "grid_momentum and grid_momentum_hist make ...".
_NAMES = re.compile(r"^\w+(?=( and \w+)? (=|has|is|make))|(?<= and )\w+(?= make)")


def _label(name: str) -> str:
    return OPTIONS[name].knob.label if name in OPTIONS else name


@contextmanager
def refusing(p: Any) -> Iterator[None]:
    """Turns Sonar's errors inside the block into refusals; all others pass."""
    try:
        yield
    except SonarError as error:
        raise refusal(p, error) from error
