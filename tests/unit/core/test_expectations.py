"""What an expectation says of an answer, and in which words."""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest

from monitor.core.expectations import Evidence, check, compile_expectation
from monitor.core.model.observation import Code, Observation
from monitor.core.model.verdict import Reason
from tests.support.judging import answer

DOCUMENT = {
    "status": "ok",
    "database": {"status": "down"},
    "number": 5,
    "half": 2.5,
    "five": "5",
    "yes": True,
    "nothing": None,
    "list": [1, 2, 3],
    "empty": [],
    "deps": [{"ms": 20}, {"ms": 250}, {"ms": 300}],
    "café": "☕",
    "Grüße": {"e": 1},
}
HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Set-Cookie", "a=1; Secure"),
    ("Set-Cookie", "b=2"),
    ("X-Empty", ""),
)


def judged(raw: object, observation: Observation | None = None) -> Reason | None:
    """Check one expectation against the answer of this module, or against another one."""
    if observation is None:
        observation = answer(headers=HEADERS, body=json.dumps(DOCUMENT).encode())

    return _first(raw, Evidence(observation))


def _first(raw: object, evidence: Evidence) -> Reason | None:
    """Give the first reason why an answer does not meet what is expected of one source."""
    reasons = (check(one, evidence) for one in compile_expectation(raw, "monitor.yml:4:9"))

    return next((reason for reason in reasons if reason is not None), None)


def said(raw: object, observation: Observation | None = None) -> str | None:
    """Give the words for what is wrong."""
    reason = judged(raw, observation)

    return None if reason is None else reason.message


@pytest.mark.parametrize(
    ("raw", "statuses_that_pass", "statuses_that_fail"),
    [
        ({"status": 200}, [200], [201, 404]),
        ({"status": "2xx"}, [200, 201, 299], [199, 300, 404, 500]),
        ({"status": {"in": [200, 404]}}, [200, 404], [201]),
        ({"status": {"in": ["2xx", 404]}}, [201, 404], [302]),
        ({"status": {"not_in": ["4xx", "5xx"]}}, [200, 302], [404, 500]),
        ({"status": {"equals": 404}}, [404], [200]),
        ({"status": {"not_equals": 500}}, [200, 404], [500]),
        ({"status": {"lt": 500}}, [200, 499], [500]),
        ({"status": {"gte": 200, "lte": 399}}, [200, 399], [199, 400]),
        ({"status": {"between": [200, 299]}}, [200, 299], [199, 300]),
        ({"status": {"not_between": [400, 599]}}, [200], [400, 599]),
    ],
    ids=str,
)
def test_a_status_is_compared_with_what_is_healthy(
    raw: object, statuses_that_pass: list[int], statuses_that_fail: list[int]
) -> None:
    for status in statuses_that_pass:
        assert judged(raw, answer(status=status)) is None, status
    for status in statuses_that_fail:
        reason = judged(raw, answer(status=status))
        assert reason is not None, status
        assert reason.code is Code.STATUS
        assert reason.found == str(status)


