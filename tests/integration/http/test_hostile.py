"""Reliability A: targets that close, reset, flood or speak nonsense; each is one plain fault."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.observation import Code
from tests.support.http_probe import observe, probing
from tests.support.servers import answers, hang_up, reset, serve_script
from tests.support.verdicts import judge_health

if TYPE_CHECKING:
    from tests.support.servers import Script

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        pytest.param(reset, "reset the connection before it answered", id="56: reset"),
        pytest.param(hang_up, "closed the connection before it answered", id="56: closed"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_is_never_sent_twice(script: Script, words: str, method: str) -> None:
    async with serve_script(script) as server, probing(server.url(), method=method) as probe:
        seen = await probe.observe()
        assert server.connections == 1
        await probe.observe()

    assert server.connections == 2
    assert seen.fault is not None
    assert seen.fault.code is Code.CONNECTION_RESET
    assert words in seen.fault.message
    assert judge_health(seen).reasons[0].code == Code.CONNECTION_RESET


async def endless_headers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    while True:
        writer.write(b"X-More: " + b"m" * 1000 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            answers(OK + b"X-Big: " + b"b" * 10_000 + b"\r\n\r\n"), id="A8: a huge header"
        ),
        pytest.param(
            answers(OK + b"".join(b"X-%d: v\r\n" % n for n in range(200)) + b"\r\n"),
            id="A8: two hundred headers",
        ),
        pytest.param(endless_headers, id="A8: endless headers"),
        pytest.param(answers(b"HELLO THERE\r\n\r\n"), id="A10: a garbage status line"),
        pytest.param(answers(b"\x00\x01\x02\x03\r\n\r\n"), id="A10: bytes"),
        pytest.param(answers(b"HTTP/1.1 abc OK\r\n\r\n"), id="A10: a status that is no number"),
        pytest.param(
            answers(OK + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nhello"),
            id="A10: two lengths",
        ),
        pytest.param(answers(OK + b"X-Nul: a\x00b\r\n\r\n"), id="A10: NUL in a header"),
        pytest.param(answers(OK + b"Content-Length: ten\r\n\r\n"), id="A10: a length in words"),
        pytest.param(
            answers(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"),
            id="A10: a chunk without a size",
        ),
    ],
)
async def test_an_answer_that_is_not_http_is_a_bad_response(script: Script) -> None:
    async with serve_script(script) as server:
        seen = await observe(server.url(), timeout=3)

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert "\n" not in seen.fault.message
    assert seen.fault.message.isprintable()
    assert len(seen.fault.message) < 400
    assert seen.duration.total_seconds() < 2
    assert judge_health(seen).outcome == "fail"


async def test_a7_an_endless_body_is_cut_at_the_limit() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\n")
        while True:
            writer.write(b"z" * 65536)
            await writer.drain()

    async with serve_script(flood) as server:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen = await observe(server.url(), body_limit="256KiB")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert seen.fault is None
    assert seen.body_truncated
    assert len(seen.body) == 256 * 1024
    assert seen.duration.total_seconds() < 1
    assert grown < 16 * 1024, "kilobytes"
    assert judge_health(seen).outcome == "pass"


@pytest.mark.parametrize("head", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\n\r\n"])
async def test_a9_a_flood_of_interim_answers_keeps_nobody_waiting(head: bytes) -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(head * 1000)
            await writer.drain()

    async with serve_script(flood) as server:
        seen = await observe(server.url(), timeout=3)

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert "more than 100 interim answers" in seen.fault.message
    assert seen.duration.total_seconds() < 2


async def test_a_few_interim_answers_are_as_good_as_none() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"

    async with serve_script(answers(hints * 100 + OK + b"Content-Length: 2\r\n\r\nhi")) as server:
        seen = await observe(server.url())

    assert seen.fault is None
    assert seen.status == 200
    assert seen.body == b"hi"
    assert seen.headers == (("Content-Length", "2"),)


async def test_a12_huge_and_odd_cookies_leave_nothing_behind() -> None:
    odd = b"".join(b"Set-Cookie: c%d=%s; Path=/\r\n" % (n, b"v" * 3000) for n in range(50))
    bad = b"Set-Cookie: =;;;\x01\r\nSet-Cookie: \r\n".replace(b"\x01", b"")
    async with (
        serve_script(answers(OK + odd + bad + b"Content-Length: 0\r\n\r\n")) as server,
        probing(server.url()) as probe,
    ):
        first = await probe.observe()
        second = await probe.observe()

    assert first.status == second.status == 200
    assert not any(b"Cookie" in head for head in server.heads)


async def test_a15_what_the_target_says_stays_on_one_line_without_controls() -> None:
    async with serve_script(answers(b"HTTP/1.1 \x1b[31m<!channel>\r\n\r\n")) as server:
        seen = await observe(server.url())

    assert seen.fault is not None
    assert seen.fault.message.isprintable()


@pytest.mark.parametrize(
    ("sent", "code", "words"),
    [
        pytest.param(
            OK + b"Content-Length: 100\r\n\r\nhalf",
            Code.CONNECTION_RESET,
            "after 4 bytes of the body",
            id="A17: RST in the body",
        ),
        pytest.param(
            OK + b"X-Half: ",
            Code.CONNECTION_RESET,
            "before it answered",
            id="A17: RST in the headers",
        ),
        pytest.param(
            OK + b"\r\nnot all of it",
            Code.CONNECTION_RESET,
            "after 13 bytes of the body",
            id="A17: RST where a length is missing",
        ),
    ],
)
async def test_a_reset_in_the_middle(sent: bytes, code: Code, words: str) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.05)  # let it be read before the reset discards it
        await reset(reader, writer)

    async with serve_script(break_off) as server:
        seen = await observe(server.url())

    assert seen.fault is not None
    assert seen.fault.code is code
    assert words in seen.fault.message


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"HTTP/1.1 2", id="in the status"),
        pytest.param(OK, id="after the status"),
        pytest.param(OK + b"X-Half: a\r\n", id="between header lines"),
        pytest.param(b"HTTP/1.1 103 H\r\n\r\n" + OK, id="after an interim answer"),
    ],
)
async def test_a17_a_head_that_breaks_off_is_no_answer(sent: bytes) -> None:
    async with serve_script(answers(sent)) as server:
        seen = await observe(server.url())

    assert seen.fault is not None
    assert seen.fault.code is Code.CONNECTION_RESET
    assert "closed the connection in the middle of the head of its answer" in seen.fault.message
    assert seen.status is None


@pytest.mark.parametrize("body", [b"0\r\nX: ", b"0\r\n", b"5;"])
async def test_a8_endless_trailers_and_chunk_extensions_end_by_themselves(body: bytes) -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n" + body)
        while True:
            writer.write(b"X: more\r\n" * 1000 if body.endswith(b"\n") else b"m" * 9000)
            await writer.drain()

    async with serve_script(flood) as server:
        seen = await observe(server.url(), timeout=3)

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert "endless trailers or chunk extensions" in seen.fault.message
    assert seen.duration.total_seconds() < 2


async def test_a17_a_half_closed_answer_is_read_to_its_end() -> None:
    async def half_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"\r\nall of it")
        writer.write_eof()
        await reader.read()

    async with serve_script(half_close) as server:
        seen = await observe(server.url())

    assert seen.fault is None
    assert seen.body == b"all of it"


async def test_a17_no_descriptor_is_left_after_many_rounds() -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async with serve_script(reset) as server, probing(server.url(), timeout=0.5) as probe:
        await probe.observe()
        before = descriptors()
        for _ in range(100):
            await probe.observe()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while descriptors() > before:
                    await asyncio.sleep(0.01)
        after = descriptors()

    assert after <= before


async def test_a_bug_inside_the_probe_is_our_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr("monitor.probes._http.probe.first_request", broken)
    seen = await observe("http://127.0.0.1:1/")

    assert seen.fault is not None
    assert seen.fault.own
    assert seen.fault.message == "the probe failed inside the monitor: LookupError"
    assert seen.url == "http://127.0.0.1:1/"
    assert judge_health(seen).outcome == "unknown"
