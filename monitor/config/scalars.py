"""Decides what a plain YAML scalar is: number, true, false or null as JSON has them, else text."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final[dict[str, object]] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
SWITCHES: Final = frozenset(
    spelling
    for word in ("y", "n", "yes", "no", "on", "off")
    for spelling in (word, word.capitalize(), word.upper())
)
"""Words that some readers of YAML take for true or false."""

_NUMBER_STARTS: Final = frozenset("0123456789+-.")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_MOST_DIGITS: Final = 18
_LONGEST_NUMBER: Final = 100  # no one writes longer ones, and the patterns below take their time
_LONGEST_SHOWN: Final = 12  # longer ones may be secrets that someone forgot to quote

# Spellings that some reader of YAML takes for a number, and another for text.
_DOUBTS: Final = (
    (
        re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"),
        "which YAML may take for a number of base 60",
        "write a duration such as 1m30s, or quote it",
    ),
    (
        re.compile(r"[-+]?0[0-9_]+"),
        "which YAML may take for an octal number",
        "write it without the leading 0, or quote it",
    ),
    (
        re.compile(r"[-+]?0(?:x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)"),
        "which YAML may take for a number",
        "write it as a decimal number, or quote it",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?"),
        "which YAML may take for a number",
        "write it without _, or quote it",
    ),
    (
        re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+"),
        "which YAML may take for a number",
        "write the number out, or quote it",
    ),
    (
        re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"),
        "which is no number to compare with",
        "write a number, or quote it",
    ),
    (
        re.compile(r"\+[0-9]+(?:\.[0-9]*)?|[-+]?(?:0[0-9]+|[0-9]+)\.[0-9]*|[-+]?\.[0-9]+"),
        "which YAML may take for a number",
        "write it as 5 or 0.5, or quote it",
    ),
)


class Doubtful(ValueError):
    """A plain scalar that readers of YAML do not agree about; the message says what to write."""


def resolve(text: str) -> str | int | float | bool | None:
    """Give the value of a plain scalar; dates, times, versions and all else stay text.

    Raises Doubtful for what people mistake: `yes`, `1:30`, `010`, `0x1f`, `1_000`, `1e3`, `.inf`,
    and integers of more than 18 digits.
    """
    if text in _WORDS:
        return _WORDS[text]  # type: ignore[return-value]  # its values are those of the signature
    if text in SWITCHES:
        raise Doubtful(
            f"found {text}, which YAML may take for true or false: write true or false, or quote it"
        )
    if text[0] not in _NUMBER_STARTS:
        return text

    if _INTEGER.fullmatch(text):
        if len(text) > _MOST_DIGITS:
            raise Doubtful(f"found an integer of {len(text.lstrip('-'))} digits: quote it")
        return int(text)
    if _DECIMAL.fullmatch(text):
        if len(text) > 2 * _MOST_DIGITS:
            raise Doubtful(f"found a number of {len(text)} characters: quote it")
        return float(text)

    if len(text) > _LONGEST_NUMBER:
        return text

    for pattern, why, remedy in _DOUBTS:
        if pattern.fullmatch(text):
            found = text if len(text) <= _LONGEST_SHOWN else f"{text[:3]}…"
            raise Doubtful(f"found {found}, {why}: {remedy}")

    return text
