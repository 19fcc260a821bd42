"""Hides what was captured, however an answer or a message spells it, and where it is cut off."""

from __future__ import annotations

import json
import re
from typing import Final
from urllib.parse import quote

from monitor.options import MASK

_SHORTEST: Final = 4
"""Characters of what is hidden: a shorter one stands in every other text as well."""

_BEGINNING: Final = 12
"""Characters of a longer one, behind its host if it is a URL, by which it is known where the rest
was cut off."""

_HOST: Final = re.compile(r"(?:[a-z]+:)?//[^/?#]*", re.IGNORECASE)

_OF_A_PATH: Final = "!$&'()*+,;=:@/"


class Veil:
    """The values that are secret from the moment at which they were captured."""

    def __init__(self) -> None:
        self._spellings: list[str] = []

    def learn(self, value: str) -> None:
        """Hide this one as well from now on."""
        if len(value) < _SHORTEST:
            return

        spelled = {
            value,
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            ascii(value)[1:-1],
            quote(value, safe=""),
            quote(value),
            quote(value, safe=_OF_A_PATH),
        }
        self._spellings = sorted(spelled.union(self._spellings), key=len, reverse=True)

    def mask(self, text: str) -> str:
        """Give the text with each of them replaced, whole or as far as it is there."""
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        for spelling in self._spellings:
            text = _mask_beginning(text, spelling)

        return text


def _mask_beginning(text: str, spelling: str) -> str:
    host = _HOST.match(spelling)
    beginning = spelling[: _BEGINNING + (host.end() if host else 0)]
    if len(beginning) == len(spelling):
        return text

    place = text.find(beginning)
    while place >= 0:
        end = place + len(beginning)
        while end < len(text) and text[end] == spelling[end - place]:
            end += 1
        text = f"{text[:place]}{MASK}{text[end:]}"
        place = text.find(beginning, place + len(MASK))

    return text
