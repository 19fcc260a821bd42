"""What is refused when expectations are compiled, where, and in which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from monitor.core.expectations import (
    ExpectationError,
    Source,
    compile_expectation,
    expectation_schema,
)
from monitor.core.expectations.record import Operator
from monitor.core.expectations.sources import SOURCES

OFFERED = (Source.STATUS, Source.HEADER, Source.JSON, Source.RESPONSE_TIME)
REFUSED: list[tuple[object, tuple[str | int, ...], str]] = [
    (None, (), "expected a source and an operator such as {status: 200}, found null"),
    (200, (), "expected a source and an operator such as {status: 200}, found 200"),
    ({}, (), "expected a source and an operator such as {status: 200}, found {}"),
    (
        [{"status": 200}],
        (),
        'expected a source and an operator such as {status: 200}, found [{"status": 200}]',
    ),
    ({"staus": 200}, ("staus",), 'unknown source "staus", did you mean status?'),
    (
        {"response-time": {"lt": "1s"}},
        ("response-time",),
        'unknown source "response-time", did you mean response_time?',
    ),
    (
        {"xpath": "//h1", "exists": True},
        ("xpath",),
        'unknown source "xpath", expected one of status, header, json, response_time',
    ),
    (
        {"equals": 3},
        (),
        "expected a source beside equals: status, header, json, response_time",
    ),
    (
        {"status": 200, "body": {"contains": "x"}},
        (),
        "expected one source, found status and body: write one expectation for each",
    ),
    ({"status": "200"}, ("status",), 'expected a status such as 200 or 2xx, found "200"'),
    ({"status": "2XX"}, ("status",), 'expected a status such as 200 or 2xx, found "2XX"'),
    ({"status": 99}, ("status",), "expected a status such as 200 or 2xx, found 99"),
    ({"status": True}, ("status",), "expected a status such as 200 or 2xx, found true"),
    ({"status": None}, ("status",), "expected a status such as 200 or 2xx, found null"),
    ({"status": {}}, ("status",), "expected operators, as in {status: 200}, found {}"),
    (
        {"status": {"in": [200, 900]}},
        ("status", "in", 1),
        "expected a status such as 200 or 2xx, found 900",
    ),
    ({"status": {"in": []}}, ("status", "in"), "expected a list of values, one or more, found []"),
    (
        {"status": {"in": 200}},
        ("status", "in"),
        "expected a list of values, one or more, found 200",
    ),
    ({"status": {"lt": "5xx"}}, ("status", "lt"), 'expected a status such as 200, found "5xx"'),
    (
        {"status": {"equal": 200}},
        ("status", "equal"),
        'unknown operator "equal", did you mean equals?',
    ),
    (
        {"status": {"matches": "2.."}},
        ("status", "matches"),
        "matches does not apply to status, expected one of equals, in, lt, lte, gt, gte, between",
    ),
    ({"status": 200, "in": [200]}, ("in",), "expected in below status, as in {status: 200}"),
    (
        {"header": "x"},
        (),
        "expected an operator beside header, as in {header: content-type, contains: json}",
    ),
    (
        {"header": "x y", "exists": True},
        ("header",),
        'expected the name of a header, as in {header: content-type, contains: json}, found "x y"',
    ),
    (
        {"header": {"x": "y"}, "exists": True},
        ("header",),
        "expected the name of a header, as in {header: content-type, contains: json}, "
        'found {"x": "y"}',
    ),
    ({"header": "x", "equals": 5}, ("equals",), "expected a text (put it in quotes), found 5"),
    (
        {"header": "x", "equals": True},
        ("equals",),
        "expected a text (put it in quotes), found true",
    ),
    ({"header": "x", "in": ["a", 5]}, ("in", 1), "expected a text (put it in quotes), found 5"),
    ({"header": "x", "exists": "yes"}, ("exists",), 'expected true or false, found "yes"'),
    (
        {"header": "x", "not_exists": True},
        ("not_exists",),
        "there is no not_exists: write exists: false",
    ),
    (
        {"header": "x", "contains": ""},
        ("contains",),
        "expected a text, found an empty one, which is in every text",
    ),
    (
        {"header": "x", "exists": False, "equals": "y"},
        ("exists",),
        "what does not exist meets no other operator: write exists: false alone",
    ),
    (
        {"header": "x", "lt": 5},
        ("lt",),
        "lt does not apply to header, expected one of equals, in, contains, starts_with, "
        "ends_with, matches, is_empty, exists, count, every, any",
    ),
    ({"header": "x", "is_empty": 1}, ("is_empty",), "expected true or false, found 1"),
    ({"header": "x", "not_is_empty": 1}, ("not_is_empty",), "expected true or false, found 1"),
    ({"body": "ok"}, ("body",), 'expected operators, as in {body: {contains: ok}}, found "ok"'),
    (
        {"body": None, "contains": "ok"},
        ("contains",),
        "expected contains below body, as in {body: {contains: ok}}",
    ),
    ({"body": {"matches": "("}}, ("body", "matches"), '"(" is no RE2 pattern: missing ): ('),
    (
        {"body": {"matches": "(?=x)"}},
        ("body", "matches"),
        '"(?=x)" is no RE2 pattern: invalid perl operator: (?=',
    ),
    (
        {"body": {"matches": "\ud800"}},
        ("body", "matches"),
        '"\\ud800" is no RE2 pattern: it is not valid Unicode',
    ),
    ({"body": {"matches": 5}}, ("body", "matches"), "expected a text (put it in quotes), found 5"),
    (
        {"body": {"not_contain": "x"}},
        ("body", "not_contain"),
        'unknown operator "not_contain", did you mean not_contains?',
    ),
    (
        {"body": {"zzz": "x"}},
        ("body", "zzz"),
        'unknown operator "zzz", expected one of equals, in, contains, starts_with, ends_with, '
        "matches, is_empty",
    ),
    (
        {"json": 5, "equals": 1},
        ("json",),
        "expected a JSONPath, as in {json: $.status, equals: ok}, found 5",
    ),
    (
        {"json": "$.a-b", "equals": 1},
        ("json",),
        "\"$.a-b\" is no JSONPath: expected '.', '..' or a bracketed selection, found '-', "
        "line 1, column 3",
    ),
    ({"json": "$.a", "equals": float("nan")}, ("equals",), "expected a number, found NaN"),
    ({"json": "$.a", "lt": "5"}, ("lt",), 'expected a number, found "5"'),
    ({"json": "$.a", "lt": True}, ("lt",), "expected a number, found true"),
    ({"json": "$.a", "equals": {1: 2}}, ("equals", "1"), "expected a key in quotes, found 1"),
    (
        {"json": "$.a", "between": [1]},
        ("between",),
        "expected a list of two, the lowest and the highest that is healthy, found [1]",
    ),
    ({"json": "$.a", "between": [3, 1]}, ("between",), "nothing lies between 3 and 1"),
    ({"json": "$.a", "between": [3, "x"]}, ("between", 1), 'expected a number, found "x"'),
    ({"json": "$.a", "type": "strng"}, ("type",), 'unknown type "strng", did you mean string?'),
    (
        {"json": "$.a", "type": 5},
        ("type",),
        "expected one of string, number, boolean, null, array, object, found 5",
    ),
    (
        {"json": "$.a", "type": "duration"},
        ("type",),
        'expected one of string, number, boolean, null, array, object, found "duration"',
    ),
    (
        {"json": "$.a", "count": -1},
        ("count",),
        "expected a whole number or operators such as {gte: 1}, found -1",
    ),
    (
        {"json": "$.a", "count": True},
        ("count",),
        "expected a whole number or operators such as {gte: 1}, found true",
    ),
    ({"json": "$.a", "count": {}}, ("count",), "expected operators such as {gte: 1}, found {}"),
    (
        {"json": "$.a", "count": {"equals": "x"}},
        ("count", "equals"),
        'expected a whole number, found "x"',
    ),
    (
        {"json": "$.a", "count": {"matches": "x"}},
        ("count", "matches"),
        "matches does not apply to a count, expected one of equals, in, lt, lte, gt, gte, between",
    ),
    ({"json": "$.a", "equals": 1, "optional": 1}, ("optional",), "expected true or false, found 1"),
    (
        {"json": "$.a", "exists": True, "optional": True},
        ("optional",),
        "what may be absent is not asked whether it exists: remove one of them",
    ),
    ({"json": "$.a", "every": 5}, ("every",), "expected operators such as {lt: 100}, found 5"),
    ({"json": "$.a", "any": {}}, ("any",), "expected operators such as {lt: 100}, found {}"),
    (
        {"json": "$.a", "every": {"exists": True}},
        ("every", "exists"),
        "exists is about several values and cannot stand here",
    ),
    (
        {"json": "$.a", "not_every": {"lt": 1}},
        ("not_every",),
        "there is no not_every: write any with the opposite",
    ),
    (
        {"response_time": {"lt": 5}},
        ("response_time", "lt"),
        "expected a duration such as 30s, found 5",
    ),
    (
        {"response_time": "3s"},
        ("response_time",),
        'expected operators, as in {response_time: {lt: 3s}}, found "3s"',
    ),
    (
        {"response_time": {"between": ["2s", "1s"]}},
        ("response_time", "between"),
        "nothing lies between 2s and 1s",
    ),
]


@pytest.mark.parametrize(("raw", "path", "message"), REFUSED, ids=lambda value: repr(value)[:60])
def test_a_mistake_is_refused_with_its_place_and_what_was_wanted(
    raw: object, path: tuple[str | int, ...], message: str
) -> None:
    with pytest.raises(ExpectationError) as refused:
        compile_expectation(raw, "", sources=OFFERED)

    assert (refused.value.path, refused.value.message) == (path, message)


def test_an_operand_may_not_be_nested_without_end() -> None:
    operand: object = 1
    for _ in range(100):
        operand = [operand]

    with pytest.raises(ExpectationError) as refused:
        compile_expectation({"json": "$.a", "equals": operand}, "")

    assert refused.value.message == "expected a value nested at most 20 levels deep"


def test_a_path_may_not_be_nested_without_end() -> None:
    with pytest.raises(ExpectationError) as refused:
        compile_expectation({"json": "$[?" + "(" * 5000 + "@" + ")" * 5000 + "]", "count": 1}, "")

    assert refused.value.path == ("json",)


def test_an_operand_that_json_cannot_hold_is_refused() -> None:
    with pytest.raises(ExpectationError) as refused:
        compile_expectation({"json": "$.a", "equals": {1, 2}}, "")

    assert refused.value.message.startswith("expected a value that JSON can hold")


@pytest.mark.parametrize(
    "text", ["$", "$.a", "$['a b']", "$[0]", "$[-1]", "$..a", "$[*]", "$[1:3]", "$[?@.a == 1]"]
)
def test_paths_of_rfc_9535_are_read(text: str) -> None:
    assert compile_expectation({"json": text, "exists": True}, "")[0].name == text


@pytest.mark.parametrize("source", Source)
def test_every_operator_that_the_schema_offers_is_one_that_is_read(source: Source) -> None:
    entry = SOURCES[source]

    facets = dict(entry.facets) if entry.facet is None else {"": entry.facet}
    for part, facet in facets.items():
        offered = _offered(source, part)
        for name in offered:
            with pytest.raises(ExpectationError) as refused:
                compile_expectation(_with_operator(source, part, name, object()), "")
            assert "unknown" not in refused.value.message
            assert "apply" not in refused.value.message
        assert {Operator(name) for name in offered if not name.startswith("not_")} == set(
            facet.operators
        )


@pytest.mark.parametrize("source", Source)
def test_the_example_of_a_source_is_read_and_fits_the_schema(source: Source) -> None:
    example = yaml.safe_load(SOURCES[source].example)

    assert compile_expectation(example, "", read_file=lambda _: "{}")[0].source is source
    Draft202012Validator(expectation_schema()).validate(example)


def test_the_schema_is_plain_json() -> None:
    assert json.loads(json.dumps(expectation_schema())) == expectation_schema()


def _offered(source: Source, part: str) -> list[str]:
    """Give the operators that the schema has for a source, or for a part of it."""
    shapes: list[dict[str, Any]] = expectation_schema()["oneOf"]
    below = next(shape for shape in shapes if shape["required"] == [source])["properties"]
    if SOURCES[source].named is None:
        below = below[source]
        below = below["properties"][part] if part else below
        below = below.get("anyOf", [below])[-1]["properties"]

    return [name for name in below if name not in (source, "column", "optional")]


def _with_operator(source: Source, part: str, name: str, operand: object) -> dict[str, object]:
    match source:
        case Source.HEADER:
            return {"header": "x", name: operand}
        case Source.JSON:
            return {"json": "$.x", name: operand}
        case Source.ROWS:
            return {"rows": {"column": "x", name: operand}}
        case _ if part:
            return {str(source): {part: {name: operand}}}
        case _:
            return {str(source): {name: operand}}
