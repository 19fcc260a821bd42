"""An exchange hears the same, however the bytes were cut on their way, and nothing makes it raise.

The transport is a stand-in here: only the cuts matter. Real sockets are in the integration tests.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from monitor.core.model.observation import Code, Phase
from monitor.probes._http.exchange import Exchange
from monitor.probes._http.request import Request
from monitor.probes._http.wire_request import write_request
from monitor.probes._net.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"

PIECES = [
    OK,
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.0 404 Not Found\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /next\r\n",
    b"HTTP/1.1 999 \n",
    b"HTTP/2.0 200\r\n",
    b"HTTP/1.1 abc OK\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: +5\r\n",
    CHUNKED,
    b"Transfer-Encoding: gzip\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: deflate\r\n",
    b"Connection: close\r\n",
    b"X-Fold: a\r\n b\r\n",
    b"X-Empty:\r\n",
    b"X-Nul: a\x00b\r\n",
    b"X-Long: " + b"l" * 8174 + b"\r\n",
    b"X-Too-Long: " + b"l" * 8190 + b"\r\n",
    b"".join(b"X-%d: v\r\n" % number for number in range(70)),
    b"\r\n",
    b"\n",
    b"\r",
    b"hello",
    b"5\r\nhello\r\n",
    b"5;extension=1\r\nhello\r\n",
    b"zz\r\n",
    b"0\r\n\r\n",
    b"0\r\nX-Trailer: t\r\n\r\n",
    gzip.compress(b"hello"),
    zlib.compress(b"hello"),
    gzip.compress(b"hello")[:-3],
]

PADDED = OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"x") + b"\0\x1f"

answers = st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=12)), max_size=10).map(
    b"".join
)
likely_answers = st.tuples(st.sampled_from(PIECES[:8]), answers).map(b"".join)


class Line:
    """Stands in for a transport."""

    def __init__(self) -> None:
        self.written = b""
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def begin(
    loop: asyncio.AbstractEventLoop, *, method: str = "GET", limit: int = 100, follows: bool = True
) -> tuple[Exchange, Line]:
    wire = write_request(Request(method=method, url=URL("http://x.test/"), headers={}, body=None))
    exchange = Exchange(loop, wire, Stopwatch(), body_limit=limit, follows=follows)
    line = Line()
    exchange.connection_made(line)  # type: ignore[arg-type]  # what is used of a transport

    return exchange, line


def seen(exchange: Exchange) -> dict[str, object]:
    """What an observation is made of."""
    answer = exchange.answer
    over = exchange.over

    return {
        "over": over.done() and over.exception() is None,
        "fault": exchange.fault,
        "status": answer and answer.status,
        "version": answer and answer.version,
        "lines": answer and answer.header_lines,
        "location": answer and answer.location,
        "body": answer and answer.body.content(),
        "truncated": answer and answer.body.truncated,
    }


def hear(exchange: Exchange, parts: Sequence[bytes], end: Exception | bool) -> dict[str, object]:
    for part in parts:
        exchange.data_received(part)
    if end is True:
        exchange.eof_received()
    elif end:
        exchange.connection_lost(end)

    return seen(exchange)


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(raw) + 1) for place in places), len(raw)]

    return [raw[start:stop] for start, stop in pairwise(bounds)]


@given(
    raw=st.one_of(answers, likely_answers),
    places=st.lists(st.integers(0, 40_000), max_size=12),
    method=st.sampled_from(["GET", "HEAD", "CONNECT"]),
    end=st.sampled_from([False, True, ConnectionResetError(104, "reset")]),
    follows=st.booleans(),
)
@example(OK + b"X: " + b"l" * 8192 + b"\x00", [8000], "GET", True, True)
@example(OK + b"X: " + b"l" * 8184, [20, 8000], "GET", True, True)
@example(b"\n" * 8100 + OK + b"\r\n" + b"b" * 500, [8118], "GET", True, True)
@example(PADDED, [len(PADDED) - 1], "GET", True, True)
@settings(max_examples=400, deadline=None)
def test_any_bytes_in_any_cuts_end_in_the_same(
    loop: asyncio.AbstractEventLoop,
    raw: bytes,
    places: list[int],
    method: str,
    end: Exception | bool,
    follows: bool,
) -> None:
    whole, line = begin(loop, method=method, follows=follows)
    in_parts, other = begin(loop, method=method, follows=follows)
    by_byte, _ = begin(loop, method=method, follows=follows)

    expected = hear(whole, [raw], end)

    assert hear(in_parts, cut(raw, places), end) == expected
    assert hear(by_byte, [bytes([byte]) for byte in raw], end) == expected
    assert line.aborted is other.aborted is whole.over.done()
    if end:
        assert whole.over.done()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(OK + b"".join(b"X-%d: v\r\n" % n for n in range(129)) + b"\r\n", id="lines"),
        pytest.param(OK + b"X: " + b"v" * 8200, id="one line that does not end"),
        pytest.param(OK + b"v" * 8200, id="a name that does not end"),
        pytest.param(b"HTTP/1.1 200 " + b"v" * 8200, id="a reason that does not end"),
        pytest.param(
            b"".join(
                b"HTTP/1.1 103 H\r\n"
                + b"".join(b"X: %s\r\n" % (b"v" * 8000) for _ in range(9))
                + b"\r\n"
                for _ in range(20)
            ),
            id="many large interim answers",
        ),
        pytest.param(OK + b"a:\n" * 100_000, id="lines that do not end"),
        pytest.param(b"HTTP/1.1 103 H\r\n\r\n" * 101, id="interim answers"),
        pytest.param(
            OK + CHUNKED + b"\r\n0\r\nX: " + b"v" * 70_000, id="a trailer that does not end"
        ),
        pytest.param(
            OK + CHUNKED + b"\r\n0\r\n" + b"X: v\r\n" * 20_000, id="trailers that do not end"
        ),
        pytest.param(
            OK + CHUNKED + b"\r\n1;" + b"v" * 70_000, id="a chunk extension that does not end"
        ),
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 1000])
def test_what_does_not_end_is_refused_by_itself(
    loop: asyncio.AbstractEventLoop, data: bytes, size: int
) -> None:
    exchange, line = begin(loop)
    for start in range(0, len(data), size):
        exchange.data_received(data[start : start + size])

    assert exchange.fault is not None
    assert exchange.fault.code is Code.BAD_RESPONSE
    assert line.aborted


def test_a_body_of_many_small_chunks_is_one_body(loop: asyncio.AbstractEventLoop) -> None:
    exchange, _ = begin(loop, limit=100_000)
    exchange.data_received(OK + CHUNKED + b"\r\n" + b"2\r\nab\r\n" * 20_000 + b"0\r\n\r\n")

    assert exchange.fault is None
    assert exchange.answer is not None
    assert exchange.answer.body.content() == b"ab" * 20_000


def test_a_body_that_comes_slowly_in_small_chunks_is_not_taken_for_endless_padding(
    loop: asyncio.AbstractEventLoop,
) -> None:
    exchange, _ = begin(loop, limit=100_000)
    exchange.data_received(OK + CHUNKED + b"\r\n")
    for _ in range(30_000):
        for part in (b"1\r\n", b"a", b"\r\n"):
            exchange.data_received(part)
    exchange.data_received(b"0\r\n\r\n")

    assert exchange.fault is None
    assert exchange.answer is not None
    assert exchange.answer.body.content() == b"a" * 30_000


def test_a_byte_now_and_then_does_not_pay_for_endless_padding(
    loop: asyncio.AbstractEventLoop,
) -> None:
    exchange, line = begin(loop, limit=1024 * 1024)
    exchange.data_received(OK + CHUNKED + b"\r\n")
    for _ in range(10):
        exchange.data_received(b"1;" + b"x" * 30_000 + b"\r\na\r\n")

    assert exchange.fault is not None
    assert exchange.fault.message.endswith("endless trailers or chunk extensions")
    assert line.aborted


def test_a_body_of_single_bytes_is_read_no_further_than_it_is_worth(
    loop: asyncio.AbstractEventLoop,
) -> None:
    exchange, _ = begin(loop, limit=1024 * 1024)
    exchange.data_received(OK + CHUNKED + b"\r\n" + b"1\r\na\r\n" * 200_000)

    assert exchange.fault is None
    assert exchange.answer is not None
    assert exchange.answer.body.truncated
    assert exchange.answer.body.received < 100_000


def test_what_comes_after_the_end_is_not_heard(loop: asyncio.AbstractEventLoop) -> None:
    exchange, line = begin(loop)
    exchange.data_received(OK + b"Content-Length: 2\r\n\r\nhi")
    before = seen(exchange)
    exchange.data_received(b"more")
    exchange.connection_lost(ConnectionResetError())

    assert seen(exchange) == before
    assert line.aborted


def test_a_connection_that_is_made_too_late_is_ended(loop: asyncio.AbstractEventLoop) -> None:
    exchange, _ = begin(loop)
    exchange.hang_up()
    late = Line()
    exchange.connection_made(late)  # type: ignore[arg-type]  # as above

    assert late.aborted
    assert late.written == b""


def test_a_bug_of_ours_reaches_the_one_who_waits(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise LookupError("a bug")

    monkeypatch.setattr("monitor.probes._http.exchange.Answer", broken)
    exchange, line = begin(loop)
    exchange.data_received(OK + b"Content-Length: 2\r\n\r\nhi")

    assert isinstance(exchange.over.exception(), LookupError)
    assert line.aborted


def test_the_time_of_each_part_is_taken_where_it_ends(loop: asyncio.AbstractEventLoop) -> None:
    wire = write_request(Request(method="GET", url=URL("http://x.test/"), headers={}, body=None))
    watch = Stopwatch()
    exchange = Exchange(loop, wire, watch, body_limit=9, follows=False)
    running = [watch.phase]
    exchange.connection_made(Line())  # type: ignore[arg-type]  # as above
    running.append(watch.phase)
    for data in (OK, b"Content-Length: 2\r\n\r\n", b"hi"):
        exchange.data_received(data)
        running.append(watch.phase)

    assert running == [None, Phase.PROCESSING, Phase.PROCESSING, Phase.TRANSFER, None]
