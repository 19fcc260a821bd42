"""What we use of httptools, asyncio and the standard library; a new version must keep it."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import httptools
import pytest

from monitor.probes._net.tls import TlsTerms, client_context, handshakes
from tests.support.servers import page, serve_pages

if TYPE_CHECKING:
    import ssl

    from tests.support.authority import Authority


class Listener:
    """Writes down what the parser tells, in order."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> list[object]:
        self.parser.feed_data(data)
        return self.heard

    def on_message_begin(self) -> None:
        self.heard.append("begin")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.heard.append((name, value))

    def on_headers_complete(self) -> None:
        self.heard.append((self.parser.get_status_code(), self.parser.get_http_version()))

    def on_body(self, data: bytes) -> None:
        self.heard.append(data)

    def on_message_complete(self) -> None:
        self.heard.append("end")


def test_a_head_a_body_and_trailers_are_told_in_order_and_as_they_came() -> None:
    heard = Listener().feed(
        b"HTTP/1.1 200 OK\r\nX-oDD: a \r\nX-Empty:\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\nhi\r\n0\r\nX-Trailer: t\r\n\r\n"
    )

    assert heard == [
        "begin",
        (b"X-oDD", b"a "),
        (b"X-Empty", b""),
        (b"Transfer-Encoding", b"chunked"),
        (200, "1.1"),
        b"hi",
        (b"X-Trailer", b"t"),
        "end",
    ]


def test_an_interim_answer_is_a_message_of_its_own() -> None:
    heard = Listener().feed(b"HTTP/1.1 103 H\r\nA: b\r\n\r\nHTTP/1.1 204 N\r\n\r\n")

    assert heard == ["begin", (b"A", b"b"), (103, "1.1"), "end", "begin", (204, "1.1"), "end"]


def test_a_body_without_a_length_has_no_end_for_the_parser() -> None:
    assert Listener().feed(b"HTTP/1.0 200 OK\r\n\r\nhi") == ["begin", (200, "1.0"), b"hi"]


def test_the_parser_does_not_know_to_which_request_it_hears_the_answer() -> None:
    heard = Listener().feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

    assert b"hi" in heard, "to a HEAD request, too: we end with the head ourselves"


def test_parts_of_a_line_are_put_together() -> None:
    listener = Listener()
    for byte in b"HTTP/1.1 200 OK\r\nX-Name: a value\r\n\r\n":
        listener.feed(bytes([byte]))

    assert (b"X-Name", b"a value") in listener.heard


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", id="folded lines"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: a\x01b\r\n\r\n", id="control characters"),
        pytest.param(b"HTTP/1.1 200 OK\nX: a\n\n", id="lines that end in LF alone"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n",
            id="a space after the size of a chunk",
        ),
    ],
)
def test_what_is_sloppy_is_refused_unless_leniency_is_asked_for(raw: bytes) -> None:
    strict, lenient = Listener(), Listener()
    lenient.parser.set_dangerous_leniencies(
        lenient_headers=True,
        lenient_optional_cr_before_lf=True,
        lenient_spaces_after_chunk_size=True,
    )

    assert lenient.feed(raw)
    with pytest.raises(httptools.HttpParserError) as refused:
        strict.feed(raw)
    assert str(refused.value).isprintable()


def test_what_a_callback_raises_is_the_context_of_what_the_parser_raises() -> None:
    class Broken(Listener):
        def on_header(self, name: bytes, value: bytes) -> None:
            raise LookupError("a bug")

    with pytest.raises(httptools.HttpParserCallbackError) as raised:
        Broken().feed(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n")

    assert isinstance(raised.value.__context__, LookupError)


def test_a_parser_that_is_let_go_leaves_nothing_for_the_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            listener = Listener()
            listener.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            del listener.parser, listener
        found = gc.collect()
    finally:
        gc.enable()

    assert found == 0


async def test_a_context_is_asked_to_wrap_through_memory_and_shows_the_chain(
    authority: Authority,
) -> None:
    made: list[ssl.SSLObject] = []
    async with serve_pages({"/": page()}, tls=authority.context()) as server:
        token = handshakes.set(made)
        try:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=client_context(TlsTerms(verify=False))
            )
        finally:
            handshakes.reset(token)
        writer.close()
        await writer.wait_closed()

    assert len(made) == 1
    inner = getattr(made[0], "_sslobj", None)
    assert hasattr(made[0], "get_unverified_chain") or hasattr(inner, "get_unverified_chain")
