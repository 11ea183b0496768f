"""The words that a prompt may use: what each subject draws, and what the other words choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from . import city, lands, space
from .gaussian import Layout
from .palette import landscape_looks
from .scene import Scene

LAYOUTS = 4  # of each subject


@dataclass(frozen=True)
class Subject:
    """A thing to draw: `draw` makes the scene of one layout, `modes` tells the words of each of its modes."""

    line: str
    draw: Callable[[np.random.Generator, int], Scene]
    modes: Callable[[], tuple[frozenset[str], ...]]


def _land(draw: Callable[..., Scene], line: str) -> Subject:
    return Subject(line, lambda rng, layout: draw(rng, landscape_looks(), layout), lambda: landscape_looks().words)


def _space(draw: Callable[..., Scene], line: str) -> Subject:
    return Subject(line, lambda rng, layout: draw(rng, space.space_tones(), layout), lambda: space.space_tones().words)


SUBJECTS = {
    "mountains": _land(lands.mountains, "ranges behind each other, snow on the peaks, pines in front"),
    "lake": _land(lands.lake, "mountains mirrored in still water"),
    "sea": _land(lands.sea, "open water with boats, islands or a lighthouse"),
    "hills": _land(lands.hills, "rolling fields, a lone tree or rows of trees"),
    "forest": _land(lands.forest, "rows of conifers that fade into the air"),
    "desert": _land(lands.desert, "dunes and table mountains"),
    "city": _land(city.city, "a skyline, its windows lit at night, half of the time behind water"),
    "nebula": _space(space.nebula, "glowing gas, a spiral galaxy, a ring, a band of stars"),
    "planet": _space(space.planet, "a banded planet with a ring or a moon"),
}

MODIFIERS = {
    "day": "blue sky, white clouds",
    "dawn": "pink and pale light",
    "sunset": "red and orange light",
    "night": "moon, stars, lit windows",
    "aurora": "northern lights and stars",
    "storm": "grey light, dark clouds",
    "summer": "green ground",
    "autumn": "brown and red ground",
    "winter": "snow on the ground",
    "misty": "fog between the layers",
    "clear": "no fog",
    "blue": "blue gas or planet (space only)",
    "red": "red and orange gas or planet (space only)",
    "violet": "violet and pink gas or planet (space only)",
    "green": "green gas or planet (space only)",
    "gold": "golden gas or planet (space only)",
}

_LANDS = ("mountains", "lake", "sea", "hills", "forest", "desert", "city")
ALIASES: dict[str, tuple[str, ...]] = {
    "landscape": _LANDS,
    "space": ("nebula", "planet"),
    **dict.fromkeys(("mountain", "peak", "peaks", "alps"), ("mountains",)),
    **dict.fromkeys(("ocean", "seascape", "coast", "beach", "boat", "sailboat", "lighthouse", "island"), ("sea",)),
    **dict.fromkeys(("hill", "meadow", "field", "fields", "tree", "countryside"), ("hills",)),
    **dict.fromkeys(("woods", "trees", "pines"), ("forest",)),
    **dict.fromkeys(("dunes", "dune", "mesa", "canyon"), ("desert",)),
    **dict.fromkeys(("skyline", "town", "cityscape", "buildings"), ("city",)),
    **dict.fromkeys(("galaxy", "cosmos"), ("nebula",)),
    **dict.fromkeys(("planets", "saturn", "moons"), ("planet",)),
    **dict.fromkeys(("noon", "sunny", "daylight"), ("day",)),
    **dict.fromkeys(("sunrise", "morning"), ("dawn",)),
    **dict.fromkeys(("dusk", "evening"), ("sunset",)),
    **dict.fromkeys(("midnight", "moon", "moonlight", "stars", "starry"), ("night",)),
    **dict.fromkeys(("stormy", "overcast", "cloudy", "rain"), ("storm",)),
    **dict.fromkeys(("fall", "autumnal"), ("autumn",)),
    **dict.fromkeys(("snow", "snowy"), ("winter",)),
    **dict.fromkeys(("mist", "fog", "foggy", "haze", "hazy"), ("misty",)),
    **dict.fromkeys(("purple", "pink"), ("violet",)),
    **dict.fromkeys(("teal", "emerald"), ("green",)),
    **dict.fromkeys(("golden", "yellow"), ("gold",)),
}

# Filler that is not worth a warning.
STOP_WORDS = frozenset(
    ("a", "an", "and", "at", "break", "by", "from", "in", "into", "near", "of", "on", "over", "the", "to", "with")
)

WORDS: dict[str, str] = {
    **{word: subject.line for word, subject in SUBJECTS.items()},
    **MODIFIERS,
    **{word: "same as " + ", ".join(targets) for word, targets in ALIASES.items()},
}


@cache
def layouts(subject: str) -> tuple[Layout, ...]:
    """The Gaussians of a subject, drawn when they are first asked for and then kept."""
    number = list(SUBJECTS).index(subject)
    draw = SUBJECTS[subject].draw
    return tuple(
        Layout(draw(np.random.Generator(np.random.PCG64((number, layout))), layout)) for layout in range(LAYOUTS)
    )
