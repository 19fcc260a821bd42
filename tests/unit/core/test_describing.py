"""Describing: what an expectation found is said also where it is met."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from monitor.core.expectations import Evidence, compile_expectation
from monitor.core.expectations.describing import describe
from tests.support.judging import answer

SEEN = answer(
    body=b'{"db": "connected", "items": [1, 2, 3], "token": "s3cr3t-token"}',
    headers=(("x-one", "1"), ("x-two", "a"), ("x-two", "b")),
    duration=timedelta(milliseconds=120),
    values={"value": 7, "rows": [{"n": 2}]},
)


@pytest.mark.parametrize(
    ("raw", "subject", "expected", "found"),
    [
        ({"status": 200}, "status", "200", "200"),
        ({"json": "$.db", "equals": "connected"}, "json $.db", '"connected"', '"connected"'),
        ({"json": "$.items[*]", "every": {"gt": 0}}, "json $.items[*]", None, "1, 2, 3"),
        ({"json": "$.items[*]", "count": 3}, "json $.items[*]", "count 3", "1, 2, 3"),
        ({"header": "x-two", "equals": "b"}, "header x-two", '"b"', '"a", "b"'),
        ({"header": "x-one", "exists": True}, "header x-one", "to exist", '"1"'),
        ({"header": "x-none", "exists": False}, "header x-none", "to be absent", "absent"),
        ({"response_time": {"lt": "3s"}}, "response time", None, "120ms"),
        ({"json_schema": "s.json"}, "json_schema s.json", None, "a document that fits"),
        ({"response_size": {"lt": "1KiB"}}, "response size", "less than 1KiB", "64 bytes"),
        ({"redirect": {"hops": 0}}, "number of redirects", "0", "0"),
        ({"html": "p", "count": 0}, "html p", "count 0", "absent"),
        ({"value": {"lt": 10}}, "value", "less than 10", "7"),
        ({"rows": {"any": {"column": "n", "gt": 1}}}, "rows", None, '{"n": 2}'),
    ],
)
def test_what_is_met_says_what_was_found(
    raw: dict[str, Any], subject: str, expected: str | None, found: str
) -> None:
    (one,) = compile_expectation(raw, "f:1:1", read_file=lambda _: '{"type": "object"}')
    finding = describe(one, Evidence(SEEN))

    assert finding.reason is None
    assert (finding.subject, finding.found) == (subject, found)
    assert expected is None or finding.expected == expected


def test_what_is_not_met_has_its_reason() -> None:
    finding = describe(
        compile_expectation({"json": "$.db", "equals": "gone"}, "f:1:1")[0], Evidence(SEEN)
    )

    assert finding.reason is not None
    assert (finding.found, finding.expected) == ('"connected"', '"gone"')


def test_a_secret_that_is_echoed_is_masked_where_all_is_well() -> None:
    evidence = Evidence(SEEN, lambda text: text.replace("s3cr3t-token", "***"))

    finding = describe(
        compile_expectation({"json": "$.token", "exists": True}, "f:1:1")[0], evidence
    )

    assert finding.found == '"***"'
