"""What header policies need of a probe besides the answer: cookies on the way, a preflight."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from monitor.core.headers import Policy, PolicyRule, judge_policy
from monitor.core.headers.demands import BUNDLES
from tests.support.http_probe import observe
from tests.support.observatory import Vector, judge_site, read_vectors
from tests.support.servers import page, redirect, serve_pages, serve_script, unused_port

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation
    from tests.support.authority import Authority
    from tests.support.servers import Counterpart, Page, Script


@pytest.mark.parametrize("vector", read_vectors(), ids=lambda vector: vector.id)
async def test_a_site_on_the_wire_is_judged_as_its_header_lines_are(
    vector: Vector, authority: Authority
) -> None:
    site = vector.site
    trust = {"ca_file": str(authority.file)}
    origins: dict[str, str] = {}

    def fill(text: str, head: str) -> str:
        origin = next(
            (line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("Origin: ")),
            "",
        )
        for name in ("$HTTPS", "$HTTP"):
            text = text.replace(name, origins.get(name, ""))
        return text.replace("$ORIGIN", origin)

    def script(server: str, redirects: tuple[str, ...]) -> Script:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = servers[server].heads[-1].decode()
            method, path = head.split(maxsplit=2)[:2]
            step = 0 if path == "/" else int(path.removeprefix("/r"))
            lines, body, status = site.headers, site.body.encode(), 200
            if method == "OPTIONS":
                lines, body = site.preflight, b""
            elif step < len(redirects):
                lines, body, status = (("Location", redirects[step]),), b"", 301
            told = "".join(f"{name}: {fill(value, head)}\r\n" for name, value in lines)
            writer.write(f"HTTP/1.1 {status} Said\r\n{told}\r\n".encode() + body)

        return answer

    servers: dict[str, Counterpart] = {}
    async with (
        serve_script(script("$HTTPS", ()), tls=authority.context()) as secure,
        serve_script(script("$HTTP", site.redirects if site.http == "redirect" else ())) as plain,
    ):
        servers |= {"$HTTPS": secure, "$HTTP": plain}
        origins |= {"$HTTPS": secure.origin, "$HTTP": plain.origin}
        closed = f"http://127.0.0.1:{unused_port()}/"
        by_http = await observe(
            closed if site.http == "closed" else plain.url(), preflight=True, tls=trust
        )
        by_https = await observe(secure.url(), preflight=True, tls=trust)

    final = by_http if site.https == "closed" else by_https
    for rule in BUNDLES["observatory"]:
        seen = by_http if rule.policy is Policy.HTTPS_REDIRECT else final
        judged, expected = judge_policy(rule, seen), judge_site(site)[rule.policy]
        assert (judged.result, judged.passed) == (expected.result, expected.passed)


def judge(policy: Policy, seen: Observation) -> tuple[str, bool]:
    """Give code and verdict."""
    judged = judge_policy(PolicyRule(policy=policy), seen)

    return judged.result, judged.passed


async def test_a_cookie_that_a_redirect_sets_is_judged_too() -> None:
    pages = {"/": redirect("/next", cookie="sessionid=1"), "/next": page()}
    async with serve_pages(pages) as server:
        seen = await observe(server.url())

    assert judge(Policy.COOKIES, seen) == ("cookies-session-without-secure-flag", False)


async def test_plain_http_that_redirects_to_https_is_seen(authority: Authority) -> None:
    async with (
        serve_pages({"/": page()}, tls=authority.context()) as secure,
        serve_pages({"/": redirect(secure.url())}) as plain,
    ):
        trusting = await observe(plain.url(), tls={"ca_file": str(authority.file)})
        doubting = await observe(plain.url())

    assert judge(Policy.HTTPS_REDIRECT, trusting) == ("redirection-to-https", True)
    assert judge(Policy.HTTPS_REDIRECT, doubting) == ("redirection-invalid-cert", False)
    assert judge(Policy.HSTS, doubting) == ("hsts-invalid-cert", False)


def reflects(seen: list[web.Request]) -> Page:
    """Answer a preflight request as a careless server does, and remember all requests."""

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        told = {}
        if request.method == "OPTIONS":
            told = {
                "Access-Control-Allow-Origin": request.headers["Origin"],
                "Access-Control-Allow-Credentials": "true",
            }
        return web.Response(status=200, headers=told)

    return answer


async def test_a_foreign_origin_is_claimed_in_a_request_of_its_own_without_secrets() -> None:
    asked: list[web.Request] = []
    pages = {"/": redirect("/next"), "/next": reflects(asked)}
    async with serve_pages(pages) as server:
        seen = await observe(
            server.url(), preflight=True, headers={"Authorization": "Bearer s3cret-token"}
        )

    assert [request.method for request in asked] == ["GET", "OPTIONS"]
    assert "Origin" not in asked[0].headers
    assert "Authorization" not in asked[1].headers
    assert asked[1].headers["Access-Control-Request-Method"] == "GET"
    assert judge(Policy.CORS, seen) == (
        "cross-origin-resource-sharing-implemented-with-universal-access",
        False,
    )


async def test_nothing_is_asked_besides_unless_a_policy_needs_it() -> None:
    asked: list[web.Request] = []
    async with serve_pages({"/": reflects(asked)}) as server:
        seen = await observe(server.url())

    assert [request.method for request in asked] == ["GET"]
    assert judge(Policy.CORS, seen) == ("not-evaluated", False)


async def test_a_preflight_without_an_answer_leaves_the_rest_as_it_is() -> None:
    async def stalls(request: web.Request) -> web.StreamResponse:
        if request.method == "OPTIONS":
            await asyncio.sleep(60)
        return web.Response(text="here")

    async with serve_pages({"/": stalls}) as server:
        seen = await observe(server.url(), preflight=True, timeout=0.5)

    assert seen.fault is None
    assert seen.body == b"here"
    assert seen.duration.total_seconds() < 0.4
    assert judge(Policy.CORS, seen) == ("not-evaluated", False)


async def test_a_preflight_that_is_cancelled_lets_the_cancellation_pass() -> None:
    waiting = asyncio.Event()

    async def stalls(request: web.Request) -> web.StreamResponse:
        if request.method == "OPTIONS":
            waiting.set()
            await asyncio.sleep(60)
        return web.Response()

    async with serve_pages({"/": stalls}) as server:
        task = asyncio.ensure_future(observe(server.url(), preflight=True))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
