"""Texts with names in braces, and what takes their place."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from monitor.fields import live_secret
from monitor.options import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"
Scalar = str | int | float | bool
"""What can be captured; a number and true or false keep their type inside JSON."""

# {name}, and {{name}} for that text itself; any other brace stands for itself, as in JSON
_PLACE: Final = re.compile(rf"\{{\{{({NAME})\}}\}}|\{{({NAME})\}}")


def names_in(text: str) -> Iterator[str]:
    """Give each name that something takes the place of."""
    for found in _PLACE.finditer(text):
        if found[2]:
            yield found[2]


def leading_name(text: str) -> str | None:
    """Give the name with which a text begins, None where it begins otherwise."""
    found = _PLACE.match(text)

    return found[2] if found else None


def without_names(text: str, instead: str) -> str:
    """Put another text in the place of each name."""
    return _PLACE.sub(lambda found: f"{{{found[1]}}}" if found[1] else instead, text)


def fill(text: str, values: Mapping[str, Scalar], write: Callable[[str], str] = str) -> str:
    """Put the values in their places, each as it is written there."""

    def put(found: re.Match[str]) -> str:
        if found[1]:
            return f"{{{found[1]}}}"
        name = found[2]
        return write(as_text(values[name])) if name in values else found[0]

    return _PLACE.sub(put, text)


def fill_document(value: Any, values: Mapping[str, Scalar]) -> Any:
    """Fill the texts of a JSON document; a name alone stands for the value with its type.

    Any: a document of the user's.
    """
    match value:
        case dict():
            return {
                fill(str(key), values): fill_document(inner, values) for key, inner in value.items()
            }
        case list():
            return [fill_document(inner, values) for inner in value]
        case str() if _PLACE.search(value):
            alone = _PLACE.fullmatch(value)
            if alone and alone[2] in values:
                return values[alone[2]]
            return fill(as_it_is_now(value), values)

    return value


def fill_secret(secret: Secret, values: Mapping[str, Scalar]) -> Secret:
    """Fill a text that is not shown; what has no name in it may be read again each time."""
    if not any(True for _ in _PLACE.finditer(secret.current)):
        return secret

    return Secret(fill(secret.reveal(), values))


def as_it_is_now(text: str) -> str:
    """Read a text again where it came from a file."""
    live = live_secret(text)

    return text if live is None else live.reveal()


def as_text(value: Scalar) -> str:
    """Write a value as JSON would, without quotes."""
    return value if isinstance(value, str) else json.dumps(value)
