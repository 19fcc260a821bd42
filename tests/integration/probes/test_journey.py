"""The kind `journey`: steps that use what earlier answers had in them, against a real academy."""

from __future__ import annotations

import asyncio
import json
import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from monitor.core.judge import judge
from monitor.core.lateness import excuse
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from tests.support.academy import serve_academy
from tests.support.journeys import HEALTH, go, make, why
from tests.support.probing import measured
from tests.support.servers import page, redirect, serve_pages, unused_port

if TYPE_CHECKING:
    from tests.support.academy import Academy


def flow(academy: Academy) -> list[dict[str, Any]]:
    url = academy.url
    return [
        {
            "name": "open the form",
            "url": f"{url}/register",
            "capture": {"csrf": {"html": "input[name=csrf]", "attribute": "value"}},
        },
        {
            "name": "register",
            "url": f"{url}/register",
            "request": {"method": "POST", "form": {"csrf": "{csrf}", "email": "a@b.example"}},
            "expect": [{"status": 201}],
            "capture": {"user": {"json": "$.id"}, "token": {"json": "$.token"}},
        },
        {
            "name": "post",
            "url": f"{url}/api/posts",
            "request": {
                "method": "POST",
                "json": {"author": "{user}", "token": "{token}", "text": "{{user}} is {user}"},
            },
            "capture": {"post": {"header": "location"}},
        },
        {
            "name": "read",
            "url": "{post}",
            "poll": "100ms",
            "expect": [
                {"json": "$.state", "equals": "published"},
                {"json": "$.text", "matches": r"^\{user\} is \d+$"},
            ],
        },
        {
            "name": "certify",
            "url": "{post}/certificate",
            "request": {"method": "POST", "headers": {"X-Author": "{user}"}},
            "capture": {"number": {"json": "$.certificate.number"}},
        },
        {
            "name": "certificate",
            "url": f"{url}/certificates?number={{number}}",
            "expect": [{"html": "#certificate h1", "equals": "Certificate"}],
        },
        {
            "name": "leave",
            "url": f"{url}/api/users/{{user}}",
            "request": {"method": "DELETE"},
            "always": True,
        },
    ]


# What a journey does


async def test_each_step_uses_what_earlier_answers_had_in_them() -> None:
    async with serve_academy() as academy:
        seen = await go(*flow(academy))

    assert seen.fault is None
    assert judge(HEALTH, seen).outcome is Outcome.PASS
    assert academy.users == {}
    assert len(academy.certificates) == 1
    rows = seen.values["rows"]
    assert isinstance(rows, list)
    assert [(row["step"], row["status"]) for row in rows] == [
        ("open the form", 200),
        ("register", 201),
        ("post", 201),
        ("read", 200),
        ("certify", 201),
        ("certificate", 200),
        ("leave", 204),
    ]
    assert sum(row["seconds"] for row in rows) <= seen.duration.total_seconds()
    assert measured(seen, "probe_journey_step_success", step="leave") == 1
    took = measured(seen, "probe_journey_step_seconds", step="read")
    assert took is not None
    assert took >= 0.1


async def test_nothing_is_known_from_one_look_to_the_next() -> None:
    async with serve_academy() as academy:
        probe = make(*flow(academy))
        first = await probe.observe()
        second = await probe.observe()
        await probe.close()

    assert (first.fault, second.fault) == (None, None)
    assert len(academy.sessions) == 2
    assert len(set(academy.tokens)) == 2


async def test_the_first_step_that_fails_ends_it_and_is_named() -> None:
    async with serve_academy() as academy:
        academy.statuses["/api/posts"] = 500
        seen = await go(*flow(academy))

    (reason,) = judge(HEALTH, seen).reasons
    assert reason.message == "step 3 of 7, post: status is 500, expected 2xx"
    assert (reason.code, reason.expected) == (Code.STATUS, "2xx")
    assert reason.found == "step 3 of 7, post: 500", "not what the service answers as a whole"
    assert reason.asked == f"POST {academy.url}/api/posts", "nor what the first step asks"
    assert "/certificates" not in academy.asked
    assert academy.users == {}, "the step that always runs did"
    assert measured(seen, "probe_journey_step_success", step="post") == 0
    assert measured(seen, "probe_journey_step_success", step="certify") is None


