"""Hostile clients over a real socket: refused in words, at little cost, and nobody else suffers."""

from __future__ import annotations

import asyncio
import gc
import hmac
import json
import os
import socket
import threading
import time
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.garbage import left_alone
from monitor.web import server
from monitor.web.connections import MOST as MOST_CONNECTIONS
from monitor.web.connections import Connections
from monitor.web.failure_limit import MOST
from tests.support.configuring import mistakes
from tests.support.running import write
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

FLOOD: Final = int(os.environ.get("HOSTILE_REQUESTS", "5000"))
"""How many requests come at once; 100000 is the long form."""

TOKENS: Final = "tokens: [{name: on-call, scope: operate, token: operate-token-1}]"
RIGHT: Final = b"Authorization: Bearer operate-token-1\r\n"
JSON: Final = b"Content-Type: application/json\r\n"
MOST_AT_ONCE: Final = 0.1
"""So much processor time may pass before others have their turn, in seconds."""


@asynccontextmanager
async def watched_loop() -> AsyncIterator[Callable[[], float]]:
    """Give how long the loop was busy at most before others had their turn, in processor time.

    The clock on the wall would also show what else this machine does, and the garbage collector
    how much there is of all tests in this process.
    """
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    try:
        with left_alone():
            yield lambda: longest
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


def send(port: int, data: bytes, *, expected: int = 1) -> bytes:
    """Send bytes and read until so many answers have begun or the end; for a thread."""
    with connect(port) as client:
        writing = threading.Thread(target=write_all, args=(client, data))
        writing.start()
        answer, begun, tail = bytearray(), 0, b""
        with suppress(ConnectionError):
            while begun < expected or b"\r\n\r\n" not in answer:
                if not (more := client.recv(262_144)):
                    break
                answer += more
                begun += (tail + more).count(b"HTTP/1.1 ")
                tail = more[-8:]
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        writing.join()
        return bytes(answer)


def write_all(client: socket.socket, data: bytes) -> None:
    """Send for as long as somebody takes it."""
    with suppress(OSError):
        client.sendall(data)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def post(body: bytes, headers: bytes = b"", path: bytes = b"/api/v1/deploys") -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nHost: localhost\r\n" % path
        + RIGHT
        + headers
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )


