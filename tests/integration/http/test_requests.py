"""Cases D: method, body, headers and credentials, as the server receives them."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from monitor.config.document import LiveText
from monitor.core.model.observation import Code, Phase
from monitor.options import Secret
from monitor.probes._http.auth import AuthOptions
from monitor.probes._http.options import HttpOptions, RequestOptions
from monitor.probes._http.probe import HttpProbe
from tests.support.http_probe import USER_AGENT, make_context, observe, probing
from tests.support.servers import answers_page, page, redirect, serve_pages, serve_script
from tests.support.verdicts import judge_health

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.servers import Page


class Desk:
    """A page that writes down what it is sent."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return web.Response()


def demand(authorization: str) -> Page:
    """Make a page for those who say exactly this."""

    async def answer(request: web.Request) -> web.StreamResponse:
        allowed = request.headers.getall("Authorization", []) == [authorization]
        return web.Response(status=200 if allowed else 401)

    return answer


async def test_31_the_method_is_the_one_that_is_configured() -> None:
    async def only_post(request: web.Request) -> web.StreamResponse:
        return web.Response(status=200 if request.method == "POST" else 400)

    async with serve_pages({"/": only_post}) as server:
        asked = await observe(server.url(), method="post")
        not_asked = await observe(server.url())

    assert judge_health(asked).outcome == "pass"
    assert judge_health(not_asked).outcome == "fail"


async def test_32_a_body_from_a_file_is_the_same_as_one_written_inline(tmp_path: Path) -> None:
    (tmp_path / "order.txt").write_text("Test Body")
    desk = Desk()
    async with serve_pages({"/": desk.answer}) as server:
        await observe(server.url(), method="POST", body="Test Body")
        await observe(server.url(), method="POST", body_file="order.txt", base=tmp_path)

    assert desk.bodies == [b"Test Body", b"Test Body"]


async def test_32_a_body_file_is_read_for_each_request_and_missing_is_our_own_fault(
    tmp_path: Path,
) -> None:
    file = tmp_path / "order.txt"
    file.write_text("first")
    desk = Desk()
    async with (
        serve_pages({"/": desk.answer}) as server,
        probing(server.url(), method="POST", body_file=str(file)) as probe,
    ):
        await probe.observe()
        file.write_text("second")
        await probe.observe()
        file.unlink()
        seen = await probe.observe()

    assert desk.bodies == [b"first", b"second"]
    assert seen.fault is not None
    assert seen.fault.own
    assert seen.fault.code is Code.INTERNAL
    assert f"body_file {file} cannot be read" in seen.fault.message
    assert seen.url == server.url()
    assert judge_health(seen).outcome == "unknown"


@pytest.mark.parametrize(
    ("request_options", "content_type", "body"),
    [
        pytest.param(
            {"json": {"name": "Ana ñ"}}, "application/json", '{"name": "Ana ñ"}', id="json"
        ),
        pytest.param({"json": None}, "application/json", "null", id="json null is a body"),
        pytest.param(
            {"form": {"a": "1 2", "b": "&"}},
            "application/x-www-form-urlencoded",
            "a=1+2&b=%26",
            id="form",
        ),
        pytest.param({"body": "{}"}, None, "{}", id="a plain body has no type of its own"),
        pytest.param(
            {"json": {}, "headers": {"content-type": "application/vnd.api+json"}},
            "application/vnd.api+json",
            "{}",
            id="a configured type wins",
        ),
    ],
)
async def test_a_body_says_what_it_is(
    request_options: dict[str, object], content_type: str | None, body: str
) -> None:
    desk = Desk()
    async with serve_pages({"/": desk.answer}) as server:
        await observe(server.url(), method="POST", **request_options)

    assert desk.requests[0].headers.getall("Content-Type", []) == (
        [content_type] if content_type else []
    )
    assert desk.bodies == [body.encode()]


async def test_33_headers_reach_the_server_verbatim_and_host_only_once() -> None:
    async with serve_script(answers_page()) as server:
        await observe(
            server.url(),
            headers={
                "Host": "shop.example",
                "user-agent": "mine/1",
                "Accept-Language": "es, en;q=0.5",
                "X-Empty": "",
            },
        )

    lines = server.heads[0].decode().split("\r\n")
    assert [line for line in lines if line.lower().startswith("host:")] == ["Host: shop.example"]
    assert [line for line in lines if line.lower().startswith("user-agent:")] == [
        "user-agent: mine/1"
    ]
    assert "Accept-Language: es, en;q=0.5" in lines
    assert any(line.rstrip() == "X-Empty:" for line in lines)