async def test_a_step_that_always_runs_tells_its_own_failure_as_well() -> None:
    async with serve_academy() as academy:
        academy.statuses |= {"/api/posts": 500, "/api/users/41": 503}
        both = await go(*flow(academy))
        academy.statuses = {"/api/users/42": 503}
        alone = await go(*flow(academy))
        academy.statuses = {"/register": 500}
        before = academy.asked.total()
        early = await go(*flow(academy))

    assert why(both) == (
        "step 3 of 7, post: status is 500, expected 2xx; "
        "also step 7 of 7, leave: status is 503, expected 2xx"
    )
    assert why(alone) == "step 7 of 7, leave: status is 503, expected 2xx"
    assert why(early) == "step 1 of 7, open the form: status is 500, expected 2xx"
    assert academy.asked.total() - before == 1, "what it needs was never captured"


async def test_an_expectation_that_is_not_met_is_told_with_its_place() -> None:
    async with serve_academy() as academy:
        steps = flow(academy)
        steps[5]["expect"] = [{"status": 200}, {"html": "h1", "equals": "Diploma"}]
        seen = await go(*steps)

    (reason,) = judge(HEALTH, seen).reasons
    assert reason.message == (
        'step 6 of 7, certificate: html h1 is "Certificate", expected "Diploma"'
    )
    assert (reason.code, reason.at) == (Code.EXPECTATION, "monitor.yml:5:1")


async def test_polling_ends_with_the_time_and_says_how_often() -> None:
    async with serve_academy() as academy:
        academy.patience = 1000
        began = time.monotonic()
        seen = await go(*flow(academy)[:4], timeout=0.6)
        took = time.monotonic() - began

    # where it was under way in its last question, that is all that can be said of it
    assert re.fullmatch(
        r"step 4 of 4, read: "
        r'(json \$.state is "queued", expected "published"|no time was left for it)'
        r" \(asked \d+ times\)( \(all steps together have 600ms\))?",
        why(seen),
    )
    assert took < 5


async def test_the_timeout_is_of_all_steps_together() -> None:
    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.25)
        return web.Response()

    async with serve_pages({"/": slow}) as server:
        seen = await go(*[{"url": server.url()}] * 4, timeout=0.6)

    fault = seen.fault
    assert fault is not None
    assert fault.code is Code.TIMEOUT
    assert fault.message.startswith("step 3 of 4, s3: ")
    assert fault.message.endswith(" (all steps together have 600ms)")
    assert seen.duration < timedelta(seconds=5)


async def test_a_server_that_refuses_is_no_answer_as_with_any_url() -> None:
    seen = await go({"url": f"http://127.0.0.1:{unused_port()}/"})

    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.own) == (Code.CONNECTION_REFUSED, False)
    assert why(seen).startswith("step 1 of 1, s1: ")


async def test_a_time_that_was_ours_is_not_held_against_a_step() -> None:
    async def slow(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.02)
        return web.Response()

    async with serve_pages({"/": slow}) as server:
        seen = await go({"url": server.url(), "expect": [{"response_time": {"lt": "1ms"}}] * 2})

    assert seen.fault is not None
    assert "response time is" in why(seen)
    assert judge(HEALTH, seen).outcome is Outcome.FAIL
    assert judge(HEALTH, excuse(seen, seen.duration)).outcome is Outcome.UNKNOWN


# Where values come from


VALUES = {
    "json": ({"json": "$.a[0].b"}, b'{"a": [{"b": "found"}]}', {}),
    "json number": ({"json": "$.n"}, b'{"n": 4.5}', {}),
    "json flag": ({"json": "$.n"}, b'{"n": true}', {}),
    "same twice": ({"json": "$..n"}, b'[{"n": 5}, {"n": 5}]', {}),
    "header": ({"header": "X-Found"}, b"", {"x-found": "found"}),
    "text of an element": ({"html": "b.code"}, b"<p><b class=code> found\n </b>", {}),
    "attribute": ({"html": "a#n", "attribute": "href"}, b"<a id=n href='found'>x</a>", {}),
    "cookie": ({"cookie": "sid"}, b"", {"set-cookie": "sid=found; Path=/"}),
    "body": ({"body": r"code: (\w+)"}, b"the code: found.", {}),
}


