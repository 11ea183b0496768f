"""Prompts: known words with weights, and how much of the mixture they choose."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from .gaussian import Vector
from .vocabulary import ALIASES, MODIFIERS, STOP_WORDS, SUBJECTS

_TOKEN = re.compile(r"<[^>]*>|:\s*(?:\d+(?:\.\d+)?|\.\d+)\s*(?=\))|[()\[\]]|[^\W_]+", re.UNICODE)
_EMPHASIS = 1.1  # of one pair of round brackets
_WEIGHT_RANGE = (1e-6, 1e6)


@dataclass(frozen=True)
class Prompt:
    """What a text asks for; weights are 1 unless brackets say otherwise: `(sunset:1.3)`, `((sunset))`, `[sunset]`."""

    subjects: dict[str, float]
    modifiers: dict[str, float]
    unknown: tuple[str, ...]  # words that mean nothing to the model, in their order

    @classmethod
    def parse(cls, text: str) -> Prompt:
        """Read a prompt in the syntax of the web UI; a word of weight 0 counts as absent."""
        subjects: dict[str, float] = {}
        modifiers: dict[str, float] = {}
        unknown: list[str] = []
        for word, weight in _weighted_words(text):
            for target in ALIASES.get(word, (word,)):
                known = subjects if target in SUBJECTS else modifiers
                if target in SUBJECTS or target in MODIFIERS:
                    if weight > 0:
                        known[target] = float(np.clip(known.get(target, 1.0) * weight, *_WEIGHT_RANGE))
                elif target not in STOP_WORDS and target not in unknown:
                    unknown.append(target)
        return cls(subjects, modifiers, tuple(unknown))

    def weights(self) -> dict[str, Vector]:
        """Prior weight of each mode of each subject that the prompt asks for; all of them sum to 1.

        Without a subject every subject is meant. Of the modes, those that match the most modifiers are kept:
        for a subject that was named the most in this subject, otherwise the most in any (so "red" alone means
        space). The weight of a word multiplies the prior.
        """
        chosen = self.subjects or dict.fromkeys(SUBJECTS, 1.0)
        matches = {name: _matches(name, self.modifiers) for name in chosen}
        overall = max(int(count.max()) for count, _ in matches.values())
        result: dict[str, Vector] = {}
        for name, weight in chosen.items():
            count, factor = matches[name]
            best = int(count.max()) if self.subjects else overall
            modes = np.where(count == best, factor, 0.0)
            if modes.any():
                result[name] = weight * modes / modes.sum()
        total = sum(float(modes.sum()) for modes in result.values())
        return {name: modes / total for name, modes in result.items()}


def _matches(subject: str, modifiers: dict[str, float]) -> tuple[Vector, Vector]:
    """For each mode of a subject: how many modifiers it matches, and the product of their weights."""
    modes = SUBJECTS[subject].modes()
    count, factor = np.zeros(len(modes)), np.ones(len(modes))
    for word, weight in modifiers.items():
        hit = np.array([word in words for words in modes])
        count += hit
        factor[hit] *= weight
    return count, factor


def _weighted_words(text: str) -> list[tuple[str, float]]:
    """Words in lower case with the weight that the brackets around them give."""
    words: list[tuple[str, float]] = []
    opened: list[int] = []  # where in `words` each open bracket starts

    def close(factor: float) -> None:
        start = opened.pop() if opened else len(words)
        words[start:] = [(word, weight * factor) for word, weight in words[start:]]

    explicit: float | None = None
    for token in _TOKEN.findall(text.lower()):
        if token[0] == "<":
            continue
        if token[0] == ":":
            explicit = float(token[1:])
        elif token in "([":
            opened.append(len(words))
        elif token == ")":
            close(_EMPHASIS if explicit is None else explicit)
            explicit = None
        elif token == "]":
            close(1.0 / _EMPHASIS)
        else:
            words.append((token, 1.0))
    return words