@pytest.mark.parametrize(
    ("password", "outcome"),
    [pytest.param("open", "pass", id="right"), pytest.param("shut", "fail", id="wrong")],
)
async def test_34_basic_authentication(password: str, outcome: str) -> None:
    wanted = "Basic " + base64.b64encode(b"ana:open").decode()
    auth = {"basic": {"username": "ana", "password": password}}
    async with serve_pages({"/": demand(wanted)}) as server:
        seen = await observe(server.url(), auth=auth)

    assert judge_health(seen).outcome == outcome


async def test_34_without_credentials_a_strict_server_refuses() -> None:
    async with serve_pages({"/": demand("Basic x")}) as server:
        seen = await observe(server.url())

    assert seen.status == 401


async def test_34_a_person_in_the_url_is_sent_as_basic_and_shown_nowhere() -> None:
    wanted = "Basic " + base64.b64encode(b"ana:p@ss").decode()
    async with serve_pages({"/": demand(wanted)}) as server:
        url = server.url().replace("http://", "http://ana:p%40ss@")
        seen = await observe(url)

    assert seen.status == 200
    assert seen.url == server.url()


async def test_35_a_bearer_token_is_sent() -> None:
    async with serve_pages({"/": demand("Bearer abc123")}) as server:
        right = await observe(server.url(), auth={"bearer": "abc123"})
        wrong = await observe(server.url(), auth={"bearer": "abc124"})

    assert (right.status, wrong.status) == (200, 401)


def secret_in(file: Path) -> Secret:
    """Make a secret that lives in a file and is read whenever it is needed."""
    return Secret(file.read_text(), refresh=file.read_text)


def text_in(file: Path) -> LiveText:
    """Make text of the configuration that came from a file."""
    return LiveText(file.read_text(), secret_in(file))


