"""JSON Schema: the shape that a whole JSON body has, without asking any network for anything.

The library is loaded where the first schema is compiled: it takes as long to load as all the rest
of the core.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import re2

from monitor.core.expectations.json_body import NotJsonError, parse_json
from monitor.core.expectations.regex import compile_pattern, search
from monitor.core.expectations.shown import plain, show

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULT: Final = "https://json-schema.org/draft/2020-12/schema"
_TOO_DEEP: Final = "the body is nested too deeply for it"
_LARGEST: Final = 1024 * 1024


class SchemaError(Exception):
    """A JSON Schema that cannot be used, with the reason in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A JSON Schema, ready to be held against a document; `digest` is of its text."""

    digest: str
    validator: Any = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Where a document does not fit, what is there (`value`), and what the schema wants."""

    location: str
    value: object
    wanted: str


def compile_schema(text: str) -> Schema:
    """Compile a schema of the draft that its `$schema` names, 2020-12 where it names none.

    Raises SchemaError: for what is no schema, for a reference that leads out of the text or to
    nothing in it, and for a pattern that cannot be searched in linear time.
    """
    from jsonschema.exceptions import SchemaError as Wrong
    from jsonschema.validators import validator_for

    if len(text) > _LARGEST:
        raise SchemaError("is larger than 1MiB")
    try:
        raw = parse_json(text)
    except NotJsonError as error:
        raise SchemaError(str(error)) from error
    if not isinstance(raw, dict | bool):
        raise SchemaError(f"holds {show(raw)}, expected an object")

    name = raw.get("$schema", _DEFAULT) if isinstance(raw, dict) else _DEFAULT
    find: Any = validator_for  # its types do not know that there may be none
    known = find({"$schema": name}, default=None) if isinstance(name, str) else None
    if known is None:
        raise SchemaError(f"has the unknown $schema {show(name)}, expected {_DEFAULT}")

    try:
        known.check_schema(raw)
        validator = _make(known, raw, str(name))
    except Wrong as error:
        raise SchemaError(f"is no JSON Schema: at {error.json_path} {plain(error.message)}") from (
            error
        )
    except RecursionError as error:
        raise SchemaError("is nested too deeply") from error

    return Schema(
        digest=sha256(text.encode(errors="replace")).hexdigest()[:32], validator=validator
    )


def first_misfit(schema: Schema, document: object) -> Misfit | None:
    """Give the first place at which a document does not fit; never raises."""
    try:
        error = next(schema.validator.iter_errors(document), None)
    except (ArithmeticError, RecursionError):
        return Misfit(location="$", value=document, wanted=f"to be checked, but {_TOO_DEEP}")
    if error is None:
        return None

    return Misfit(
        location=error.json_path,
        value=error.instance,
        wanted=_say(str(error.validator), error.validator_value, error.instance),
    )


def _make(draft: Any, raw: object, name: str) -> Any:
    """Make the validator: no network, patterns in linear time, uniqueness as well."""
    from jsonschema import validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    resource = specification_with(name).create_resource(raw)
    registry: Any = Registry()
    for reference, at in _references(resource, registry.resolver_with_root(resource)):
        try:
            at.lookup(reference)
        except Unresolvable as error:
            raise SchemaError(
                f"refers to {show(reference)}, which is not in it (nothing else is read)"
            ) from error

    linear: Any = validators.extend(  # type: ignore[no-untyped-call]  # the library is not typed
        draft,
        {
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
            "uniqueItems": _unique_items,
        },
    )

    return linear(raw, registry=registry)


def _references(resource: Any, resolver: Any) -> Iterator[tuple[str, Any]]:
    """Give each reference of a schema, with what resolves it where it stands."""
    contents = resource.contents
    if isinstance(contents, dict):
        for key in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(contents.get(key), str):
                yield contents[key], resolver
        _check_patterns(contents)
    for inner in resource.subresources():
        yield from _references(inner, resolver.in_subresource(inner))


def _check_patterns(contents: dict[str, Any]) -> None:
    within = contents.get("patternProperties")
    patterns = list(within) if isinstance(within, dict) else []
    if isinstance(contents.get("pattern"), str):
        patterns.append(contents["pattern"])
    if patterns and "unevaluatedProperties" in contents:
        raise SchemaError("has patternProperties beside unevaluatedProperties, which is not read")
    for pattern in patterns:
        try:
            compile_pattern(pattern)
        except re2.error as error:
            raise SchemaError(f"has the pattern {show(pattern)}, which is none of RE2") from error


def _pattern(_: Any, pattern: str, instance: object, __: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not search(compile_pattern(pattern), instance):
        yield ValidationError("does not match")


def _pattern_properties(validator: Any, patterns: Any, instance: object, __: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, inner in patterns.items():
        compiled = compile_pattern(pattern)
        for key, value in instance.items():
            if search(compiled, key):
                yield from validator.descend(value, inner, path=key, schema_path=pattern)


def _additional_properties(
    validator: Any, allowed: Any, instance: object, schema: Any
) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not isinstance(instance, dict):
        return
    patterns = [compile_pattern(one) for one in schema.get("patternProperties", {})]
    known = schema.get("properties", {})
    for key, value in instance.items():
        if key in known or any(search(pattern, key) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("is not known", path=[key], instance=value)
        elif isinstance(allowed, dict):
            yield from validator.descend(value, allowed, path=key)


def _unique_items(_: Any, wanted: bool, instance: object, __: Any) -> Iterator[Any]:
    from jsonschema.exceptions import ValidationError

    if not wanted or not isinstance(instance, list):
        return
    if len({_frozen(item) for item in instance}) < len(instance):
        yield ValidationError("has an item twice")


def _frozen(value: object) -> object:
    """Give something that is equal for what JSON calls equal, and can be put in a set."""
    match value:
        case bool():
            return ("bool", value)
        case list():
            return tuple([_frozen(item) for item in value])
        case dict():
            return frozenset((key, _frozen(item)) for key, item in value.items())
        case _:
            return value


def _say(keyword: str, wanted: Any, found: object) -> str:
    """Say in words what a keyword of a schema wants."""
    match keyword:
        case "type":
            return " or ".join([wanted] if isinstance(wanted, str) else map(str, wanted))
        case "const":
            return show(wanted)
        case "enum":
            return f"one of {show(wanted)}"
        case "required" if isinstance(found, dict):
            missing = [key for key in wanted if key not in found]
            return f"the key {', '.join(plain(str(key)) for key in missing)}"
        case "minimum":
            return f"at least {show(wanted)}"
        case "maximum":
            return f"at most {show(wanted)}"
        case "exclusiveMinimum":
            return f"more than {show(wanted)}"
        case "exclusiveMaximum":
            return f"less than {show(wanted)}"
        case "pattern":
            return f"text matching {plain(wanted)}"
        case "additionalProperties" | "unevaluatedProperties" | "None" | "False":
            return "no such key"
        case "uniqueItems":
            return "no item twice"
        case _:
            return f"{plain(keyword)} {show(wanted)}"
