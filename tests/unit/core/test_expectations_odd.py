"""What is decided about what is odd: several values for one, null, huge numbers, no text."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

import pytest

from tests.support.judging import answer
from tests.unit.core.test_expectations_sources import said

DEEP: Final = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    ("raw", "seen", "message"),
    [
        # A scalar operator on several nodes, and on none.
        (
            {"json": "$[*]", "lt": 9},
            b"[1, 2]",
            "json $[*] finds 2 values (write every or any), expected exactly one: less than 9",
        ),
        ({"json": "$[*]", "lt": 9}, b"[]", "json $[*] is absent, expected less than 9"),
        (
            {"json": "$[*]", "every": {"lt": 9}},
            b"[]",
            "json $[*] is absent, expected every value to be a number less than 9",
        ),
        # Null is not absent, and absent is not null.
        ({"json": "$.a", "exists": True}, b'{"a": null}', None),
        (
            {"json": "$.a", "exists": False},
            b'{"a": null}',
            "json $.a is null, expected to be absent",
        ),
        ({"json": "$.a", "equals": None}, b"{}", "json $.a is absent, expected null"),
        (
            {"json": "$.a", "not_equals": None},
            b"{}",
            "json $.a is absent, expected anything but null",
        ),
        # A string is no number, in neither form, and true is not one.
        ({"json": "$", "lt": 9}, b'"5"', 'json $ is a string, "5", expected a number less than 9'),
        (
            {"json": "$", "not_lt": 9},
            b'"5"',
            'json $ is a string, "5", expected a number anything but less than 9',
        ),
        ({"json": "$", "equals": 1}, b"true", "json $ is a boolean, true, expected a number: 1"),
        ({"json": "$", "equals": 1}, b"1.0", None),
        # What JSON does not have is no JSON.
        ({"json": "$", "gt": 0}, b"NaN", "body is not JSON (NaN is no JSON number), expected JSON"),
        (
            {"json": "$", "gt": 0},
            b"-Infinity",
            "body is not JSON (-Infinity is no JSON number), expected JSON",
        ),
        (
            {"json": "$", "equals": 1},
            b"1 1",
            "body is not JSON (Extra data at line 1 column 3), expected JSON",
        ),
        # Numbers have no bounds.
        ({"json": "$", "gt": 0}, b"1" + b"0" * 4000, None),
        (
            {"json": "$", "lt": 0.5},
            b"1" + b"0" * 4000,
            "json $ is a huge number, expected less than 0.5",
        ),
        (
            {"json": "$", "gt": 0},
            b"1" * 5000,
            "body is JSON with a number that is too long to read, expected JSON",
        ),
        ({"json": "$", "gt": 0}, b"1e999", None),
        ({"json": "$", "lt": 0}, b"1e999", "json $ is Infinity, expected less than 0"),
        # Bytes that are no text.
        ({"json": "$", "exists": True}, b'"\xff"', "body is not UTF-8 (byte 1), expected JSON"),
        ({"body": {"contains": "a"}}, b"\xff\xfea", None),
        ({"body": {"equals": "a"}}, b"\xffa", 'body is "\ufffda", expected "a"'),
        # Depth without end.
        (
            {"json": "$", "exists": True},
            DEEP,
            "body is JSON nested deeper than 500 levels, expected JSON",
        ),
        (
            {"json_schema": "s.json"},
            DEEP,
            "body is JSON nested deeper than 500 levels, expected JSON",
        ),
        ({"body": {"starts_with": "[["}}, DEEP, None),
        ({"html": "p", "exists": False}, DEEP, None),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_the_verdict_on_what_is_odd_is_this(raw: object, seen: bytes, message: str | None) -> None:
    assert said(raw, answer(body=seen)) == message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"json": "$.a", "equals": 1},
            "body was cut after 8 bytes, raise request.body_limit, expected JSON",
        ),
        (
            {"json_schema": "s.json"},
            "body was cut after 8 bytes, raise request.body_limit, expected JSON",
        ),
        ({"body": {"contains": "a"}}, None),
        (
            {"body": {"not_contains": "b"}},
            "body was cut after 8 characters (raise "
            'request.body_limit): "{\\"a\\": 1}", expected text not containing "b"',
        ),
        (
            {"body": {"ends_with": "}"}},
            "body was cut after 8 characters (raise "
            'request.body_limit): "{\\"a\\": 1}", expected text ending with "}"',
        ),
        ({"response_size": {"gt": 7}}, None),
        ({"status": 200}, None),
    ],
    ids=str,
)
def test_a_cut_body_fails_only_what_needs_the_rest(raw: object, message: str | None) -> None:
    assert said(raw, answer(body=b'{"a": 1}', body_truncated=True)) == message


@pytest.mark.parametrize("raw", [{"value": {"lt": 5}}, {"value": {"not_lt": 5}}], ids=str)
def test_no_number_at_all_is_neither_below_nor_above(raw: object) -> None:
    message = said(raw, answer(status=None, values={"value": float("nan")}))

    assert message is not None
    assert message.startswith("value is NaN, expected ")


def test_a_number_of_a_database_is_a_number() -> None:
    rows = [{"n": Decimal("3.50"), "day": date(2026, 7, 1)}, {"n": Decimal(12), "day": None}]
    seen = answer(status=None, values={"value": Decimal(7), "rows": rows})

    assert said({"value": {"equals": 7}}, seen) is None
    assert said({"rows": {"every": {"column": "n", "lt": 10}}}, seen) == (
        "column n is 12 in row 2 (day null), expected every value to be a number less than 10 "
        "(1 of 2 are not)"
    )
    assert said({"rows": {"any": {"column": "day", "equals": "2026-07-01"}}}, seen) is None
