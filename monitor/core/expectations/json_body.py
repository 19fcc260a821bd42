"""JSON of an answer: strict reading within bounds, and RFC 9535 paths into it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NoReturn

import re2
from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathError, JSONPathQuery
from jsonpath_rfc9535.exceptions import JSONPathLexerError
from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction
from jsonpath_rfc9535.selectors import IndexSelector, NameSelector

from monitor.core.expectations.regex import compile_pattern, search

DEEPEST: Final = 500
MOST_NODES: Final = 10_000


class BodyError(Exception):
    """A body that is not read as what it should be, with the reason in words that follow `body`.

    `wanted` is what it should be.
    """

    wanted = ""


class NotJsonError(BodyError):
    """A text that is not JSON."""

    wanted = "JSON"


class PathError(Exception):
    """A JSONPath that cannot be read, or that a document does not let us follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One value and the normalized path to it."""

    location: str
    value: object


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonPath:
    """A compiled path; `steps` are its names and indices where it can find one value at most."""

    text: str
    steps: tuple[str | int, ...] | None
    query: JSONPathQuery = field(compare=False, repr=False)


def parse_json(text: str) -> object:
    """Read one JSON value; NaN, Infinity, duplicate keys and trailing data are not JSON.

    Raises NotJsonError.
    """
    try:
        document: object = _DECODER.decode(text)
    except RecursionError as error:
        raise NotJsonError(_TOO_DEEP) from error
    except json.JSONDecodeError as error:
        raise NotJsonError(
            f"is not JSON ({error.msg} at line {error.lineno} column {error.colno})"
        ) from error
    except NotJsonError:
        raise
    except ValueError as error:
        raise NotJsonError("is JSON with a number that is too long to read") from error

    if text.count("[") + text.count("{") > DEEPEST and _depth(document) > DEEPEST:
        raise NotJsonError(_TOO_DEEP)

    return document


@lru_cache(maxsize=1024)
def compile_path(text: str) -> JsonPath:
    """Compile an RFC 9535 JSONPath; many endpoints share one.

    Raises PathError with what is wrong with it.
    """
    try:
        query = _ENVIRONMENT.compile(text)
    except (JSONPathError, JSONPathLexerError) as error:
        raise PathError(str(error)) from error
    except RecursionError as error:
        raise PathError("nested too deeply") from error

    return JsonPath(text=text, steps=_singular_steps(query), query=query)


def select(path: JsonPath, document: object) -> list[Node]:
    """Give the values that a path finds, in document order.

    Raises PathError for a document that is too deep or too large for this path.
    """
    if path.steps is not None:
        return _walk(path.steps, document)

    nodes: list[Node] = []
    try:
        for found in path.query.finditer(document):  # type: ignore[arg-type]  # it is JSON
            if len(nodes) == MOST_NODES:
                raise PathError(f"finds more than {MOST_NODES} values")
            nodes.append(Node(location=found.path(), value=found.value))
    except (JSONPathError, RecursionError) as error:
        raise PathError("cannot be followed: the body is nested too deeply") from error

    return nodes


def _walk(steps: tuple[str | int, ...], value: object) -> list[Node]:
    """Follow names and indices without the general machinery, which costs ten times more."""
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return []
        elif not isinstance(value, list) or not -len(value) <= step < len(value):
            return []
        value = value[step]  # type: ignore[index]  # the branches above made sure

    return [Node(location="", value=value)]


def _singular_steps(query: JSONPathQuery) -> tuple[str | int, ...] | None:
    if not query.singular_query():
        return None

    steps: list[str | int] = []
    for segment in query.segments:
        match segment.selectors[0]:
            case NameSelector(name=name):
                steps.append(name)
            case IndexSelector(index=index):
                steps.append(index)

    return tuple(steps)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotJsonError("is not JSON (an object has the same key twice)")

    return found


def _refuse_constant(name: str) -> NoReturn:
    raise NotJsonError(f"is not JSON ({name} is no JSON number)")


def _depth(document: object) -> int:
    depth = 0
    level = [document]
    while level and depth <= DEEPEST:
        depth += 1
        level = [
            child
            for value in level
            for child in (value.values() if isinstance(value, dict) else _items(value))
            if isinstance(child, dict | list)
        ]

    return depth


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


class _LinearPattern(FilterFunction):
    """The functions `match` and `search` of RFC 9535 in linear time: a body may be hostile."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - set by the library
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    def __call__(self, text: object, pattern: object) -> bool:
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False

        try:
            compiled = compile_pattern(rf"\A(?:{pattern})\z" if self._whole else pattern)
        except re2.error:
            return False

        return search(compiled, text)


class _Environment(JSONPathEnvironment):
    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions["match"] = _LinearPattern(whole=True)
        self.function_extensions["search"] = _LinearPattern(whole=False)


_TOO_DEEP: Final = f"is JSON nested deeper than {DEEPEST} levels"
_DECODER: Final[Any] = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
_ENVIRONMENT: Final = _Environment()
