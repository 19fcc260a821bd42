"""The JSON Schema of one expectation, for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monitor.core.expectations.facet import ABOUT_NODES
from monitor.core.expectations.operators import COUNT, NOT
from monitor.core.expectations.record import Kind, Operator, Source
from monitor.core.expectations.sources import SOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.core.expectations.facet import Facet
    from monitor.core.expectations.sources import Entry

_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "boolean"}
_ANYTHING: Final[Mapping[str, Any]] = {}
_COLUMN: Final = {"type": "string", "minLength": 1, "description": "The name of a column."}


def expectation_schema() -> dict[str, Any]:
    """Give the JSON Schema of one expectation: one shape for each source."""
    return {"oneOf": [_shape(source, entry) for source, entry in SOURCES.items()]}


def _shape(source: Source, entry: Entry) -> dict[str, Any]:
    if entry.facets:
        parts = {name: _below(facet) for name, facet in entry.facets.items()}
        return _object({source.value: _object(parts)}, source)

    assert entry.facet is not None
    if entry.named is None:
        return _object({source.value: _below(entry.facet)}, source)

    named = {"type": "string", "description": entry.named.described}
    if entry.named.alone:
        return _object({source.value: named}, source)

    operators = _operators(entry.facet, entry.facet.operators)

    return _object({source.value: named, **operators, "optional": _FLAG}, source, at_least=2)


def _below(facet: Facet) -> dict[str, Any]:
    """Give what may stand below a facet."""
    operators = _operators(facet, facet.operators)
    if facet.columns:
        operators["column"] = _COLUMN
    if not facet.plain:
        return _object(operators)

    return {"anyOf": [facet.literal.shape, _object(operators)]}


def _operators(facet: Facet, allowed: tuple[Operator, ...]) -> dict[str, Any]:
    shapes: dict[str, Any] = {}
    for name in allowed:
        shape = _operand(name, facet)
        shapes[name.value] = shape
        if name not in ABOUT_NODES:
            shapes[f"{NOT}{name}"] = shape

    return shapes


def _operand(name: Operator, facet: Facet) -> Mapping[str, Any]:
    literal = facet.literal.shape
    ordered = facet.ordered.shape if facet.ordered else _ANYTHING
    match name:
        case Operator.EQUALS:
            return literal
        case Operator.IN:
            return {"type": "array", "minItems": 1, "items": literal}
        case Operator.BETWEEN:
            return {"type": "array", "minItems": 2, "maxItems": 2, "items": ordered}
        case Operator.LT | Operator.LTE | Operator.GT | Operator.GTE:
            return ordered
        case Operator.CONTAINS:
            return _ANYTHING if facet.anything else _TEXT
        case Operator.EXISTS | Operator.IS_EMPTY:
            return _FLAG
        case Operator.TYPE:
            return {"enum": [kind.value for kind in Kind if kind is not Kind.DURATION]}
        case Operator.COUNT:
            number = {"type": "integer", "minimum": 0}
            return {"anyOf": [number, _object(_operators(COUNT, COUNT.operators))]}
        case Operator.EVERY | Operator.ANY:
            inner = tuple(each for each in facet.operators if each not in ABOUT_NODES)
            shapes = _operators(facet, inner)
            return _object({"column": _COLUMN, **shapes} if facet.columns else shapes)
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
