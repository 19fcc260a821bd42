"""The version that an answer tells, read from a header or from JSON."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from monitor.core.expectations.evidence import Evidence
from monitor.core.expectations.json_body import (
    JsonPath,
    NotJsonError,
    PathError,
    compile_path,
    select,
)

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation
    from monitor.core.model.service import VersionSource

LONGEST: Final = 200


def read_version(source: VersionSource, observation: Observation) -> str | None:
    """Give the version at the source, at most 200 printable characters; None where none is told.

    The status plays no part: a version that answers 500 is live all the same.
    """
    if source.header is not None:
        lines = observation.header(source.header)
        return _tidy(lines[0]) if lines else None

    if source.json is None or observation.status is None:
        return None

    try:
        found = select(_path(source.json), Evidence(observation).json())
    except (NotJsonError, PathError):
        return None

    if len(found) != 1:
        return None

    match found[0].value:
        case str() as text:
            return _tidy(text)
        case bool():
            return None
        case int() | float() as number:
            return _tidy(str(number))
        case _:
            return None


def _tidy(text: str) -> str | None:
    """Leave out what cannot be printed, and shorten; a target chooses this text."""
    printable = "".join(character for character in text[: 2 * LONGEST] if character.isprintable())

    return printable.strip()[:LONGEST].strip() or None


@lru_cache(maxsize=256)
def _path(text: str) -> JsonPath:
    return compile_path(text)
