"""The kind `journey`: steps with captures against a real academy, and answers that mean harm."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from monitor.core.expectations import HTTP_SOURCES, compile_expectation
from monitor.core.judge import judge
from monitor.core.lateness import excuse
from monitor.core.model.endpoint import HealthRule
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome
from monitor.probes import KINDS
from tests.support.academy import serve_academy
from tests.support.http_probe import make_context
from tests.support.judging import make_check
from tests.support.probing import measured
from tests.support.servers import (
    answers,
    answers_page,
    page,
    redirect,
    say_nothing,
    serve_pages,
    serve_script,
    unused_port,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.model.observation import Observation
    from monitor.probes.probe import Probe
    from tests.support.academy import Academy

HEALTH = make_check(HealthRule(expectations=(), has_status=False))


def make(*steps: dict[str, Any], timeout: float = 5, mask: Callable[[str], str] = str) -> Probe:
    kind = KINDS["journey"]
    named = [{"name": f"s{number}"} | step for number, step in enumerate(steps, start=1)]
    options = kind.options.model_validate(named)
    assert kind.judges is not None
    expectations = {
        place: tuple(
            expectation
            for number, one in enumerate(raw)
            for expectation in compile_expectation(
                one, f"monitor.yml:{place[0]}:{number}", sources=HTTP_SOURCES
            )
        )
        for place, raw in kind.judges(options)
    }
    context = replace(make_context(timeout), expectations=expectations, mask=mask)
    probe: Probe = kind.make(options, context)

    return probe


async def go(*steps: dict[str, Any], timeout: float = 5, **more: Any) -> Observation:
    probe = make(*steps, timeout=timeout, **more)
    try:
        seen = await probe.observe()
    finally:
        await probe.close()

    assert sum(seen.phases.values(), timedelta()) <= seen.duration
    assert {one.family for one in seen.measures} <= set(KINDS["journey"].series)

    return seen


def why(seen: Observation) -> str:
    assert seen.fault is not None, seen.values

    return seen.fault.message


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

    assert re.fullmatch(
        r'step 4 of 4, read: json \$.state is "queued", expected "published" \(asked \d times\)',
        why(seen),
    )
    assert took < 1


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
    assert seen.duration < timedelta(seconds=1)


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


# What is secret


async def test_what_was_captured_is_masked_wherever_it_is_told() -> None:
    token = 'to"ken&42/é'

    async def echo(request: web.Request) -> web.Response:
        return web.Response(
            status=302,
            headers={"Location": f"ftp://x/{request.query['t']}", "X-Echo": "hunter22"},
        )

    async def say(_request: web.Request) -> web.Response:
        return web.json_response({"token": token, "error": f"bad {token}"})

    def mask(text: str) -> str:
        return text.replace("hunter22", "***")

    first_capture = {"token": {"json": "$.token"}}
    async with serve_pages({"/": say, "/echo": echo}) as server:
        redirected = await go(
            {"url": server.url(), "capture": first_capture},
            {"url": f"{server.url('/echo')}?t={{token}}"},
        )
        expected = await go(
            {
                "url": server.url(),
                "capture": first_capture,
                "expect": [{"json": "$.error", "equals": "fine"}],
            },
        )
        configured = await go(
            {
                "url": f"{server.url('/echo')}?t=1",
                "request": {"follow_redirects": False},
                "expect": [{"status": 302}, {"header": "x-echo", "equals": "none"}],
            },
            mask=mask,
        )

    for seen in (redirected, expected):
        assert "ken" not in repr(seen).replace("token", "")
    assert '"bad ***"' in why(expected)
    assert "ftp://x/***" in why(redirected)
    assert 'header x-echo is "***"' in why(configured)


def test_a_name_in_braces_is_no_secret_of_the_configuration() -> None:
    options: Any = KINDS["journey"].options.model_validate(
        [
            {"name": "a", "url": "http://a/", "capture": {"session_token": {"json": "$.t"}}},
            {
                "name": "b",
                "url": "http://a/?token={session_token}",
                "request": {"headers": {"Authorization": "Bearer {session_token}"}},
            },
            {
                "name": "c",
                "url": "http://a/?token=very-secret",
                "request": {"auth": {"bearer": "canary-token"}},
            },
        ]
    )

    assert set(options.secrets) == {"very-secret", "canary-token"}


# Answers that mean harm


async def capture_and_send(value: str, **step: Any) -> tuple[Observation, list[bytes]]:
    """Let a server say a value, and send it on to another, which notes the bytes it gets."""
    async with (
        serve_pages({"/": page(json.dumps({"v": value}).encode())}) as first,
        serve_script(answers_page()) as second,
    ):
        step["url"] = step.get("url", "{second}/").replace("{second}", second.url()[:-1])
        seen = await go({"url": first.url(), "capture": {"v": {"json": "$.v"}}}, step)

        return seen, second.heads


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
@pytest.mark.parametrize(
    "request_options",
    [
        {"headers": {"X-Value": "{v}"}},
        {"auth": {"bearer": "{v}"}},
        {"headers": {"Authorization": "Bearer {v}"}},
    ],
    ids=["header", "bearer", "authorization"],
)
async def test_a_line_break_never_goes_into_a_header(
    value: str, request_options: dict[str, Any]
) -> None:
    seen, heads = await capture_and_send(value, request=request_options)

    assert heads == []
    assert re.fullmatch(
        r"step 2 of 2, s2: it was not sent: the header \S+ would have a line break in it", why(seen)
    )
    assert seen.fault is not None
    assert not seen.fault.own


async def test_a_password_may_hold_anything() -> None:
    seen, heads = await capture_and_send(
        "a\r\nb", request={"auth": {"basic": {"username": "ana", "password": "{v}"}}}
    )

    assert seen.fault is None
    assert b"Authorization: Basic YW5hOmENCmI=" in heads[0]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("a b", b"GET /x/a%20b?q=a%20b HTTP/1.1"),
        ("a/../b", b"GET /x/a%2F..%2Fb?q=a/../b HTTP/1.1"),
        ("1&admin=1#x", b"GET /x/1&admin=1%23x?q=1%26admin%3D1%23x HTTP/1.1"),
        ("50%", b"GET /x/50%25?q=50%25 HTTP/1.1"),
        ("%2e%2e", b"GET /x/%252e%252e?q=%252e%252e HTTP/1.1"),
        ("a+b", b"GET /x/a%2Bb?q=a%2Bb HTTP/1.1"),
        ("{v}{{v}}", b"GET /x/%7Bv%7D%7B%7Bv%7D%7D?q=%7Bv%7D%7B%7Bv%7D%7D HTTP/1.1"),
        ("\r\nX: 1", b"GET /x/%0D%0AX:%201?q=%0D%0AX:%201 HTTP/1.1"),
        ("é", b"GET /x/%C3%A9?q=%C3%A9 HTTP/1.1"),
    ],
)
async def test_a_value_stays_one_part_of_a_url(value: str, line: bytes) -> None:
    seen, heads = await capture_and_send(value, url="{second}/x/{v}?q={v}")

    assert seen.fault is None, why(seen)
    assert heads[0].split(b"\r\n")[0] == line


@pytest.mark.parametrize("value", [".", ".."])
async def test_a_value_is_no_way_up(value: str) -> None:
    seen, heads = await capture_and_send(
        value, url="{second}/users/{v}", request={"method": "DELETE"}
    )

    assert heads == []
    assert "it was not sent: a part of the URL would be" in why(seen)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://169.254.169.254/meta", "leads to 169.254.169.254:80, and no step"),
        ("//evil.example/x", "leads to evil.example:80, and no step of the journey names that"),
        ("file:///etc/passwd", "is no URL that can be asked"),
        ("javascript:alert(1)", "is no URL that can be asked"),
        ("http://[", "is no URL that can be asked"),
        ("http://127.0.0.1:1/", "leads to 127.0.0.1:1, and no step"),
    ],
)
async def test_an_answer_leads_nowhere_that_the_journey_does_not_name(
    value: str, said: str
) -> None:
    async with serve_pages({"/": page(json.dumps({"v": value}).encode())}) as server:
        seen = await go(
            {"url": server.url(), "capture": {"v": {"json": "$.v"}}},
            {"url": "{v}", "request": {"auth": {"bearer": "hunter22"}}},
        )

    assert f"it was not sent: {{v}} {said}" in why(seen)


async def test_quotes_stay_text_in_json_and_in_forms() -> None:
    bodies: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        posted = await request.post()
        bodies.append(dict(posted) or await request.json())
        return web.Response()

    nasty = '"}, {"admin": true, "x": "\\ & = é \r\n {v}'
    async with serve_pages({"/": page(json.dumps({"v": nasty}).encode()), "/take": take}) as server:
        seen = await go(
            {"url": server.url(), "capture": {"v": {"json": "$.v"}}},
            {
                "url": server.url("/take"),
                "request": {"method": "POST", "json": {"a": {"b": ["x{v}"]}}},
            },
            {"url": server.url("/take"), "request": {"method": "POST", "form": {"{v}": "x{v}"}}},
        )

    assert seen.fault is None, why(seen)
    assert bodies == [{"a": {"b": [f"x{nasty}"]}}, {nasty: f"x{nasty}"}]


async def test_braces_of_a_body_stay_what_they_are() -> None:
    sent: list[str] = []

    async def take(request: web.Request) -> web.Response:
        sent.append(await request.text())
        return web.Response()

    async with serve_pages({"/": page(b'{"v": 5}'), "/take": take}) as server:
        await go(
            {"url": server.url(), "capture": {"v": {"json": "$.v"}}},
            {
                "url": server.url("/take"),
                "request": {"method": "POST", "body": '{"a": {"b": {v}}} { v } {{v}} {}{'},
            },
        )

    assert sent == ['{"a": {"b": 5}} { v } {v} {}{']


@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param(
            answers(b"HTTP/1.1 302 Go\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
            "10 redirects were followed and the answer redirects again",
            id="redirects without end",
        ),
        pytest.param(
            answers(b"HTTP/1.1 200 OK\r\n" + b"Set-Cookie: a=b\r\n" * 100_000 + b"\r\n"),
            "is not valid HTTP",
            id="cookies without end",
        ),
        pytest.param(
            answers(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" + b"[" * 2_000_000),
            "its body was cut after 1048576 bytes",
            id="a hundred megabytes",
        ),
        pytest.param(
            answers_page(200, b"[" * 1_000_000), "its body is JSON nested", id="nested JSON"
        ),
        pytest.param(say_nothing, "did not answer within", id="silence"),
    ],
)
async def test_a_hostile_answer_is_bounded(script: Any, said: str) -> None:
    began = time.monotonic()
    async with serve_script(script) as server:
        seen = await go({"url": server.url(), "capture": {"v": {"json": "$.v"}}}, timeout=1)

    assert said in why(seen)
    assert time.monotonic() - began < 3


async def test_many_cookies_of_many_steps_stay_bounded() -> None:
    heard: list[int] = []

    async def give(request: web.Request) -> web.Response:
        heard.append(len(request.headers.get("Cookie", "")))
        answer = web.Response()
        for number in range(100):
            answer.set_cookie(f"n{len(heard)}-{number}", "x" * 20)
        return answer

    async with serve_pages({"/": give}) as server:
        await go(*[{"url": server.url()}] * 10)

    assert max(heard) < 180 * 40


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