def code(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


class TestTokens:
    async def test_who_guesses_is_told_to_wait_and_who_knows_always_passes(
        self, serve: Any, log: list[Any]
    ) -> None:
        """Also from the same address: behind a proxy all have one."""
        async with serve(web=TOKENS) as served:
            codes, waits = [], []
            for number in range(3 * MOST):
                status, text, answer = await served.ask("POST", "/-/reload", f"guess-{number}")
                codes.append(status)
                waits.append(answer.headers.get("Retry-After"))
                if number % 7 == 0:
                    known, _, _ = await served.ask("POST", "/-/reload", "operate-token-1")
                    assert known == 200
            nobody, _, _ = await served.ask("POST", "/-/reload")
            _, page, _ = await served.ask("GET", "/metrics")

        assert codes == [401] * MOST + [429] * 2 * MOST
        assert waits[:MOST] == [None] * MOST
        assert all(wait is not None and 0 < int(wait) <= 12 for wait in waits[MOST:])
        assert answer.headers["Connection"] == "close", "each further guess costs a connection"
        assert "too many wrong tokens" in json.loads(text)["error"]
        assert nobody == 401, "who gives none has not guessed"
        assert f"production_monitor_wrong_tokens_total {3 * MOST}" in page
        told = [one for one in log if one["event"] == "wrong_tokens"]
        assert [(one["client"], one["in_a_row"]) for one in told] == [("127.0.0.1", MOST)]
        assert "guess-" not in str(log)

    async def test_each_token_is_compared_by_a_digest_of_one_length(
        self, serve: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        compared: list[tuple[int, int]] = []
        original = hmac.compare_digest

        def compare(one: Any, other: Any) -> bool:
            compared.append((len(one), len(other)))
            return original(one, other)

        monkeypatch.setattr(hmac, "compare_digest", compare)
        two = TOKENS.replace("]", ", {name: ci, scope: deploy, token: a-much-longer-token-2}]")
        async with serve(web=two) as served:
            for token in ("operate-token-1", "x", "ü" * 100, "operate-token-1" + "x" * 400):
                await served.ask("POST", "/-/reload", token)

        assert compared == [(32, 32)] * 8

    @pytest.mark.parametrize(
        "header",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"Bearer", id="no token"),
            pytest.param(b"Bearer \xff\xfe\x80", id="bytes that are no text"),
            pytest.param(b"Bearer " + "schlüssel".encode(), id="not ASCII"),
            pytest.param(b"Bearer " + b"x" * 8_000, id="very long"),
            pytest.param(b"Bearer operate-token-1\t\x0b", id="a control character"),
        ],
    )
    async def test_what_is_no_token_is_refused_without_a_traceback(
        self, serve: Any, header: bytes, log: list[Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        request = b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: %b\r\n\r\n"
        async with serve(web=TOKENS) as served:
            answer = await asyncio.to_thread(send, served.server.port, request % header)

        assert code(answer) in (400, 401)
        assert not [one for one in log if one["log_level"] == "error"]
        assert not [one for one in caplog.records if one.levelname == "ERROR"]


class TestBodies:
    @pytest.mark.parametrize(
        ("request_", "codes"),
        [
            pytest.param(post(b"x" * 2 * 1024**2, JSON), {413}, id="two megabytes"),
            pytest.param(post(b"[" * 1_000_000, JSON), {413}, id="a million levels"),
            pytest.param(post(b"[" * 60_000, JSON), {400}, id="60,000 levels"),
            pytest.param(
                post(b'{"service":' + b"[" * 900 + b"]" * 900 + b"}", JSON), {400}, id="900 levels"
            ),
            pytest.param(
                post(b"no gzip", JSON + b"Content-Encoding: gzip\r\n"), {415}, id="packed"
            ),
            pytest.param(
                post(b"{}", JSON + b"Content-Encoding: br, gzip\r\n"), {415}, id="packed twice"
            ),
            pytest.param(
                post(b"service=shop", b"Content-Type: application/x-www-form-urlencoded\r\n"),
                {415},
                id="a form",
            ),
            pytest.param(
                post(b"--x\r\n", b"Content-Type: multipart/form-data; boundary=x\r\n"),
                {415},
                id="a form in parts",
            ),
            pytest.param(post(b"{}"), {415}, id="no type"),
            pytest.param(
                post(b"x" * 2 * 1024**2, path=b"/-/reload"), {200}, id="where none is read"
            ),
        ],
    )
    async def test_a_body_that_is_too_much_is_refused_and_delays_nobody(
        self, serve: Any, request_: bytes, codes: set[int], log: list[Any]
    ) -> None:
        async with serve(web=TOKENS) as served, watched_loop() as longest:
            answer = await asyncio.to_thread(send, served.server.port, request_)
            took = longest()
            well, _, _ = await served.ask("GET", "/-/healthy")

        assert code(answer) in codes, answer[:400]
        assert took < MOST_AT_ONCE
        assert well == 200
        assert not [one for one in log if one["log_level"] == "error"]


class TestFloods:
    async def test_a_flood_of_requests_in_one_go_is_answered_in_turn_and_leaves_no_trace(
        self, serve: Any
    ) -> None:
        """Each asks for another target: nothing is kept of what strangers name."""
        requests = b"".join(
            b"GET /probe?target=nobody-%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number
            for number in range(FLOOD)
        )
        async with serve() as served:
            _, before, _ = await served.ask("GET", "/metrics")
            await asyncio.to_thread(send, served.server.port, requests[:60_000], expected=900)
            gc.collect()
            objects = len(gc.get_objects())
            async with watched_loop() as longest:
                flood = asyncio.create_task(
                    asyncio.to_thread(send, served.server.port, requests, expected=FLOOD)
                )
                well = []
                while not flood.done():
                    well.append((await served.ask("GET", "/-/healthy"))[0])
                    await asyncio.sleep(0.05)
                answers = await flood
                took = longest()
            gc.collect()
            more = len(gc.get_objects()) - objects
            _, after, _ = await served.ask("GET", "/metrics")

        assert answers.count(b"HTTP/1.1 404") == FLOOD
        assert set(well) == {200}, "others are served meanwhile"
        assert took < MOST_AT_ONCE
        assert more < 1_000, "objects that outlive the requests"
        assert "nobody-" not in after
        assert series(after) == series(before)

    async def test_a_thousand_idle_connections_hold_few_places_and_stop_nobody(
        self, serve: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who asks while they come may have to try again, but gets through."""
        patient = partial(Connections, patience=timedelta(minutes=1))
        monkeypatch.setattr(server, "Connections", patient)
        crowd: list[socket.socket] = []
        try:
            async with serve() as served:

                def come() -> None:
                    for number in range(1_000):
                        crowd.append(connect(served.server.port))
                        if number % 50 == 0:
                            time.sleep(0.01)  # who is not accepted at once is late by a second

                coming = asyncio.create_task(asyncio.to_thread(come))
                well = []
                while not coming.done():
                    with suppress(aiohttp.ClientError):  # its place was taken before it could ask
                        well.append((await served.ask("GET", "/-/healthy"))[0])
                    await asyncio.sleep(0.01)
                await coming
                await until(lambda: sum(map(is_open, crowd)) <= MOST_CONNECTIONS)
                page, _, _ = await served.ask("GET", "/metrics")

                assert set(well) == {200}, "nobody got through"
                assert page == 200
        finally:
            for one in crowd:
                one.close()


class TestNames:
    @pytest.mark.parametrize(
        "path",
        [
            "/static/..%2f..%2fguard.py",
            "/static/%2e%2e/guard.py",
            "/static/../guard.py",
            "/static/..",
            "/static/%00",
            "/static//etc/passwd",
            "/static/%2fetc%2fpasswd",
            "/api/v1/endpoints/..%2f..%2f-%2freload",
            "/api/v1/status/../../-/reload",
            "/api/v1/%73tatus%0d%0aX-Injected:%20yes",
            "//evil.example/%2e%2e",
            "/" + "a/" * 3_000,
            "/%ff%fe",
            "/%",
            "/probe?target=..%2f..%2fetc%2fpasswd",
            "/probe?target=%22%7d%0aevil%20%31",
            "/probe?target=shop&module=icmp%0d%0aX-Injected:%20yes",
        ],
    )
    async def test_tricks_with_paths_find_nothing(
        self, serve: Any, path: str, log: list[Any]
    ) -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        async with serve() as served:
            answer = await asyncio.to_thread(send, served.server.port, request)

        assert code(answer) in (400, 404), answer[:300]
        assert b"\r\nX-Injected" not in answer
        assert b"root:" not in answer
        assert not [one for one in log if one["log_level"] == "error"]

    @pytest.mark.parametrize(
        "name", ['a"b', "a\nb", 'a"} 1\nevil{x="', "a\\", "a b", "", "ü", "-a"]
    )
    def test_a_name_that_could_act_is_refused_at_load(self, tmp_path: Path, name: str) -> None:
        quoted = json.dumps(name)

        for text in (
            f"endpoints: {{{quoted}: https://shop.example/}}",
            f"endpoints: {{a: {{url: https://shop.example/, service: {quoted}}}}}",
            f"endpoints: {{a: https://shop.example/}}\nnotifiers: {{{quoted}: {{log: {{}}}}}}",
        ):
            assert mistakes(tmp_path, text)

    async def test_what_a_target_or_the_configuration_says_becomes_no_label(
        self, serve: Any, tmp_path: Path
    ) -> None:
        async with serve() as served:
            served.shop.version = 'v1"} 1\nevil{x="y\\'
            text = (tmp_path / "monitor.yml").read_text()
            more = (
                "location: 'v1\"} 1 evil{x=\"y\\'\n"
                "services: {shop: {version: {endpoint: shop, json: $.version}}}\n"
            )
            write(tmp_path, text.replace("every: 1h", "every: 2h") + more)
            assert (await served.monitor.reload()).problems == ()
            await until(lambda: served.monitor.engine.situation.deploys)
            _, page, _ = await served.ask("GET", "/metrics")

        assert list(text_string_to_metric_families(page))
        assert "evil" not in page


def series(page: str) -> int:
    """Count the lines of a page that are no comments."""
    return sum(not line.startswith("#") for line in page.splitlines())


def is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False