PASSING = [
    {"json": "$.status", "equals": "ok"},
    {"json": "$.status", "in": ["ok", "fine"]},
    {"json": "$.status", "not_in": ["down", "gone"]},
    {"json": "$.status", "starts_with": "o", "ends_with": "k", "contains": "ok"},
    {"json": "$.status", "matches": "^[a-z]+$"},
    {"json": "$.status", "not_matches": "x"},
    {"json": "$.status", "type": "string"},
    {"json": "$.status", "not_type": "number"},
    {"json": "$.number", "equals": 5.0},
    {"json": "$.number", "gt": 4, "lte": 5, "between": [5, 5]},
    {"json": "$.half", "lt": 3},
    {"json": "$.yes", "equals": True},
    {"json": "$.nothing", "equals": None},
    {"json": "$.nothing", "exists": True},
    {"json": "$.nothing", "type": "null"},
    {"json": "$.status", "not_equals": None},
    {"json": "$.list", "equals": [1, 2, 3]},
    {"json": "$.list", "contains": 2},
    {"json": "$.list", "not_contains": 4},
    {"json": "$.list", "type": "array", "is_empty": False},
    {"json": "$.empty", "is_empty": True},
    {"json": "$.empty", "not_is_empty": False},
    {"json": "$.empty", "not_contains": "x"},
    {"json": "$.list[*]", "count": 3},
    {"json": "$.list[*]", "count": {"gte": 1, "not_equals": 4}},
    {"json": "$.missing", "exists": False},
    {"json": "$.missing", "count": 0},
    {"json": "$.missing[*]", "count": {"lt": 1}},
    {"json": "$.list[-1]", "equals": 3},
    {"json": "$.deps[*].ms", "every": {"lt": 1000, "gt": 0}},
    {"json": "$.deps[*].ms", "any": {"lt": 100}},
    {"json": "$.deps[?@.ms > 290].ms", "equals": 300},
    {"json": "$.café", "equals": "☕"},
    {"json": "$['Grüße']", "equals": {"e": 1}},
    {"json": "$", "type": "object"},
    {"header": "content-type", "starts_with": "text/html"},
    {"header": "CONTENT-TYPE", "contains": "utf-8"},
    {"header": "set-cookie", "equals": "b=2"},
    {"header": "set-cookie", "contains": "Secure"},
    {"header": "set-cookie", "not_contains": "HttpOnly"},
    {"header": "set-cookie", "count": 2},
    {"header": "set-cookie", "any": {"ends_with": "Secure"}},
    {"header": "set-cookie", "every": {"matches": "^[ab]="}},
    {"header": "x-empty", "is_empty": True},
    {"header": "x-empty", "matches": ".*"},
    {"header": "x-empty", "equals": ""},
    {"header": "x-powered-by", "exists": False},
    {"header": "x-powered-by", "count": 0},
    {"body": {"contains": '"ok"'}},
    {"body": {"not_contains": "Traceback"}},
    {"body": {"matches": "data.*down"}},
    {"body": {"is_empty": False}},
    {"response_time": {"lt": "3s"}},
    {"response_time": {"between": ["1ms", "100ms"]}},
    {"response_time": {"lte": "100ms", "gte": "100ms"}},
]


@pytest.mark.parametrize("raw", PASSING, ids=str)
def test_what_is_healthy_passes(raw: object) -> None:
    assert said(raw) is None


FAILING = [
    (
        {"json": "$.database.status", "equals": "connected"},
        'json $.database.status is "down", expected "connected"',
    ),
    (
        {"json": "$.database.status", "not_equals": "down"},
        'json $.database.status is "down", expected anything but "down"',
    ),
    (
        {"json": "$.status", "in": ["up", "fine"]},
        'json $.status is "ok", expected one of "up", "fine"',
    ),
    ({"json": "$.number", "lt": 5}, "json $.number is 5, expected less than 5"),
    ({"json": "$.number", "between": [6, 7]}, "json $.number is 5, expected between 6 and 7"),
    ({"json": "$.status", "matches": "^x"}, 'json $.status is "ok", expected text matching ^x'),
    ({"json": "$.list", "contains": 4}, "json $.list is [1, 2, 3], expected an array containing 4"),
    ({"json": "$.list", "type": "object"}, "json $.list is [1, 2, 3], expected an object"),
    ({"json": "$.list", "is_empty": True}, "json $.list is [1, 2, 3], expected to be empty"),
    ({"json": "$.missing", "equals": 1}, "json $.missing is absent, expected 1"),
    ({"json": "$.missing", "not_equals": 1}, "json $.missing is absent, expected anything but 1"),
    ({"json": "$.missing", "is_empty": True}, "json $.missing is absent, expected to be empty"),
    ({"json": "$.missing", "exists": True}, "json $.missing is absent, expected to exist"),
    (
        {"json": "$.missing[*]", "every": {"lt": 5}},
        "json $.missing[*] is absent, expected every value to be a number less than 5",
    ),
    ({"json": "$.nothing", "exists": False}, "json $.nothing is null, expected to be absent"),
    (
        {"json": "$.deps[*].ms", "equals": 20},
        "json $.deps[*].ms finds 3 values (write every or any), expected exactly one: 20",
    ),
    (
        {"json": "$.deps[*].ms", "not_equals": 7},
        "json $.deps[*].ms finds 3 values (write every or any), "
        "expected exactly one: anything but 7",
    ),
    (
        {"json": "$.deps[*].ms", "every": {"lt": 100}},
        "json $.deps[*].ms is 250 at $['deps'][1]['ms'], "
        "expected every value to be a number less than 100 (2 of 3 are not)",
    ),
    (
        {"json": "$.deps[*].ms", "any": {"gt": 1000}},
        "json $.deps[*].ms is 20 at $['deps'][0]['ms'], "
        "expected any value to be a number more than 1000 (3 of 3 are not)",
    ),
    ({"json": "$.list[*]", "count": 5}, "json $.list[*] finds 3 values, expected 5"),
    (
        {"json": "$.list", "count": {"gte": 3}},
        "json $.list finds 1 value (an array of 3; $.list[*] finds what is in it), "
        "expected at least 3",
    ),
    (
        {"header": "content-type", "equals": "text/plain"},
        'header content-type is "text/html; charset=utf-8", expected "text/plain"',
    ),
    (
        {"header": "set-cookie", "equals": "c=3"},
        'header set-cookie is "a=1; Secure", "b=2", expected "c=3"',
    ),
    (
        {"header": "set-cookie", "not_equals": "b=2"},
        'header set-cookie is "a=1; Secure", "b=2", expected anything but "b=2"',
    ),
    ({"header": "set-cookie", "count": 1}, "header set-cookie is sent 2 times, expected 1"),
    (
        {"header": "content-type", "count": {"gt": 1}},
        "header content-type is sent once, expected more than 1",
    ),
    ({"header": "x-powered-by", "count": 1}, "header x-powered-by is absent, expected 1"),
    (
        {"header": "x-powered-by", "matches": ".*"},
        "header x-powered-by is absent, expected text matching .*",
    ),
    (
        {"header": "x-powered-by", "not_matches": "PHP"},
        "header x-powered-by is absent, expected text not matching PHP",
    ),
    (
        {"header": "x-empty", "not_matches": ".*"},
        'header x-empty is "", expected text not matching .*',
    ),
    ({"header": "x-empty", "exists": False}, 'header x-empty is "", expected to be absent'),
    ({"header": "x-empty", "is_empty": False}, 'header x-empty is "", expected not to be empty'),
    ({"response_time": {"lt": "50ms"}}, "response time is 100ms, expected less than 50ms"),
    ({"response_time": {"gt": "1s"}}, "response time is 100ms, expected more than 1s"),
]


