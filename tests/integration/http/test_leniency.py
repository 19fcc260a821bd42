"""What we take for an answer although it is sloppy, and what we refuse, pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from monitor.core.model.observation import Code
from tests.support.http_probe import observe
from tests.support.servers import answers, serve_script

if TYPE_CHECKING:
    import asyncio

    from tests.support.servers import Script

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def stays(raw: bytes) -> Script:
    """Answer with exactly these bytes, and leave it to the other side to close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await reader.read()

    return script


@pytest.mark.parametrize(
    ("raw", "status", "body"),
    [
        pytest.param(b"HTTP/1.1 200\r\n\r\nhi", 200, b"hi", id="no reason"),
        pytest.param(b"\r\n\r\n" + OK + b"\r\nhi", 200, b"hi", id="empty lines first"),
        pytest.param(b"HTTP/1.1 200 OK\nX: y\n\nhi", 200, b"hi", id="LF alone"),
        pytest.param(b"HTTP/0.9 200 OK\r\n\r\nhi", 200, b"hi", id="HTTP/0.9"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhi", 200, b"hi", id="HTTP/1.0 without a length"),
        pytest.param(b"HTTP/2.0 200 OK\r\n\r\nhi", 200, b"hi", id="2.0 in words of 1.1"),
        pytest.param(b"HTTP/1.1 999 Odd\r\n\r\nhi", 999, b"hi", id="a status nobody defined"),
        pytest.param(OK + b"X: a\x01b\x0b\r\n\r\nhi", 200, b"hi", id="control characters"),
        pytest.param(OK + b"X: \xff\r\n\r\nhi", 200, b"hi", id="bytes that are no text"),
        pytest.param(OK + b"Content-Length: 002\r\n\r\nhi", 200, b"hi", id="zeros before a length"),
        pytest.param(
            OK + b"Transfer-Encoding: identity\r\n\r\nhi", 200, b"hi", id="a transfer as it is"
        ),
        pytest.param(
            OK + b"Transfer-Encoding: gzip\r\n\r\nhi", 200, b"hi", id="a transfer nobody asked for"
        ),
        pytest.param(CHUNKED + b"2 ;a=b\r\nhi\r\n0\r\n\r\n", 200, b"hi", id="chunk extensions"),
        pytest.param(
            CHUNKED + b"2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
            200,
            b"hi",
            id="trailers, which mean nothing",
        ),
    ],
)
async def test_what_is_sloppy_is_an_answer(raw: bytes, status: int, body: bytes) -> None:
    async with serve_script(answers(raw)) as server:
        seen = await observe(server.url())

    assert seen.fault is None
    assert (seen.status, seen.body) == (status, body)
    assert not any(name == "X-T" for name, _ in seen.headers)


@pytest.mark.parametrize(
    ("method", "raw", "body"),
    [
        pytest.param("GET", OK + b"Content-Length: 2\r\n\r\nhimore", b"hi", id="after a length"),
        pytest.param(
            "GET",
            OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhimore",
            b"hi",
            id="after a length, and close",
        ),
        pytest.param(
            "GET", CHUNKED + b"2\r\nhi\r\n0\r\n\r\nmore", b"hi", id="after the last chunk"
        ),
        pytest.param("GET", b"HTTP/1.1 204 No\r\n\r\nmore", b"", id="after 204"),
        pytest.param(
            "GET", b"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", b"", id="304 with a length"
        ),
        pytest.param("HEAD", OK + b"Content-Length: 4\r\n\r\nmore", b"", id="a body to HEAD"),
        pytest.param("HEAD", CHUNKED, b"", id="no chunks to HEAD"),
        pytest.param("CONNECT", OK + b"\r\nmore", b"", id="a tunnel"),
        pytest.param("GET", b"HTTP/1.1 101 S\r\n\r\nmore", b"", id="101 without an upgrade"),
        pytest.param(
            "GET",
            b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\x00",
            b"",
            id="an upgrade",
        ),
    ],
)
async def test_an_answer_ends_where_it_says_and_nobody_waits_for_more(
    method: str, raw: bytes, body: bytes
) -> None:
    async with serve_script(stays(raw)) as server:
        seen = await observe(server.url(), method=method, timeout=3)

    assert seen.fault is None
    assert seen.body == body
    assert seen.duration.total_seconds() < 2


async def test_a_folded_line_is_one_value() -> None:
    async with serve_script(answers(OK + b"X: a\r\n b\r\n\tc\r\nY: d\r\n\r\n")) as server:
        seen = await observe(server.url())

    assert seen.headers == (("X", "a b\tc"), ("Y", "d"))


async def test_blanks_around_a_value_are_no_part_of_it() -> None:
    async with serve_script(answers(OK + b"X:  a \t \r\nY:\r\nZ: \r\n\r\n")) as server:
        seen = await observe(server.url())

    assert seen.headers == (("X", "a"), ("Y", ""), ("Z", ""))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        pytest.param(b"<html>hello</html>", "does not begin as one", id="HTTP/0.9 without a head"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "does not begin as one", id="another protocol"),
        pytest.param(b"\x15\x03\x03\x00\x02\x02\x46", "does not begin as one", id="TLS"),
        pytest.param(b"HTTP/3.0 200 OK\r\n\r\n", "invalid HTTP version", id="HTTP/3"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", "invalid status code", id="a short status"),
        pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n", "invalid response status", id="a long status"),
        pytest.param(OK + b"X Y: a\r\n\r\n", "invalid header token", id="a blank in a name"),
        pytest.param(OK + b"X : a\r\n\r\n", "invalid header token", id="a blank after a name"),
        pytest.param(OK + b"nothing\r\n\r\n", "invalid header token", id="no colon"),
        pytest.param(OK + b"X: a\rb\r\n\r\n", "missing expected LF", id="CR alone"),
        pytest.param(OK + b"X: a\0b\r\n\r\n", "a header holds a zero byte", id="a zero byte"),
        pytest.param(
            OK + b"Content-Length: 5, 5\r\n\r\nhello",
            "invalid character in",
            id="a list of lengths",
        ),
        pytest.param(OK + b"Content-Length: -5\r\n\r\n", "invalid character in", id="below zero"),
        pytest.param(OK + b"Content-Length: \r\n\r\n", "empty Content-Length", id="no length"),
        pytest.param(
            OK + b"Content-Length: 99999999999999999999\r\n\r\n", "overflow", id="a huge length"
        ),
        pytest.param(
            OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "can't be present with Content-Length",
            id="a length and chunks",
        ),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "can't be present with Transfer-Encoding",
            id="chunks and a length",
        ),
    ],
)
async def test_what_may_be_read_in_two_ways_or_none_is_refused(raw: bytes, words: str) -> None:
    async with serve_script(stays(raw)) as server:
        seen = await observe(server.url(), timeout=3)

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert words in seen.fault.message
    assert "is not valid HTTP: " in seen.fault.message
    assert seen.status is None
    assert seen.duration.total_seconds() < 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param(b"-2\r\nhi\r\n", "invalid character in chunk size", id="a negative size"),
        pytest.param(b"2\nhi\n0\n\n", "expected LF after chunk size", id="LF alone"),
        pytest.param(b"2\r\nhixx0\r\n\r\n", "expected LF after chunk data", id="a longer chunk"),
        pytest.param(b"FFFFFFFFFFFFFFFFF\r\n", "chunk size overflow", id="a huge size"),
    ],
)
async def test_chunks_that_cannot_be_read_leave_the_head_known(body: bytes, words: str) -> None:
    async with serve_script(stays(CHUNKED + body)) as server:
        seen = await observe(server.url(), timeout=3)

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert words in seen.fault.message
    assert seen.status == 200
    assert seen.header("Transfer-Encoding") == ("chunked",)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(CHUNKED, id="no chunk"),
        pytest.param(CHUNKED + b"5\r\nhi", id="in a chunk"),
        pytest.param(CHUNKED + b"2\r\nhi\r\n", id="between chunks"),
        pytest.param(CHUNKED + b"2\r\nhi\r\n0\r\n", id="before the very end"),
    ],
)
async def test_chunks_that_break_off_are_a_bad_response(raw: bytes) -> None:
    async with serve_script(answers(raw)) as server:
        seen = await observe(server.url())

    assert seen.fault is not None
    assert seen.fault.code is Code.BAD_RESPONSE
    assert "broke off after" in seen.fault.message
