"""One request and the answer to it, on a connection of its own: what the event loop feeds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from httptools import HttpParserCallbackError, HttpParserError, HttpResponseParser

from monitor.core.model.observation import Phase
from monitor.probes._http.answer import Answer
from monitor.probes._http.explain import explain_end, explain_nonsense
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from monitor.core.model.observation import Fault
    from monitor.probes._http.answer import Lines
    from monitor.probes._http.wire_request import WireRequest
    from monitor.probes._net.stopwatch import Stopwatch

_LONGEST_LINE: Final = 8 * 1024
_MOST_LINES: Final = 128
_LARGEST_HEAD: Final = 256 * 1024
_COST_OF_A_LINE: Final = 16  # bytes: short lines take longest to read
_MOST_INTERIM: Final = 100
_MOST_WITHOUT_BODY: Final = 64 * 1024
_PADDING_OF_A_BYTE: Final = 16  # more than a chunk of one byte needs around it
_PATIENCE_WITH_EXPECT: Final = 1.0
_SWITCHING_PROTOCOLS: Final = 101


class Exchange(asyncio.Protocol):
    """Sends a request as soon as there is a connection, and hears the answer to its end.

    `over` is done when the answer is complete (`answer`) or never will be (`fault`); by then the
    connection is closed. With `follows`, the head of a redirect is a complete answer. Brotli is
    undone where it was asked for. What is heard does not depend on how the bytes were cut on their
    way.
    """

    __slots__ = (
        "_begun",
        "_body_limit",
        "_brotli",
        "_follows",
        "_head_size",
        "_interim",
        "_line_size",
        "_lines",
        "_parser",
        "_patience",
        "_transport",
        "_unsent",
        "_watch",
        "_wire",
        "_without_body",
        "answer",
        "fault",
        "over",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        wire: WireRequest,
        watch: Stopwatch,
        *,
        body_limit: int,
        follows: bool,
        brotli: bool = False,
    ) -> None:
        self.over: asyncio.Future[None] = loop.create_future()
        self.answer: Answer | None = None
        self.fault: Fault | None = None
        self._wire = wire
        self._watch = watch
        self._body_limit = body_limit
        self._follows = follows
        self._brotli = brotli
        self._transport: asyncio.Transport | None = None
        self._unsent = b""
        self._patience: asyncio.TimerHandle | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # as browsers and curl read: a server that is sloppy in these is up all the same
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._begun = False
        self._interim = 0
        self._lines: Lines = []
        self._head_size = 0
        self._line_size = 0
        self._without_body = 0

    def hang_up(self) -> None:
        """End the connection now, whatever is still unsent or unread.

        Everything that leads back here is let go: a circle would wait for the garbage collector,
        at each probe.
        """
        self._parser = None
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # what the event loop tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # one that can be written to
        """Send the request."""
        if self._parser is None:
            transport.abort()
            return

        self._watch.enter(Phase.PROCESSING)
        self._transport = transport
        wire = self._wire
        if wire.held_back:
            self._unsent = wire.body
            self._patience = self.over.get_loop().call_later(_PATIENCE_WITH_EXPECT, self._send_rest)
            transport.write(wire.head)
        else:
            transport.write(wire.head + wire.body)

    def data_received(self, data: bytes) -> None:
        """Read on; nothing that is said here raises."""
        parser = self._parser
        if parser is None:
            return

        try:
            if self.answer is not None:
                self._read_body(parser, data)
            elif self._head_size + len(data) <= _LONGEST_LINE:  # so is each line of it
                parser.feed_data(data)
                if self.answer is None:
                    self._note_head(data)
            else:
                self._read_by_line(parser, data)
        except HttpParserCallbackError as error:
            self._break(error.__context__ or error)
        except HttpParserError as error:
            self._refuse(str(error))
        except Exception as error:  # noqa: BLE001 -- the loop would log a bug, and the probe wait on
            self._break(error)

    def eof_received(self) -> None:
        """Take the end of what the server sends as the end of the connection."""
        self.connection_lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection as the end of the answer, if it can be one."""
        if self._parser is None:
            return
        if exc is None and self.answer is not None and not self.answer.is_delimited:
            self._complete()
            return

        self._settle(explain_end(exc, self._wire.peer, self.answer, begun=self._begun))

    # what the parser tells

    def on_message_begin(self) -> None:
        """Note that an answer, perhaps an interim one, has begun."""
        self._begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line, of the head or after the body, where it means nothing here."""
        self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """Take the head, of an interim answer or of the one that stands."""
        if self._parser is None:
            return

        lines, self._lines = self._lines, []
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != _SWITCHING_PROTOCOLS:
            self._pass_over(status)
            return
        if (why := _find_mistake(lines)) is not None:
            self._refuse(why)
            return

        self.answer = answer = Answer(status, self._parser.get_http_version(), lines)
        if self._follows and answer.location is not None:
            self._settle()
            return

        self._watch.enter(Phase.TRANSFER)
        answer.expect_body(self._body_limit, brotli=self._brotli)
        if status == _SWITCHING_PROTOCOLS or self._wire.asks_for_head_alone(status):
            self._settle()

    def on_body(self, data: bytes) -> None:
        """Take a part of the body."""
        if self._parser is None or self.answer is None:
            return

        try:
            self.answer.body.take(data)
        except Faulted as broken:
            self._settle(broken.fault)
            return

        if self.answer.body.truncated:
            self._settle()

    def on_message_complete(self) -> None:
        """End with the answer that stands, go on after an interim one."""
        if self._parser is None:
            return
        if self.answer is not None:
            self._complete()
            return

        self._begun = False

    # how it goes on

    def _pass_over(self, status: int) -> None:
        self._interim += 1
        if self._interim > _MOST_INTERIM:
            self._refuse(f"more than {_MOST_INTERIM} interim answers (1xx)")
        elif status == 100:
            self._send_rest()

    def _send_rest(self) -> None:
        """Send the body that was held back, once."""
        if self._transport is not None and self._unsent:
            self._transport.write(self._unsent)
        self._unsent = b""

    def _note_head(self, data: bytes) -> None:
        """Remember how much of the head has come, and how much of its latest line."""
        self._head_size += len(data) + _COST_OF_A_LINE * data.count(b"\n")
        before_line = data.rfind(b"\n") + 1
        self._line_size = len(data) - before_line + (0 if before_line else self._line_size)

    def _read_by_line(self, parser: HttpResponseParser, data: bytes) -> None:
        """Read a head that is large, no further than its limits, and what may follow it."""
        start = 0
        while start < len(data) and self.answer is None:
            end = data.find(b"\n", start) + 1 or len(data)
            room = min(_LONGEST_LINE - self._line_size, _LARGEST_HEAD - self._head_size)
            piece = data[start : min(end, start + max(room, 0))]
            parser.feed_data(piece)
            if self._parser is None:
                return
            if len(piece) < end - start and self.answer is None:
                self._refuse("its head, or a line of it, is too long")
                return
            self._note_head(piece)
            start = end

        if start < len(data):
            self._read_body(parser, data[start:])

    def _read_body(self, parser: HttpResponseParser, data: bytes) -> None:
        assert self.answer is not None
        before = self.answer.body.received
        parser.feed_data(data)
        taken = self.answer.body.received - before
        padding = len(data) - taken * (1 + _PADDING_OF_A_BYTE)
        self._without_body = max(self._without_body + padding, 0)
        if self._without_body > _MOST_WITHOUT_BODY:
            self._refuse("endless trailers or chunk extensions")

    def _complete(self) -> None:
        assert self.answer is not None
        try:
            self.answer.body.finish()
        except Faulted as broken:
            self._settle(broken.fault)
        else:
            self._settle()

    def _refuse(self, why: str) -> None:
        if self._parser is not None:
            self._settle(explain_nonsense(self._wire.peer, why))

    def _break(self, bug: BaseException) -> None:
        if self._parser is not None:
            self.hang_up()
            if not self.over.done():
                self.over.set_exception(bug)

    def _settle(self, fault: Fault | None = None) -> None:
        self.fault = fault
        self._watch.leave()
        self.hang_up()
        if not self.over.done():
            self.over.set_result(None)


def _find_mistake(lines: Lines) -> str | None:
    """Say what is wrong with a head that the parser lets pass."""
    if len(lines) > _MOST_LINES:
        return f"more than {_MOST_LINES} header lines"
    for _, value in lines:
        if b"\0" in value:
            return "a header holds a zero byte"

    return None