@pytest.mark.parametrize(("raw", "words"), FAILING, ids=str)
def test_what_is_not_healthy_is_said_in_words(raw: object, words: str) -> None:
    assert said(raw) == words


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"json": "$.five", "equals": 5}, 'json $.five is a string, "5", expected a number: 5'),
        (
            {"json": "$.five", "lt": 6},
            'json $.five is a string, "5", expected a number less than 6',
        ),
        (
            {"json": "$.number", "equals": "5"},
            'json $.number is a number, 5, expected a string: "5"',
        ),
        ({"json": "$.yes", "equals": 1}, "json $.yes is a boolean, true, expected a number: 1"),
        (
            {"json": "$.number", "matches": "5"},
            "json $.number is a number, 5, expected text matching 5",
        ),
        (
            {"json": "$.nothing", "is_empty": True},
            "json $.nothing is null, expected a string or an array or an object to be empty",
        ),
        (
            {"json": "$.five", "not_equals": 7},
            'json $.five is a string, "5", expected a number: anything but 7',
        ),
        (
            {"json": "$.number", "not_matches": "7"},
            "json $.number is a number, 5, expected text not matching 7",
        ),
        (
            {"json": "$.number", "not_contains": "7"},
            'json $.number is a number, 5, expected something not containing "7"',
        ),
    ],
    ids=str,
)
def test_another_type_fails_in_either_form_and_is_never_coerced(raw: object, words: str) -> None:
    assert said(raw) == words


