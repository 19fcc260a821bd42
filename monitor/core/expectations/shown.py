"""How values that were found or expected are shown: one line, short, nothing that could act."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_SHOWN: Final = 100
DEEPEST_SHOWN: Final = 4
_MOST_BITS: Final = 10_000  # Python writes no longer numbers
_NAMED_ESCAPES: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


class Bytes(int):
    """A number of bytes."""


_UNITS: Final = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"))


def format_size(size: int) -> str:
    """Write a size as the configuration has it where it is a round one: `512KiB`, `700 bytes`."""
    for factor, unit in _UNITS:
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"

    return f"{int(size)} bytes" if size != 1 else "1 byte"


def show(value: object) -> str:
    """Write a value as JSON would, on one line of at most 100 characters; durations in words."""
    match value:
        case timedelta():
            return format_duration(value)
        case Bytes():
            return format_size(value)
        case str():
            return quote(value)
        case _:
            return shorten(_write(value, DEEPEST_SHOWN))


def quote(text: str) -> str:
    """Put a text in quotes, escaped and shortened to 100 characters with its quotes."""
    return f'"{shorten(_escape(text[:LONGEST_SHOWN], quoted=True), text, LONGEST_SHOWN - 2)}"'


def shorten(shown: str, whole: str | None = None, limit: int = LONGEST_SHOWN) -> str:
    """Cut a shown text to the limit; `whole` is what it was made of, where that was cut before."""
    cut_before = whole is not None and len(whole) > LONGEST_SHOWN
    if len(shown) <= limit and not cut_before:
        return shown

    return shown[: limit - 1].rstrip("\\") + "…"


def plain(text: str) -> str:
    """Escape whatever is not printable, without quotes, and shorten to 100 characters."""
    return shorten(_escape(text[:LONGEST_SHOWN], quoted=False), text)


def printable(text: str) -> str:
    """Escape whatever is not printable, at any length."""
    return _escape(text, quoted=False)


def show_list(values: Iterable[object]) -> str:
    """Write values one after the other: `200, 204`."""
    return shorten(", ".join(show(value) for value in values))


def _escape(text: str, *, quoted: bool) -> str:
    if text.isprintable() and not (quoted and ('"' in text or "\\" in text)):
        return text

    return "".join(_escape_character(character, quoted=quoted) for character in text)


def _escape_character(character: str, *, quoted: bool) -> str:
    if character in '"\\' and not quoted:
        return character
    if character in _NAMED_ESCAPES:
        return _NAMED_ESCAPES[character]
    if character.isprintable():
        return character

    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"

    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _write(value: object, depth: int) -> str:
    """Write a JSON value, without going deeper or further than can be shown."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{_escape(value[:LONGEST_SHOWN], quoted=True)}"'
        case float() if value != value:  # noqa: PLR0124 - so is NaN alone
            return "NaN"
        case int() if value.bit_length() > _MOST_BITS:
            return "a huge number" if value > 0 else "a huge negative number"
        case float() if value in (float("inf"), float("-inf")):
            return "Infinity" if value > 0 else "-Infinity"
        case list() | dict() if not value:
            return "[]" if isinstance(value, list) else "{}"
        case list() | dict() if depth == 0:
            return "[…]" if isinstance(value, list) else "{…}"
        case list():
            inner = (_write(item, depth - 1) for item in islice(value, LONGEST_SHOWN))
            return f"[{', '.join(inner)}]"
        case dict():
            pairs = (
                f"{_write(key, depth - 1)}: {_write(item, depth - 1)}"
                for key, item in islice(value.items(), LONGEST_SHOWN)
            )
            return f"{{{', '.join(pairs)}}}"
        case _:
            return _escape(str(value)[: LONGEST_SHOWN + 1], quoted=False)