@pytest.mark.parametrize("case", VALUES)
async def test_a_value_is_captured_and_goes_on(case: str) -> None:
    capture, body, headers = VALUES[case]
    sent: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        sent.append(await request.json())
        return web.Response()

    async with serve_pages({"/": page(body, headers=headers), "/next": take}) as server:
        seen = await go(
            {"url": server.url(), "capture": {"it": capture}},
            {
                "url": server.url("/next"),
                "request": {"method": "POST", "json": [{"alone": "{it}"}, "in {it}."]},
            },
        )

    assert seen.fault is None, why(seen)
    value = {"json number": 4.5, "json flag": True, "same twice": 5}.get(case, "found")
    text = value if isinstance(value, str) else json.dumps(value)
    assert sent == [[{"alone": value}, f"in {text}."]]


MISSING = {
    "json": ({"json": "$.a"}, b"{}", "the answer has no json $.a"),
    "json null": ({"json": "$.a"}, b'{"a": null}', "json $.a is null"),
    "json object": ({"json": "$.a"}, b'{"a": {}}', "json $.a is an object, expected one value"),
    "json array": ({"json": "$.a"}, b'{"a": []}', "json $.a is an array, expected one value"),
    "several": ({"json": "$[*]"}, b"[1, 2]", "the answer has 2 different values of json $[*]"),
    "no json": ({"json": "$.a"}, b"<p>", "its body is not JSON"),
    "empty": ({"json": "$.a"}, b'{"a": " "}', "json $.a is empty"),
    "half a letter": ({"json": "$.a"}, b'{"a": "\\ud800"}', "json $.a is no valid text"),
    "header": ({"header": "location"}, b"", "the answer has no header location"),
    "html": ({"html": "p"}, b"", "the answer has no html p"),
    "attribute": (
        {"html": "p", "attribute": "id"},
        b"<p>",
        "the answer has no html p with the attribute id",
    ),
    "cookie": ({"cookie": "sid"}, b"", "the answer has no cookie sid"),
    "body": ({"body": "x(y)?"}, b"x", "the answer has no body x(y)?"),
    "a megabyte": (
        {"body": "(?s)(.*)"},
        b"x" * 1_000_000,
        "body (?s)(.*) has 1000000 characters, expected at most 65536",
    ),
}


@pytest.mark.parametrize("case", MISSING)
async def test_what_is_not_there_fails_the_step(case: str) -> None:
    capture, body, said = MISSING[case]
    async with serve_pages({"/": page(body)}) as server:
        seen = await go({"url": server.url(), "capture": {"it": capture}})

    assert why(seen).startswith(f"step 1 of 1, s1: {{it}} was not captured: {said}")
    assert seen.fault is not None
    assert seen.fault.code is Code.EXPECTATION


async def test_a_location_that_was_followed_says_how_to_keep_it() -> None:
    pages = {"/": redirect("/there"), "/there": page()}
    async with serve_pages(pages) as server:
        lost = await go({"url": server.url(), "capture": {"it": {"header": "location"}}})
        kept = await go(
            {
                "url": server.url(),
                "request": {"follow_redirects": False},
                "expect": [{"status": 302}],
                "capture": {"it": {"header": "location"}},
            },
            {"url": "{it}"},
        )

    assert why(lost).endswith("no header location after 1 redirect (follow_redirects: false)")
    assert kept.fault is None


# Cookies


async def test_cookies_go_from_step_to_step_also_those_of_redirects() -> None:
    heard: list[str] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Cookie", ""))
        return web.Response(headers={"Set-Cookie": "a=; Max-Age=0"})

    pages = {
        "/": redirect("/there", cookie="a=1; Path=/"),
        "/there": page(headers={"Set-Cookie": "b=2"}),
        "/hear": hear,
    }
    async with serve_pages(pages) as server:
        configured = {"headers": {"Cookie": "own=3"}}
        await go(
            {"url": server.url()},
            {"url": server.url("/hear"), "request": configured},
            {"url": server.url("/hear")},
        )

    assert heard == ["own=3; a=1; b=2", "b=2"]


# What cannot be meant


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([], "at least 1"),
        ([{"name": "a", "url": "http://a/"}] * 51, "at most 50"),
        ([{"name": "a", "url": "http://a/", "poll": "10ms"}], "a pause of 100ms to 1m"),
        ([{"name": "a", "url": "http://a/", "request": {"burst": 3}}], "burst is of an endpoint"),
        ([{"name": "a", "url": "{b}"}], "{b} is captured by none of the steps"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(steps: list[Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        KINDS["journey"].options.model_validate(steps)

    assert said in str(raised.value)