async def test_35_a_credential_that_changed_in_its_file_is_used_by_the_next_probe(
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    secret = secret_in(file)
    desk = Desk()
    async with serve_pages({"/": desk.answer}) as server:
        options = HttpOptions(
            url=server.url(),
            request=RequestOptions(auth=AuthOptions(bearer=secret), headers={"X-Key": secret}),
        )
        probe = HttpProbe(options, make_context())
        await probe.observe()
        file.write_text("second")
        await probe.observe()
        await probe.close()

    assert [request.headers["Authorization"] for request in desk.requests] == [
        "Bearer first",
        "Bearer second",
    ]
    assert [request.headers["X-Key"] for request in desk.requests] == ["first", "second"]


@pytest.mark.parametrize("key", ["body", "json", "form"])
async def test_35_a_credential_in_a_body_is_read_again_too(key: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first")
    live = text_in(file)
    bodies = {"body": live, "json": {"login": ["ana", live]}, "form": {"password": live}}
    desk = Desk()
    async with (
        serve_pages({"/": desk.answer}) as server,
        probing(server.url(), method="POST", **{key: bodies[key]}) as probe,
    ):
        await probe.observe()
        file.write_text("second")
        await probe.observe()

    assert b"first" in desk.bodies[0]
    assert b"second" in desk.bodies[1]
    assert b"first" not in desk.bodies[1]


async def test_a_credential_that_came_to_hold_a_line_break_is_our_own_fault(
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    file.write_text("first")
    secret = secret_in(file)
    async with serve_pages({"/": page()}) as server:
        options = HttpOptions(url=server.url(), request=RequestOptions(headers={"X-Key": secret}))
        probe = HttpProbe(options, make_context())
        file.write_text("one\r\nX-Two: two")
        seen = await probe.observe()
        await probe.close()

    assert server.connections == 0
    assert seen.fault is not None
    assert seen.fault.own
    assert "one" not in seen.fault.message


@pytest.mark.parametrize(
    ("elsewhere", "kept"),
    [
        pytest.param(False, True, id="36: on the same origin credentials go along"),
        pytest.param(True, False, id="36: on another origin they stay behind"),
    ],
)
async def test_credentials_and_redirects(elsewhere: bool, kept: bool) -> None:
    desk = Desk()
    secrets = {
        "Authorization": "Bearer abc",
        "Cookie": "session=1",
        "X-Api-Key": "k",
        "X-Auth-Token": "t",
    }
    async with serve_pages({"/end": desk.answer}) as other:
        pages = {"/": redirect(other.url("/end") if elsewhere else "/end"), "/end": desk.answer}
        async with serve_pages(pages) as server:
            await observe(server.url(), headers={**secrets, "Accept-Language": "es"})

    headers = desk.requests[0].headers
    assert {name: headers.get(name) for name in secrets} == {
        name: value if kept else None for name, value in secrets.items()
    }
    assert headers["Accept-Language"] == "es"


async def test_36_credentials_do_not_come_back_with_a_second_redirect() -> None:
    desk = Desk()
    first_port = 0

    async def back(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{first_port}/end"})

    async with (
        serve_pages({"/": back}) as other,
        serve_pages({"/": redirect(other.url()), "/end": desk.answer}) as first,
    ):
        first_port = first.port
        seen = await observe(first.url(), auth={"bearer": "abc"})

    assert seen.url == first.url("/end")
    assert "Authorization" not in desk.requests[0].headers


async def test_36_a_configured_host_stays_behind() -> None:
    desk = Desk()
    async with (
        serve_pages({"/": desk.answer}) as other,
        serve_pages({"/": redirect(other.url())}) as server,
    ):
        await observe(server.url(), headers={"Host": "shop.example"})

    assert desk.requests[0].headers["Host"] == f"127.0.0.1:{other.port}"


async def test_37_the_default_user_agent_names_product_and_version() -> None:
    desk = Desk()
    async with serve_pages({"/": desk.answer}) as server:
        await observe(server.url())

    assert desk.requests[0].headers.getall("User-Agent") == [USER_AGENT]
    assert desk.requests[0].headers.getall("Accept-Encoding") == ["gzip, deflate"]


async def test_the_path_and_query_reach_the_server_as_written() -> None:
    async with serve_script(answers_page()) as server:
        await observe(server.url("/a%20b/c%2Fd?q=1%2B2&r=a+b"))

    assert server.heads[0].startswith(b"GET /a%20b/c%2Fd?q=1%2B2&r=a+b HTTP/1.1\r\n")


async def test_a_body_waits_until_the_server_wants_it() -> None:
    bodies: list[bytes] = []

    async def wants_it(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                bodies.append(await reader.read(5))
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        bodies.append(await reader.readexactly(5))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serve_script(wants_it) as server:
        seen = await observe(
            server.url(), method="POST", body="order", headers={"Expect": "100-continue"}
        )

    assert seen.status == 200
    assert bodies == [b"order"]
    assert seen.duration.total_seconds() < 0.9, "it was sent because it was asked for"


async def test_a_server_that_never_says_that_it_wants_the_body_gets_it_all_the_same() -> None:
    bodies: list[bytes] = []

    async def expects_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append(await reader.readexactly(5))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with serve_script(expects_nothing) as server:
        seen = await observe(
            server.url(), method="POST", body="order", headers={"Expect": "100-continue"}
        )

    assert bodies == [b"order"]
    assert 0.9 < seen.phases[Phase.PROCESSING].total_seconds() < 3


async def test_an_answer_that_comes_before_the_body_was_wanted_is_the_answer() -> None:
    bodies: list[bytes] = []

    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        bodies.append(await reader.read())
        over.set()

    over = asyncio.Event()
    async with serve_script(refuses) as server:
        seen = await observe(
            server.url(), method="POST", body="order", headers={"Expect": "100-continue"}
        )
        async with asyncio.timeout(5):
            await over.wait()

    assert seen.status == 417
    assert bodies == [b""]


async def test_an_answer_that_comes_while_the_body_is_sent_is_the_answer(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 20_000_000)

    async def too_large(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await asyncio.sleep(0.1)

    async with serve_script(too_large) as server:
        seen = await observe(server.url(), method="POST", body_file=str(large))

    assert seen.status == 413
    assert seen.body == b"no"
