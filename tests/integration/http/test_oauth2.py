"""Tokens by client credentials: asked for once, kept, renewed, and never the target's fault."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from monitor.core.model.observation import Code
from monitor.options import Redactor
from monitor.probes._http import oauth2
from monitor.probes.http import KIND
from tests.support.http_probe import make_context, make_probe, observe, probing
from tests.support.logs import capture_logs
from tests.support.servers import Counterpart, page, redirect, serve_pages, unused_port
from tests.support.token_server import CLIENT, SECRET, TokenServer, serve_tokens
from tests.support.verdicts import judge_health
from tests.support.waiting import until

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager


def settings(server: TokenServer, **more: object) -> dict[str, object]:
    """Write what a configuration says under `auth`."""
    known = {"token_url": server.url, "client_id": CLIENT, "client_secret": SECRET}

    return {"oauth2": {**known, **more}}


def serve_shop(tokens: TokenServer) -> AbstractAsyncContextManager[Counterpart]:
    """Run a shop that lets in who has the newest token, and else answers 401."""

    async def answer(request: web.Request) -> web.StreamResponse:
        known = tokens.good(request.headers.get("Authorization"))
        return web.Response(status=200 if known else 401, text=str(request.headers))

    return serve_pages({"/": answer})


async def test_a_token_is_asked_for_once_and_sent_with_each_request() -> None:
    async with serve_tokens() as tokens, serve_shop(tokens) as shop:
        asked = settings(tokens, scopes=["read", "status"], endpoint_params={"audience": "shop"})
        async with probing(shop.url(), auth=asked) as probe:
            statuses = [(await probe.observe()).status for _ in range(3)]

    assert statuses == [200, 200, 200]
    assert tokens.asked == [
        {"grant_type": "client_credentials", "scope": "read status", "audience": "shop"}
    ]


async def test_a_client_may_name_itself_in_the_body() -> None:
    async with serve_tokens() as tokens, serve_shop(tokens) as shop:
        seen = await observe(shop.url(), auth=settings(tokens, in_body=True))

    assert seen.status == 200
    assert tokens.asked == [
        {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}
    ]


async def test_probes_with_the_same_settings_share_a_token_and_one_request_for_it() -> None:
    async with serve_tokens() as tokens, serve_shop(tokens) as shop:
        tokens.pause = 0.05
        same = [make_probe(shop.url(), auth=settings(tokens)) for _ in range(5)]
        other = make_probe(shop.url(), auth=settings(tokens, scopes=["more"]))
        seen = await asyncio.gather(*(probe.observe() for probe in same))
        asked = len(tokens.asked)
        await other.observe()

    assert [one.status for one in seen] == [200] * 5
    assert asked == 1
    assert len(tokens.asked) == 2


async def test_a_token_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve_tokens() as tokens, serve_shop(tokens) as shop:
        tokens.lifetime = 100
        loop = asyncio.get_running_loop()
        async with probing(shop.url(), auth=settings(tokens)) as probe:
            await probe.observe()
            now = loop.time()
            monkeypatch.setattr(loop, "time", lambda: now + 85)
            await probe.observe()
            before = len(tokens.issued)
            monkeypatch.setattr(loop, "time", lambda: now + 91)
            seen = await probe.observe()

    assert seen.status == 200
    assert before == 1
    assert len(tokens.issued) == 2


@pytest.mark.parametrize(
    ("said", "lifetime"),
    [
        (3600, 3600),
        ("1800", 1800),
        (None, 300),
        ("soon", 300),
        (-5, 0),
        (10**400, 300),
        (float("inf"), 86_400),
        (float("nan"), 300),
        ([], 300),
    ],
    ids=str,
)
def test_how_long_a_token_lives(said: object, lifetime: float) -> None:
    assert oauth2._read_lifetime(said) == lifetime


async def test_a_token_that_the_target_refuses_is_renewed_at_the_next_probe_once() -> None:
    async with (
        serve_tokens() as tokens,
        serve_shop(tokens) as shop,
        probing(shop.url(), auth=settings(tokens)) as probe,
    ):
        await probe.observe()
        tokens.issued.append("somebody-revoked-the-first")
        refused = await probe.observe()
        sent = shop.connections
        renewed = await probe.observe()

    assert refused.status == 401
    assert judge_health(refused).outcome == "fail"
    assert sent == 2  # no request is sent twice
    assert renewed.status == 200
    assert len(tokens.asked) == 2


async def test_a_target_that_refuses_each_token_does_not_have_the_server_asked_for_ever() -> None:
    async with (
        serve_tokens() as tokens,
        serve_pages({"/": page(status=401)}) as shop,
        probing(shop.url(), auth=settings(tokens)) as probe,
    ):
        seen = [await probe.observe() for _ in range(6)]

    assert {one.status for one in seen} == {401}
    assert len(tokens.asked) == 2


async def test_a_401_of_another_to_whom_the_target_redirects_is_nothing_about_the_token() -> None:
    async with serve_tokens() as tokens, serve_pages({"/": page(status=401)}) as other:
        pages = {"/": redirect(other.url(host="localhost"))}
        async with serve_pages(pages) as shop, probing(shop.url(), auth=settings(tokens)) as probe:
            for _ in range(3):
                await probe.observe()

    assert len(tokens.asked) == 1


async def fault_of(tokens: TokenServer, **more: object) -> Any:
    """Ask a target that is healthy, and give the fault of a token that could not be had."""
    async with serve_pages({"/": page()}) as shop:
        seen = await observe(shop.url(), auth=settings(tokens, **more))

    assert seen.fault is not None
    assert seen.fault.own, "that there is no token tells nothing of the target"
    assert seen.fault.code is Code.CREDENTIALS
    assert judge_health(seen).outcome == "unknown"
    assert shop.connections == 0

    return seen.fault


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (500, b"<html>oops", "it answers 500"),
        (302, b"", "it answers 302"),
        (400, b'{"error": "invalid_scope"}', "it answers 400, invalid_scope"),
        (
            401,
            b'{"error": "invalid_client", "error_description": "who\\u001b[31m\\nare you"}',
            "it answers 401, invalid_client: who [31m are you",
        ),
        (401, b'{"error": 7, "error_description": []}', "it answers 401"),
        (200, b"not JSON", "its answer holds no access_token"),
        (200, b"[" * 100_000, "its answer holds no access_token"),
        (200, b'{"access_token": 5}', "its answer holds no access_token"),
        (200, b'{"access_token": ""}', "its answer holds no access_token"),
        (
            200,
            b'{"access_token": "a\\r\\nX: y"}',
            "its access_token is none that fits into a header",
        ),
        (200, b'{"access_token": "\\u00e4"}', "its access_token is none that fits into a header"),
        (200, b'{"access_token": "a", "token_type": "mac"}', "its token_type is not Bearer"),
        (200, b'{"access_token": "a", "token_type": null}', "its token_type is not Bearer"),
    ],
    ids=range(13),
)
async def test_what_is_no_token_is_told_of_its_server(status: int, body: bytes, words: str) -> None:
    async with serve_tokens() as tokens:
        tokens.breaks = web.Response(status=status, body=body)
        fault = await fault_of(tokens)

    assert fault.message == f"the token server {tokens.url} gave no token: {words}"


async def test_a_token_server_that_is_not_there_fires_nothing() -> None:
    gone = TokenServer(Counterpart(port=unused_port()))
    fault = await fault_of(gone)

    assert fault.message.startswith(f"the token server {gone.url} gave no token: 127.0.0.1:")
    assert "refused the connection" in fault.message


async def test_a_failure_is_believed_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve_tokens() as tokens, serve_shop(tokens) as shop:
        tokens.breaks = web.Response(status=503)
        loop = asyncio.get_running_loop()
        async with probing(shop.url(), auth=settings(tokens)) as probe:
            first = [await probe.observe() for _ in range(3)]
            asked = len(tokens.asked)
            tokens.breaks = None
            now = loop.time()
            monkeypatch.setattr(loop, "time", lambda: now + 6)
            later = await probe.observe()

    assert all(one.fault is not None for one in first)
    assert asked == 1
    assert later.status == 200


async def test_a_token_server_that_is_silent_takes_the_time_of_a_probe_and_no_more() -> None:
    async with serve_tokens() as tokens, serve_pages({"/": page()}) as shop:
        tokens.pause = 30
        seen = await observe(shop.url(), auth=settings(tokens), timeout=0.1)

    assert seen.fault is not None
    assert seen.fault.own
    assert seen.fault.message.endswith("gave no token: it did not answer within 100ms")
    assert shop.connections == 0


async def test_a_token_server_that_never_ends_is_given_up_also_by_who_has_more_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(oauth2, "_PATIENCE", 0.1)
    async with serve_tokens() as tokens:
        tokens.pause = 30
        fault = await fault_of(tokens)

    assert fault.message.endswith("gave no token: it did not answer within 0.1s")


async def test_a_bug_of_ours_while_a_token_is_read_is_no_fault_of_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def breaks(_answer: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(oauth2, "_read_token", breaks)
    with capture_logs() as log:
        async with serve_tokens() as tokens:
            fault = await fault_of(tokens)

    assert fault.message.endswith("gave no token: the monitor failed: ZeroDivisionError")
    assert "probe_failed_inside" in str(log)


async def test_the_target_has_its_whole_time_whatever_the_token_took() -> None:
    async def slow(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.2)
        return web.Response()

    async with serve_tokens() as tokens, serve_pages({"/": slow}) as shop:
        tokens.pause = 0.2
        seen = await observe(shop.url(), auth=settings(tokens), timeout=0.35)

    assert seen.fault is None
    assert 0.2 <= seen.duration.total_seconds() < 0.35


async def test_who_is_cancelled_ends_the_request_that_nobody_waits_for() -> None:
    async with serve_tokens() as tokens, serve_shop(tokens) as shop:
        tokens.pause = 30
        async with probing(shop.url(), auth=settings(tokens)) as probe:
            tasks = [asyncio.create_task(probe.observe()) for _ in range(2)]
            await until(lambda: tokens.asked)
            tasks[0].cancel()
            await asyncio.wait({tasks[0]})
            assert [task.get_name() for task in asyncio.all_tasks()].count("token") == 1
            tasks[1].cancel()
            await asyncio.wait({tasks[1]})

            assert all(task.cancelled() for task in tasks)
            assert "token" not in [task.get_name() for task in asyncio.all_tasks()]
            tokens.pause = 0
            assert (await probe.observe()).status == 200


async def test_neither_secret_nor_token_is_shown() -> None:
    async with serve_tokens() as tokens, serve_shop(tokens) as shop:
        options = KIND.options.model_validate(
            {
                "url": shop.url(),
                "request": {"auth": settings(tokens, token_url=f"{tokens.url}?api_key=qwertzuiop")},
            }
        )
        redactor = Redactor(options.secrets)
        probe = KIND.make(options, make_context())
        seen = await probe.observe()
        tokens.breaks = web.Response(
            status=401, body=json.dumps({"error": f"no {SECRET}"}).encode()
        )
        refused = await observe(shop.url(), auth=settings(tokens, scopes=["x"]))

    echoed = seen.body.decode()
    assert tokens.issued[0] in echoed
    assert tokens.issued[0] not in redactor.mask(echoed)
    assert refused.fault is not None
    assert SECRET not in redactor.mask(refused.fault.message)
    assert "qwertzuiop" in {one.reveal() for one in options.secrets}
    assert SECRET not in repr(options)
    assert tokens.issued[0] not in repr(options)


async def test_options_with_a_token_are_still_equal_to_the_same_options() -> None:
    """A reload keeps what did not change; a token that was issued meanwhile is no change."""
    async with serve_tokens() as tokens, serve_shop(tokens) as shop:
        written = {"url": shop.url(), "request": {"auth": settings(tokens)}}
        before, after = (KIND.options.model_validate(written) for _ in range(2))
        await KIND.make(before, make_context()).observe()

    assert before == after


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"token_url": "id.example/token"}, "expected a URL such as"),
        ({"scopes": ["two words"]}, "should match pattern"),
        ({"scopes": "read"}, "valid list"),
        ({"endpoint_params": {"scope": "x"}}, "scope is set by the monitor itself"),
        ({"client_id": ""}, "at least 1 character"),
    ],
)
def test_settings_that_will_not_do(more: dict[str, object], complaint: str) -> None:
    known = {"token_url": "https://id.example/", "client_id": "a", "client_secret": "hunter22"}
    with pytest.raises(ValidationError) as caught:
        make_probe("https://shop.test/", auth={"oauth2": {**known, **more}})

    assert complaint in caught.value.errors()[0]["msg"]
