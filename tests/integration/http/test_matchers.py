"""Cases G: what a body and header lines must hold, and must not, of answers from a real server."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.core.model.observation import Code
from tests.support.http_probe import observe
from tests.support.servers import answers_page, serve_script
from tests.support.verdicts import judge_health, metrics_of

FORBIDS_ERROR = {"body": {"not_matches": "Exception|Traceback"}}
FORBIDS_MAINTENANCE = {"body": {"not_contains": "maintenance"}}
WANTS_CART = {"body": {"matches": "cart-[0-9]+"}}
WANTS_LOGIN = {"body": {"contains": "login"}}
GOOD = b"cart-17 and login"


@pytest.mark.parametrize(
    ("body", "expectations", "outcome"),
    [
        pytest.param(GOOD, [FORBIDS_ERROR], "pass", id="57: forbidden text is absent -> pass"),
        pytest.param(
            b"a Traceback", [FORBIDS_ERROR], "fail", id="57: forbidden text is there -> fail"
        ),
        pytest.param(
            GOOD, [FORBIDS_ERROR, FORBIDS_MAINTENANCE], "pass", id="58: none of two -> pass"
        ),
        pytest.param(
            b"maintenance",
            [FORBIDS_ERROR, FORBIDS_MAINTENANCE],
            "fail",
            id="58: either of two -> fail",
        ),
        pytest.param(GOOD, [WANTS_CART], "pass", id="59: wanted text is there -> pass"),
        pytest.param(b"empty", [WANTS_CART], "fail", id="59: wanted text is missing -> fail"),
        pytest.param(GOOD, [WANTS_CART, WANTS_LOGIN], "pass", id="59: both are there -> pass"),
        pytest.param(b"cart-17", [WANTS_CART, WANTS_LOGIN], "fail", id="59: all of two -> fail"),
    ],
)
async def test_the_text_of_the_body(body: bytes, expectations: list[object], outcome: str) -> None:
    async with serve_script(answers_page(200, body)) as server:
        seen = await observe(server.url())

    assert judge_health(seen, *expectations).outcome == outcome
    series = metrics_of(seen, *expectations)
    assert series["probe_failed_due_to_regex"] == (outcome == "fail")
    assert series["probe_http_content_length"] == len(body)
    assert series["probe_http_uncompressed_body_length"] == len(body)


async def test_60_text_is_not_looked_at_where_the_status_is_wrong_already() -> None:
    async with serve_script(answers_page(500, b"a Traceback")) as server:
        seen = await observe(server.url())

    verdict = judge_health(seen, FORBIDS_ERROR)

    assert [reason.code for reason in verdict.reasons] == [Code.STATUS]
    assert metrics_of(seen, FORBIDS_ERROR)["probe_failed_due_to_regex"] == 0


COOKIES = (("Set-Cookie", "session=1"), ("Set-Cookie", "visit=2"))


@pytest.mark.parametrize(
    ("headers", "expectation", "outcome"),
    [
        pytest.param(
            (("Content-Type", "text/html"),),
            {"header": "content-type", "not_matches": "^text/html"},
            "fail",
            id="61: a forbidden value, the name in lower case -> fail",
        ),
        pytest.param(
            (("Content-Type", "text/plain"),),
            {"header": "content-type", "not_matches": "^text/html"},
            "pass",
            id="61: another value -> pass",
        ),
        pytest.param(
            (("X-Debug", ""),),
            {"header": "X-Debug", "not_matches": ".*"},
            "fail",
            id="62: forbidden and empty -> fail",
        ),
        pytest.param(
            (), {"header": "X-Debug", "not_matches": ".*"}, "fail", id="62: absent -> fail"
        ),
        pytest.param(
            (), {"header": "X-Debug", "exists": False}, "pass", id="62: may be absent -> pass"
        ),
        pytest.param(
            COOKIES,
            {"header": "set-cookie", "not_contains": "visit"},
            "fail",
            id="63: one of several has what is forbidden -> fail",
        ),
        pytest.param(
            COOKIES,
            {"header": "set-cookie", "contains": "visit"},
            "pass",
            id="63: one of several has what is wanted -> pass",
        ),
        pytest.param(
            COOKIES,
            {"header": "set-cookie", "contains": "basket"},
            "fail",
            id="63: none of several has what is wanted -> fail",
        ),
        pytest.param(
            (), {"header": "X-Release", "matches": ".*"}, "fail", id="64: wanted, absent -> fail"
        ),
        pytest.param(
            (("X-Release", ""),),
            {"header": "X-Release", "matches": ".*"},
            "pass",
            id="64: wanted, empty, and everything matches -> pass",
        ),
    ],
)
async def test_the_lines_of_a_header(
    headers: tuple[tuple[str, str], ...], expectation: object, outcome: str
) -> None:
    async with serve_script(answers_page(200, b"", *headers)) as server:
        seen = await observe(server.url())

    assert judge_health(seen, expectation).outcome == outcome
    assert metrics_of(seen, expectation)["probe_failed_due_to_regex"] == (outcome == "fail")


async def test_an_answer_that_is_only_slow_has_the_content_that_was_wanted() -> None:
    async with serve_script(answers_page(200, GOOD)) as server:
        seen = await observe(server.url())

    slow = {"response_time": {"lt": "1ms"}}
    late = replace(seen, duration=timedelta(seconds=1))

    assert judge_health(late, slow).outcome == "fail"
    assert metrics_of(late, slow)["probe_failed_due_to_regex"] == 0


async def test_a_wish_about_a_body_that_was_cut_fails_where_it_needs_the_rest() -> None:
    async with serve_script(answers_page(200, b"login" + b"." * 100)) as server:
        seen = await observe(server.url(), body_limit=50)

    assert judge_health(seen, WANTS_LOGIN).outcome == "pass"
    assert judge_health(seen, FORBIDS_ERROR).outcome == "fail"


async def test_a16_a_pattern_that_backtracks_elsewhere_is_linear_here() -> None:
    async with serve_script(answers_page(200, b"a" * 50_000)) as server:
        seen = await observe(server.url())

    verdict = judge_health(seen, {"body": {"matches": "(a+)+$|(a|aa)+b"}})

    assert verdict.outcome == "pass"
