"""How an error reaches the user: as the page's message, or as the answer to a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import HTTPException

from sonar_sampler.errors import NumericError, SonarError


def refusal(p: Any, error: SonarError) -> Exception:
    """What to raise for an error in the job p.

    The page shows the text of any exception. Requests need one that the server knows: some hosts answer others
    with a status that has lost the reason.
    """
    if not getattr(p, "is_api", False):
        return error
    answer: Exception = HTTPException(500 if isinstance(error, NumericError) else 422, str(error))
    return answer


@contextmanager
def refusing(p: Any) -> Iterator[None]:
    """Turns Sonar's errors inside the block into refusals; all others pass."""
    try:
        yield
    except SonarError as error:
        raise refusal(p, error) from error