def test_true_is_not_one_wherever_it_stands() -> None:
    observation = answer(body=b'{"a": [true], "b": {"c": [false, 1]}}')

    assert judged({"json": "$.a", "equals": [1]}, observation) is not None
    assert judged({"json": "$.a", "contains": 1}, observation) is not None
    assert judged({"json": "$.b", "equals": {"c": [0, 1]}}, observation) is not None
    assert judged({"json": "$.b", "equals": {"c": [False, 1.0]}}, observation) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "body is empty"),
        (b" \n", "body is empty"),
        (b"<html>", "body is not JSON (Expecting value at line 1 column 1)"),
        ("🎉".encode(), "body is not JSON (Expecting value at line 1 column 1)"),
        (b'{"a": 1} x', "body is not JSON (Extra data at line 1 column 10)"),
        (b'{"a": NaN}', "body is not JSON (NaN is no JSON number)"),
        (b'{"a": -Infinity}', "body is not JSON (-Infinity is no JSON number)"),
        (b'{"a": 1, "a": 1}', "body is not JSON (an object has the same key twice)"),
        (b'"\xff"', "body is not UTF-8 (byte 1)"),
        (b"[" * 100_000, "body is JSON nested deeper than 500 levels"),
        (b"[" * 600 + b"]" * 600, "body is JSON nested deeper than 500 levels"),
        (b'{"a": ' + b"9" * 5000 + b"}", "body is JSON with a number that is too long to read"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_body_that_is_not_json_fails_even_what_should_be_absent(body: bytes, words: str) -> None:
    assert said({"json": "$.a", "equals": 1}, answer(body=body)) == f"{words}, expected JSON"
    assert judged({"json": "$.a", "exists": False}, answer(body=body)) is not None


@pytest.mark.parametrize(
    ("body", "raw"),
    [
        (b'"text"', {"json": "$", "equals": "text"}),
        (b"true", {"json": "$", "equals": True}),
        (b"[1, 2]", {"json": "$[1]", "equals": 2}),
        (b"null", {"json": "$", "equals": None}),
        (b"null", {"json": "$.a", "exists": False}),
        (b"[]", {"json": "$.a", "exists": False}),
        (b"{}", {"json": "$[0]", "exists": False}),
        (b"\xef\xbb\xbf{}", {"json": "$", "is_empty": True}),
        (b'{"a": 1e400}', {"json": "$.a", "gt": 1}),
    ],
    ids=str,
)
def test_any_json_value_may_stand_at_the_top(body: bytes, raw: object) -> None:
    assert said(raw, answer(body=body)) is None


@pytest.mark.parametrize(
    "raw",
    [
        {"body": {"contains": "begin"}},
        {"body": {"starts_with": "the"}},
        {"body": {"matches": "^the b"}},
        {"body": {"matches": r"b\w+g\b|\$"}},
        {"body": {"is_empty": False}},
        {"status": 200},
        {"response_time": {"lt": "1s"}},
    ],
    ids=str,
)
def test_a_cut_body_satisfies_what_needs_no_more_of_it(raw: object) -> None:
    assert said(raw, answer(body=b"the beginning", body_truncated=True)) is None


@pytest.mark.parametrize(
    "raw",
    [
        {"body": {"not_contains": "Traceback"}},
        {"body": {"not_matches": "Traceback"}},
        {"body": {"not_starts_with": "x"}},
        {"body": {"equals": "the beginning"}},
        {"body": {"in": ["the beginning"]}},
        {"body": {"ends_with": "beginning"}},
        {"body": {"matches": "beginning$"}},
        {"body": {"matches": r"beginning\z"}},
        {"body": {"is_empty": True}},
        {"json": "$", "exists": True},
    ],
    ids=str,
)
def test_a_cut_body_fails_what_needs_the_rest_and_says_how_to_get_it(raw: object) -> None:
    message = said(raw, answer(body=b"the beginning", body_truncated=True))

    assert message is not None
    assert "cut after 13" in message
    assert "raise request.body_limit" in message


def test_what_must_not_be_there_is_shown_where_it_stands() -> None:
    observation = answer(body=b"<p>" + b"x" * 500 + b" Traceback (most recent call last)")

    message = said({"body": {"not_contains": "Traceback"}}, observation)
    matched = said({"body": {"not_matches": "most recent"}}, observation)

    assert message is not None
    assert "Traceback (most" in message
    assert matched is not None
    assert "(most recent call" in matched


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain; charset=iso-8859-1", "Grüße".encode("latin-1")),
        ('text/plain; charset="windows-1252"', "Grüße".encode("cp1252")),
        ("text/plain", "Grüße".encode()),
        ("text/plain; charset=rot13", "Grüße".encode()),
        ("text/plain; charset=idna", "Grüße".encode()),
    ],
)
def test_a_body_is_read_by_its_charset_where_that_is_a_plain_one(
    content_type: str, body: bytes
) -> None:
    observation = answer(body=body, headers=(("Content-Type", content_type),))

    assert said({"body": {"equals": "Grüße"}}, observation) is None


def test_what_was_found_is_one_short_printable_line() -> None:
    hostile = "\x1b[31m\n\u202e" + "é" * 5000
    observation = answer(body=json.dumps({"a": hostile, "b": [hostile] * 50}).encode())

    for raw in (
        {"json": "$.a", "equals": "x"},
        {"json": "$.b", "equals": "x"},
        {"body": {"equals": "x"}},
    ):
        reason = judged(raw, observation)
        assert reason is not None
        assert len(reason.found) <= 130
        assert reason.message.isprintable()
        assert reason.found.isprintable()


def test_two_values_are_one_too_many_for_an_operator_on_one() -> None:
    assert said({"json": "$.list[:2]", "equals": 1}) == (
        "json $.list[:2] finds 2 values (write every or any), expected exactly one: 1"
    )


