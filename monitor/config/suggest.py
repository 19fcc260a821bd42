"""Finds the name that was probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST: Final = 2_000  # names compared: a typo among 10,000 endpoints must not take seconds
_LONGEST: Final = 100
_LIKENESS: Final = 0.7


def suggest(word: str, options: Iterable[str]) -> str:
    """Give `; did you mean X?` for the option most like the word, or nothing."""
    found = closest(word, options)

    return f"; did you mean {found}?" if found else ""


def closest(word: str, options: Iterable[str]) -> str | None:
    """Give the option most like the word, if any is like it."""
    if not word or len(word) > _LONGEST:
        return None

    slack = max(2, len(word) // 3)
    alike = (option for option in options if abs(len(option) - len(word)) <= slack)
    lowered = {option.lower(): option for option in islice(alike, _MOST) if option != word}
    found = get_close_matches(word.lower(), lowered, n=1, cutoff=_LIKENESS)

    return lowered[found[0]] if found else None
