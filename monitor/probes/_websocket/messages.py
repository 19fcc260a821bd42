"""Messages over an open WebSocket: put together of frames, bounded, pings answered."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from websockets.exceptions import ProtocolError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State

from monitor.core.expectations.shown import plain, quote, shorten
from monitor.core.model.observation import Code, Fault
from monitor.probes._net.faults import Faulted
from monitor.probes._websocket.handshake import LARGEST_MESSAGE

if TYPE_CHECKING:
    from websockets.client import ClientProtocol

    from monitor.probes._net.dial import Connection

_AT_ONCE: Final = 4096
_MOST_RECEIVED: Final = 1024 * 1024
_MOST_FRAMES: Final = 2000
_LONGEST_REASON: Final = 150


class Ended(Exception):
    """The server has closed the WebSocket; says how."""


class Messages:
    """What comes over one WebSocket, message by message; whoever waits here is inside `talking`."""

    __slots__ = (
        "_complete",
        "_connection",
        "_frames",
        "_is_text",
        "_peer",
        "_pieces",
        "_protocol",
        "_received",
    )

    def __init__(self, peer: str, protocol: ClientProtocol, connection: Connection) -> None:
        self._peer = peer
        self._protocol = protocol
        self._connection = connection
        self._received = self._frames = 0
        self._pieces = bytearray()
        self._is_text = False
        self._complete: deque[bytes] = deque()

    async def next(self) -> bytes:
        """Wait for the next message; raises Ended where there will be none, and Faulted."""
        while not self._complete:
            self._raise_if_over()
            data = await self._connection.reader.read(_AT_ONCE)
            if not data:
                raise EOFError
            self._received += len(data)
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Frame):
                    self._take(event)
            self._flush()
            if self._received > _MOST_RECEIVED or self._frames > _MOST_FRAMES:
                raise Faulted(
                    _bad(
                        f"{self._peer} sent more than {_MOST_RECEIVED // 1024} KiB or "
                        f"{_MOST_FRAMES} frames without what was expected among them"
                    )
                )

        return self._complete.popleft()

    def send(self, text: bytes) -> None:
        """Send a text message; raises Ended where the server has closed the WebSocket."""
        self._raise_if_over()
        self._protocol.send_text(text)
        self._flush()

    def take_leave(self) -> None:
        """Close the WebSocket, without waiting for the answer."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()

    def _take(self, frame: Frame) -> None:
        self._frames += 1
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._pieces += frame.data
        if not frame.fin:
            return

        message = bytes(self._pieces)
        self._pieces.clear()
        if self._is_text:
            try:
                message.decode()
            except UnicodeDecodeError as error:
                raise Faulted(_bad(f"{self._peer} sent a text that is no UTF-8")) from error
        self._complete.append(message)

    def _raise_if_over(self) -> None:
        broken = self._protocol.parser_exc
        if broken is not None and not isinstance(broken, EOFError):
            raise Faulted(_bad(f"{self._peer} {_explain(broken)}")) from broken
        closed = self._protocol.close_rcvd
        if closed is not None:
            reason = f" ({quote(closed.reason)})" if closed.reason else ""
            raise Ended(f"closed the WebSocket with {closed.code}{reason}")

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:  # an empty one asks for the end of the connection, which is ended anyway
                self._connection.writer.write(data)


def _explain(broken: Exception) -> str:
    if isinstance(broken, ProtocolError):
        said = shorten(plain(str(broken)), limit=_LONGEST_REASON)
        return f"broke the WebSocket protocol: {said}"
    if isinstance(broken, UnicodeDecodeError):
        return "closed the WebSocket with a reason that is no UTF-8"

    return f"sent a message of more than {LARGEST_MESSAGE // 1024} KiB"


def _bad(message: str) -> Fault:
    return Fault(code=Code.BAD_RESPONSE, message=message)
