"""The JSON Schema of one expectation, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monitor.core.expectations.operators import ABOUT_NODES, ALLOWED, COUNTING, NOT
from monitor.core.expectations.record import Kind, Operator, Source
from monitor.options import DURATION_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_FLAG: Final = {"type": "boolean"}
_DURATION: Final = {"type": "string", "pattern": DURATION_PATTERN}
_CODE: Final = {"type": "integer", "minimum": 100, "maximum": 599}
_STATUS: Final = {"anyOf": [_CODE, {"type": "string", "pattern": "^[1-5]xx$"}]}
_HTTP_VERSION: Final = {"enum": ["1.0", "1.1", "2", 1.0, 1.1, 2]}
_ANYTHING: Final[Mapping[str, Any]] = {}

_LITERAL: Final[Mapping[Source, Mapping[str, Any]]] = {
    Source.STATUS: _STATUS,
    Source.HEADER: _TEXT,
    Source.BODY: _TEXT,
    Source.JSON: _ANYTHING,
    Source.RESPONSE_TIME: _DURATION,
    Source.HTTP_VERSION: _HTTP_VERSION,
}
_ORDERED: Final[Mapping[Source, Mapping[str, Any]]] = {
    Source.STATUS: _CODE,
    Source.JSON: _NUMBER,
    Source.RESPONSE_TIME: _DURATION,
}


def expectation_schema() -> dict[str, Any]:
    """Give the JSON Schema of one expectation: one shape for each source."""
    return {"oneOf": [_shape(source) for source in Source]}


def _shape(source: Source) -> dict[str, Any]:
    operators = _operators(source, ALLOWED[source])
    match source:
        case Source.HEADER | Source.JSON:
            named = {"type": "string", "description": _NAMED[source]}
            return _object({source.value: named, **operators}, source, at_least=2)
        case Source.STATUS | Source.HTTP_VERSION:
            below = {"anyOf": [_LITERAL[source], _object(operators)]}
            return _object({source.value: below}, source)
        case _:
            return _object({source.value: _object(operators)}, source)


def _operators(source: Source, allowed: tuple[Operator, ...]) -> dict[str, Any]:
    shapes: dict[str, Any] = {}
    for name in allowed:
        shape = _operand(name, source)
        shapes[name.value] = shape
        if name not in ABOUT_NODES:
            shapes[f"{NOT}{name}"] = shape

    return shapes


def _operand(name: Operator, source: Source) -> Mapping[str, Any]:
    match name:
        case Operator.EQUALS:
            return _LITERAL[source]
        case Operator.IN:
            return {"type": "array", "minItems": 1, "items": _LITERAL[source]}
        case Operator.BETWEEN:
            return {"type": "array", "minItems": 2, "maxItems": 2, "items": _ORDERED[source]}
        case Operator.LT | Operator.LTE | Operator.GT | Operator.GTE:
            return _ORDERED[source]
        case Operator.CONTAINS:
            return _ANYTHING if source is Source.JSON else _TEXT
        case Operator.EXISTS | Operator.IS_EMPTY:
            return _FLAG
        case Operator.TYPE:
            return {"enum": [kind.value for kind in Kind if kind is not Kind.DURATION]}
        case Operator.COUNT:
            number = {"type": "integer", "minimum": 0}
            return {"anyOf": [number, _object(_operators(Source.JSON, COUNTING))]}
        case Operator.EVERY | Operator.ANY:
            inner = tuple(each for each in ALLOWED[source] if each not in ABOUT_NODES)
            return _object(_operators(source, inner))
        case Operator.STARTS_WITH | Operator.ENDS_WITH | Operator.MATCHES:
            return _TEXT


def _object(
    properties: Mapping[str, Any], source: Source | None = None, at_least: int = 1
) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "minProperties": at_least,
        "properties": dict(properties),
    }
    if source is not None:
        shape["required"] = [source.value]

    return shape


_NAMED: Final[Mapping[Source, str]] = {
    Source.HEADER: "The name of a header, in any case.",
    Source.JSON: "An RFC 9535 JSONPath.",
}
