"""What became of the losses of a pass: to the progress bar, the log and the infotext."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from modules import shared

from sonar_sampler.descent import Descent

_NAMES = {"condition": "prompt loss", "latent": "latent loss", "reference": "reference loss"}


class Losses:
    """Told of each descent of a pass, and at its end."""

    def __init__(self, p: Any) -> None:
        self._p = p
        self._found: dict[str, list[Descent]] = {}

    def told(self, descent: Descent) -> None:
        """Keeps it, and shows it at the progress bar."""
        self._found.setdefault(descent.of, []).append(descent)
        before, after = fmean(descent.before), fmean(descent.after)
        shared.state.textinfo = f"Sonar: {_NAMES[descent.of]} {before:.4g} to {after:.4g}"

    def end(self) -> None:
        """Writes them into the log and leaves them on the job, for the infotext: the mean of a pass's steps."""
        if not self._found:
            return
        shared.state.textinfo = None
        p, second = self._p, " hires" if getattr(self._p, "is_hr_pass", False) else ""
        # A new dict: copies of a job (X/Y/Z plot) share the old one.
        kept = texts(p)
        for of, descents in self._found.items():
            before, after = _per_image([one.before for one in descents]), _per_image([one.after for one in descents])
            name = _NAMES[of] + second
            kept[name] = [f"{start:.4g} to {end:.4g}" for start, end in zip(before, after, strict=True)]
            print(f"Sonar: {name} {', '.join(kept[name])}, mean of {len(descents)}")
        p.sonar_losses = kept


def texts(p: Any) -> dict[str, list[str]]:
    """Name of a loss -> what became of it in each image of the last batch, as the host wants it for their infotexts."""
    return dict(getattr(p, "sonar_losses", None) or {})


def _per_image(losses: Sequence[Sequence[float]]) -> list[float]:
    """The mean of each image over the steps."""
    return [fmean(of_image) for of_image in zip(*losses, strict=True)]
