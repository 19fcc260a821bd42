"""Operands: what the configuration writes behind an operator, checked before anything runs."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import re2

from monitor.core.expectations.record import ExpectationError, Kind
from monitor.core.expectations.regex import compile_pattern
from monitor.core.expectations.shown import Bytes, show
from monitor.options import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Path = tuple[str | int, ...]

_STATUS_CLASS: Final = re.compile(r"[1-5]xx")
_DEEPEST: Final = 20
_KINDS: Final[dict[type, Kind]] = {
    str: Kind.STRING,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    bool: Kind.BOOLEAN,
    type(None): Kind.NULL,
    list: Kind.ARRAY,
    dict: Kind.OBJECT,
    timedelta: Kind.DURATION,
}


def kind_of(value: object) -> Kind:
    """Name the type of a value as JSON does; a whole number and a fraction are both numbers."""
    exact = _KINDS.get(type(value))
    if exact is not None:
        return exact

    return next(kind for base, kind in _KINDS.items() if isinstance(value, base))


def same(found: object, wanted: object) -> bool:
    """Compare as JSON does: `true` is not 1, 1.0 is 1, the order of keys says nothing."""
    match wanted:
        case bool():
            return found is wanted
        case dict():
            return (
                isinstance(found, dict)
                and found.keys() == wanted.keys()
                and all(same(found[key], value) for key, value in wanted.items())
            )
        case list():
            return (
                isinstance(found, list)
                and len(found) == len(wanted)
                and all(map(same, found, wanted))
            )
        case _:
            return found == wanted and not isinstance(found, bool)


_HTTP_VERSIONS: Final = {"1.0": "1.0", "1.1": "1.1", "2": "2", "2.0": "2"}


def wrong(path: Path, wanted: str, found: object) -> ExpectationError:
    """Say what was expected and found at a place below the expectation."""
    return ExpectationError(path, f"expected {wanted}, found {show(found)}")


def unknown(path: Path, what: str, name: object, known: Iterable[str]) -> ExpectationError:
    """Say that a name is not known, and which one may have been meant."""
    names = [str(each) for each in known]
    close = get_close_matches(str(name).lower().replace("-", "_"), names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"expected one of {', '.join(names)}"

    return ExpectationError((*path, str(name)), f"unknown {what} {show(name)}, {hint}", at_key=True)


def read_text(raw: object, path: Path) -> str:
    """Read a text that is not empty."""
    if not isinstance(raw, str):
        hint = " (put it in quotes)" if isinstance(raw, int | float) else ""
        raise wrong(path, f"a text{hint}", raw)
    if not raw:
        raise ExpectationError(path, "expected a text, found an empty one, which is in every text")

    return str(raw)


def read_string(raw: object, path: Path) -> str:
    """Read a text to compare a whole text with; it may be empty."""
    return "" if raw == "" else read_text(raw, path)


def read_http_version(raw: object, path: Path) -> str:
    """Read a version of HTTP, quoted or not; 3 is never spoken, so it is refused."""
    text = str(raw) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else ""
    if text in ("3", "3.0"):
        raise ExpectationError(path, "HTTP/3 is not spoken here, so that would never hold")
    if text not in _HTTP_VERSIONS:
        raise wrong(path, "a version of HTTP: 1.0, 1.1 or 2", raw)

    return _HTTP_VERSIONS[text]


def status_test(operand: object) -> Callable[[Any], bool]:
    """Give the test whether a status is this one, or one of this class."""
    if isinstance(operand, str):
        hundreds = int(operand[0])
        return lambda found: found // 100 == hundreds

    return lambda found: found == operand


def read_size(raw: object, path: Path) -> Bytes:
    """Read a size such as 512KiB."""
    try:
        return Bytes(parse_size(raw))
    except ValueError as error:
        raise ExpectationError(path, str(error)) from error


def read_whole(raw: object, path: Path) -> int:
    """Read a whole number."""
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise wrong(path, "a whole number", raw)

    return raw


def read_number(raw: object, path: Path) -> float:
    """Read a finite number."""
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise wrong(path, "a number", raw)

    return raw


def read_duration(raw: object, path: Path) -> timedelta:
    """Read a duration such as 3s."""
    try:
        return parse_duration(raw)
    except ValueError as error:
        raise ExpectationError(path, str(error)) from error


def read_status(raw: object, path: Path) -> int | str:
    """Read a status such as 200, or a class of them such as 2xx."""
    if isinstance(raw, str) and _STATUS_CLASS.fullmatch(raw):
        return str(raw)
    if isinstance(raw, bool) or not isinstance(raw, int) or not 100 <= raw <= 599:
        raise wrong(path, "a status such as 200 or 2xx", raw)

    return raw


def read_status_code(raw: object, path: Path) -> int:
    """Read a status to compare with by order."""
    status = read_status(raw, path)
    if isinstance(status, str):
        raise wrong(path, "a status such as 200", raw)

    return status


def read_json(raw: object, path: Path) -> object:
    """Read a value that JSON can hold; text that carries more than its characters becomes text."""
    if len(path) > _DEEPEST:
        raise ExpectationError(path, f"expected a value nested at most {_DEEPEST} levels deep")

    match raw:
        case None | bool():
            return raw
        case str():
            return str(raw)
        case int() | float():
            return read_number(raw, path)
        case list():
            return [read_json(value, (*path, index)) for index, value in enumerate(raw)]
        case dict():
            for key in raw:
                if not isinstance(key, str):
                    raise wrong((*path, str(key)), "a key in quotes", key)
            return {str(key): read_json(value, (*path, key)) for key, value in raw.items()}
        case _:
            raise wrong(path, "a value that JSON can hold (put a text in quotes)", str(raw))


def read_flag(raw: object, path: Path) -> bool:
    """Read true or false."""
    if not isinstance(raw, bool):
        raise wrong(path, "true or false", raw)

    return raw


def read_pattern(raw: object, path: Path) -> tuple[str, Any]:
    """Read a regular expression; gives its text and the compiled RE2 pattern."""
    text = read_string(raw, path)
    try:
        return text, compile_pattern(text)
    except re2.error as error:
        what = error.args[0] if error.args else b"it cannot be read"
        said = what.decode(errors="replace") if isinstance(what, bytes) else str(what)
        raise ExpectationError(path, f"{show(text)} is no RE2 pattern: {said}") from error


def read_kind(raw: object, path: Path) -> Kind:
    """Read the name of a type of JSON."""
    names = [kind for kind in Kind if kind is not Kind.DURATION]
    if raw is None:
        return Kind.NULL
    if not isinstance(raw, str) or raw not in names:
        if isinstance(raw, str) and (close := get_close_matches(raw, names, n=1)):
            raise ExpectationError(path, f"unknown type {show(raw)}, did you mean {close[0]}?")
        raise wrong(path, f"one of {', '.join(names)}", raw)

    return Kind(raw)