def test_a_match_near_the_start_is_shown_from_the_start() -> None:
    assert said({"body": {"not_contains": "c"}}, answer(body=b"abcd")) == (
        'body is "abcd", expected text not containing "c"'
    )
    assert said({"body": {"not_matches": "^a"}}, answer(body=b"abcd")) == (
        'body is "abcd", expected text not matching ^a'
    )


def test_a_header_line_that_must_not_be_there_is_the_one_shown() -> None:
    line = "x" * 30 + " secret"
    observation = answer(headers=(("X-Note", "fine"), ("X-Note", line)))

    message = said({"header": "x-note", "not_contains": "secret"}, observation)

    assert message is not None
    assert 'secret", expected' in message


def test_a_reason_names_its_parts_and_its_line() -> None:
    assert judged({"json": "$.number", "gte": 6}) == Reason(
        code=Code.EXPECTATION,
        message="json $.number is 5, expected at least 6",
        expected="at least 6",
        found="5",
        at="monitor.yml:4:9",
    )


def test_a_pattern_that_backtracks_elsewhere_takes_no_time_here() -> None:
    observation = answer(body=b"a" * 100_000 + b"!", duration=timedelta(seconds=1))

    assert said({"body": {"not_matches": "^(a+)+$"}}, observation) is None


def test_a_path_that_finds_too_much_fails() -> None:
    body = json.dumps([0] * 10_001).encode()

    assert said({"json": "$[*]", "count": {"gt": 1}}, answer(body=body)) == (
        "json $[*] finds more than 10000 values, expected a smaller body"
    )


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$[?match(@, 'a.*b')]", 1),
        ("$[?search(@, 'b')]", 2),
        ("$[?search(@, '(')]", 0),
        ("$[?match(@, @)]", 3),
    ],
)
def test_functions_of_a_path_match_in_linear_time(path: str, found: int) -> None:
    values: list[Any] = ["axb", "bx", "c", 1]

    assert said({"json": path, "count": found}, answer(body=json.dumps(values).encode())) is None


@pytest.mark.parametrize("secret", ['pa"ss\\word', "t0k3n" * 60, "Grüße\n"])
def test_a_secret_that_a_target_echoes_is_masked_before_it_is_shortened_or_escaped(
    secret: str,
) -> None:
    observation = answer(
        headers=(("X-Echo", f"Bearer {secret}"),),
        body=json.dumps({"a": f"{secret} is wrong", "b": [{secret: [secret]}]}).encode(),
    )
    evidence = Evidence(observation, lambda text: text.replace(secret, "***"))

    for raw in (
        {"header": "x-echo", "equals": "x"},
        {"header": "x-echo", "exists": False},
        {"header": "x-echo", "not_contains": "Bearer"},
        {"json": "$.a", "equals": "x"},
        {"json": "$.a", "lt": 5},
        {"json": "$.b", "is_empty": True},
        {"json": "$.b[*]", "every": {"type": "string"}},
    ):
        reason = _first(raw, evidence)
        assert reason is not None
        assert "***" in reason.found
        assert secret[:4] not in reason.message


def test_a_number_of_another_class_is_a_number_all_the_same() -> None:
    assert said({"status": 200}, answer(status=HTTPStatus.OK)) is None
    assert said({"json": "$.nothing", "type": None}) is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"header": "x-gone", "matches": "^a", "optional": True}, None),
        ({"header": "x-empty", "matches": "^a", "optional": True}, "header x-empty is"),
        ({"header": "set-cookie", "not_contains": "Secure", "optional": True}, "header set-cookie"),
        ({"json": "$.gone", "equals": 1, "optional": True}, None),
        ({"json": "$.number", "equals": 1, "optional": True}, "json $.number is 5, expected 1"),
        ({"json": "$.nothing", "equals": 1, "optional": True}, "json $.nothing is null"),
        ({"json": "$.gone[*]", "every": {"lt": 1}, "optional": True}, None),
        ({"json": "$.gone", "equals": 1, "optional": False}, "json $.gone is absent"),
    ],
)
def test_what_is_optional_may_be_absent_and_is_held_to_it_where_it_is_not(
    raw: object, message: str | None
) -> None:
    told = said(raw)

    assert (told is None) is (message is None)
    assert told is None or told.startswith(message or "")


def test_what_may_have_been_cut_off_is_not_taken_for_absent() -> None:
    cut = answer(body=b"<p>one", body_truncated=True)
    expected = {"html": "main", "contains": "two", "optional": True}

    assert said(expected, answer(body=b"<p>one")) is None
    assert said(expected, cut) is not None
