"""Whatever a target sends, an expectation answers with a reason or with none, and never raises."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.expectations import (
    Evidence,
    Expectation,
    ExpectationError,
    Source,
    check,
    compile_expectation,
)
from monitor.core.expectations.shown import plain, quote, show
from tests.support.judging import answer
from tests.unit.core.test_expectations import FAILING, PASSING
from tests.unit.core.test_expectations_sources import SCHEMA

OF_OTHER_SOURCES: list[dict[str, Any]] = [
    {"html": "h1", "equals": "x"},
    {"html": "p > b", "every": {"matches": "x"}},
    {"html": "p", "exists": False},
    {"json_schema": "s.json"},
    {"response_size": {"lt": "1KiB"}},
    {"redirect": {"to": {"contains": "x"}, "hops": 0}},
    {"certificate": {"expires_in": {"gt": "1d"}, "issuer": "x"}},
    {"value": {"lt": 5}},
    {"value": {"not_lt": 5}},
    {"value": {"contains": "x"}},
    {"value": {"not_equals": None}},
    {"value": {"type": "object"}},
    {"rows": {"every": {"column": "failed", "lt": 5, "not_equals": 3}}},
    {"rows": {"any": {"column": "failed", "contains": "x"}}},
    {"rows": {"column": "failed", "between": [1, 3]}},
    {"rows": {"exists": False}},
    {"rows": {"count": 1}},
    {"dns_answer": {"every": {"starts_with": "1"}}},
    {"dns_answer": {"equals": "1"}},
    {"rcode": "NOERROR"},
    {"exit_code": {"lte": 1}},
    {"output": {"not_contains": "x", "matches": "y"}},
]
EXPECTATIONS: list[Expectation] = [
    one for raw in (*PASSING, *(raw for raw, _ in FAILING)) for one in compile_expectation(raw, "")
] + [
    one
    for raw in OF_OTHER_SOURCES
    for one in compile_expectation(raw, "", read_file=lambda _: json.dumps(SCHEMA))
]
NAMES = ["Content-Type", "set-cookie", "X-Empty", "X-Powered-By"]
TEXT = st.text(st.characters(codec=None, exclude_categories=[]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(
    st.sampled_from(["status", "number", "list", "deps", "empty", "nothing", "database"]),
    VALUES,
    max_size=5,
)
TAGS = st.sampled_from(["<p>", "</p>", "<b a='", "<!--", "<h1>", "<svg><style>", "</", ">", "x"])
BODIES = st.one_of(
    st.lists(TAGS, max_size=30).map(lambda tags: "".join(tags).encode()),
    st.binary(max_size=200),
    st.builds(lambda value: json.dumps(value).encode(), DOCUMENTS | VALUES),
    st.builds(lambda text: text.encode(errors="replace"), TEXT),
)
FACTS = VALUES | st.decimals() | st.dates() | st.binary(max_size=9) | st.just(10**5000)
GIVEN = st.dictionaries(
    st.sampled_from(["value", "rcode", "exit_code", "output"]), FACTS, max_size=4
) | st.dictionaries(
    st.sampled_from(["rows", "dns_answer"]),
    VALUES | st.lists(FACTS | st.dictionaries(st.sampled_from(["failed", "id"]), FACTS)),
    max_size=2,
)
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), TEXT), max_size=5).map(tuple)


@settings(max_examples=200, deadline=None)
@given(
    body=BODIES,
    headers=HEADERS,
    status=st.integers(100, 999),
    cut=st.booleans(),
    duration=st.timedeltas(timedelta(), timedelta(hours=1)),
    values=GIVEN,
    url=TEXT,
)
def test_no_answer_makes_an_expectation_raise(
    body: bytes,
    headers: tuple[tuple[str, str], ...],
    status: int,
    cut: bool,
    duration: timedelta,
    values: dict[str, object],
    url: str,
) -> None:
    evidence = Evidence(
        answer(
            body=body,
            headers=headers,
            status=status,
            body_truncated=cut,
            duration=duration,
            values=values,
            url=url,
        )
    )

    for expectation in EXPECTATIONS:
        reason = check(expectation, evidence)
        if reason is not None:
            assert reason.message.isprintable()
            assert reason.found.isprintable()
            assert len(reason.found) <= 130
            assert len(reason.message) <= 600


@settings(max_examples=200, deadline=None)
@given(
    raw=st.dictionaries(
        st.sampled_from(
            [*Source, "equals", "in", "lt", "count", "every", "matches", "exists", "between"]
        )
        | TEXT,
        VALUES | st.dictionaries(st.sampled_from(["lt", "in", "equals", "matches"]), VALUES),
        max_size=3,
    )
)
def test_no_configuration_raises_anything_but_its_own_error(raw: dict[str, Any]) -> None:
    message = ""
    try:
        compile_expectation(raw, "")
    except ExpectationError as refused:
        message = refused.message

    assert message.isprintable()


@settings(max_examples=200, deadline=None)
@given(operand=VALUES.filter(lambda value: value != "" and "nan" not in repr(value)), body=VALUES)
def test_a_form_and_its_opposite_never_hold_together(operand: object, body: object) -> None:
    evidence = Evidence(answer(body=json.dumps({"a": body}).encode()))
    for name in ("equals", "contains"):
        try:
            positive = compile_expectation({"json": "$.a", name: operand}, "")[0]
            negative = compile_expectation({"json": "$.a", f"not_{name}": operand}, "")[0]
        except ExpectationError:
            continue

        assert check(positive, evidence) or check(negative, evidence)


@given(value=VALUES)
def test_every_value_is_shown_on_one_short_printable_line(value: object) -> None:
    for shown in (show(value), quote(str(value)), plain(str(value))):
        assert shown.isprintable()
        assert len(shown) <= 100


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('a\n\t"\\\x1b\u2028', '"a\\n\\t\\"\\\\\\x1b\\u2028"'),
        (None, "null"),
        ([True, {"a": 1.5}], '[true, {"a": 1.5}]'),
        ([[[[[1]]]], {}], "[[[[[…]]]], {}]"),
        (float("inf"), "Infinity"),
        (timedelta(milliseconds=1500), "1.5s"),
        ("x" * 200, '"' + "x" * 97 + '…"'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_values_are_shown_as_json_would_write_them(value: object, shown: str) -> None:
    assert show(value) == shown
