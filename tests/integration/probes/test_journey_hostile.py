"""Journeys through answers that mean harm, and what stays secret of what was captured."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from monitor.probes import KINDS
from tests.support.journeys import go, why
from tests.support.servers import (
    answers,
    answers_page,
    page,
    say_nothing,
    serve_pages,
    serve_script,
)

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation

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


async def test_a_captured_password_is_masked_as_it_is_sent() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(headers={"X-Echo": request.headers["Authorization"]})

    async def say(_request: web.Request) -> web.Response:
        return web.json_response({"password": "captured-hunter22"})

    async with serve_pages({"/": say, "/echo": echo}) as server:
        seen = await go(
            {"url": server.url(), "capture": {"password": {"json": "$.password"}}},
            {
                "url": server.url("/echo"),
                "request": {"auth": {"basic": {"username": "ana", "password": "pre-{password}"}}},
                "expect": [{"header": "x-echo", "equals": "none"}],
            },
        )

    assert 'header x-echo is "Basic ***"' in why(seen)
    sent = base64.b64encode(b"ana:pre-captured-hunter22").decode()
    assert sent[:16] not in repr(seen)


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

    assert {one.reveal() for one in options.secrets} == {"very-secret", "canary-token"}


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
