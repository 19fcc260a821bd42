"""One call of `grpc.health.v1.Health/Check`, as messages of HTTP/2.

The protocol: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md and
https://github.com/grpc/grpc/blob/master/doc/health-checking.md. Two messages with one field each
are written and read here; what they are framed in is the library's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from h2.events import Event

PATH: Final = "/grpc.health.v1.Health/Check"
SERVING: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
"""The states of a service, by their numbers."""

STATUSES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""The statuses of a call, by their numbers."""

_LARGEST: Final = 4096
_MOST_RECEIVED: Final = 256 * 1024
_HEAD: Final = 9
_LARGEST_FRAME: Final = 16 * 1024  # nobody may send a larger one to whom does not ask for it
_PREFIX: Final = struct.Struct(">BI")
_OF_STATUS: Final = 1
_LONGEST_TIMEOUT: Final = 99_999_999  # of the header grpc-timeout: eight digits


class NotHealth(ValueError):
    """What came is no answer to a health check; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the server answered: the status of the call, its message, and the state if it is OK."""

    status: int
    message: str = ""
    serving: int | None = None


@dataclass(slots=True, kw_only=True)
class HealthCall:
    """One call on one connection: bytes to send, bytes that came, until there is a reply.

    It touches no socket. `receive` raises NotHealth.
    """

    authority: str
    scheme: str
    service: str
    metadata: Sequence[tuple[str, str]]
    timeout: timedelta
    user_agent: str
    reply: Reply | None = None
    _connection: H2Connection = field(init=False)
    _stream: int = field(init=False, default=0)
    _http: str = field(init=False, default="")
    _headers: dict[str, str] = field(init=False, default_factory=dict)
    _message: bytearray = field(init=False, default_factory=bytearray)
    _frames: _Frames = field(init=False)

    def __post_init__(self) -> None:
        self._connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._frames = _Frames()

    def begin(self) -> bytes:
        """Give what is sent first: the greeting, and the whole request."""
        connection = self._connection
        connection.initiate_connection()
        self._stream = connection.get_next_available_stream_id()
        milliseconds = min(int(self.timeout.total_seconds() * 1000), _LONGEST_TIMEOUT)
        connection.send_headers(
            self._stream,
            [
                (":method", "POST"),
                (":scheme", self.scheme),
                (":path", PATH),
                (":authority", self.authority),
                ("te", "trailers"),
                ("content-type", "application/grpc"),
                ("grpc-timeout", f"{milliseconds}m"),
                ("user-agent", self.user_agent),
                *self.metadata,
            ],
        )
        connection.send_data(self._stream, write_request(self.service), end_stream=True)

        return connection.data_to_send()

    def receive(self, data: bytes) -> bytes:
        """Take bytes that came, and give those that are to be sent in turn."""
        self._frames.check(data)
        try:
            events = self._connection.receive_data(data)
        except ProtocolError as error:
            raise NotHealth("it does not speak HTTP/2") from error
        except UnicodeDecodeError as error:
            raise NotHealth("a header is no text") from error
        self._take(events)

        return self._connection.data_to_send()

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case ResponseReceived(headers=headers):
                    self._note(headers)
                    self._http = self._headers.get(":status", "")
                case TrailersReceived(headers=headers):
                    self._note(headers)
                case DataReceived(data=data, flow_controlled_length=length):
                    self._add(data, length)
                case StreamEnded():
                    self.reply = self._conclude()
                case StreamReset() if self.reply is None:
                    raise NotHealth("it reset the call")
                case ConnectionTerminated() if self.reply is None:
                    raise NotHealth("it ended the connection before it answered")
                case _:
                    pass

    def _note(self, headers: Iterable[Any] | None) -> None:
        """Remember header lines. Any: the library says bytes, and gives text as it was told to."""
        self._headers |= {str(name): str(value) for name, value in headers or ()}

    def _add(self, data: bytes, length: int | None) -> None:
        self._message += data
        if len(self._message) > _LARGEST:
            raise NotHealth(f"its answer is longer than {_LARGEST} bytes")
        if length:
            self._connection.acknowledge_received_data(length, self._stream)

    def _conclude(self) -> Reply:
        status = self._headers.get("grpc-status", "")
        if not status:
            content = self._headers.get("content-type", "no content type")
            raise NotHealth(f"it answers {self._http} with {content}, expected application/grpc")
        if not status.isascii() or not status.isdigit() or len(status) > 3:
            raise NotHealth("its grpc-status is no number")

        number = int(status)
        message = unquote(self._headers.get("grpc-message", ""), errors="replace")
        if number != 0:
            return Reply(status=number, message=message)

        return Reply(status=0, serving=read_response(bytes(self._message)))


@dataclass(slots=True)
class _Frames:
    """Where in the frames that come we are.

    The library keeps a frame until it is whole, however long it says that it is: eight megabytes
    of what is no frame at all.
    """

    _received: int = 0
    _head: bytearray = field(default_factory=bytearray)
    _inside: int = 0

    def check(self, data: bytes) -> None:
        """Look at the frames that begin here; raises NotHealth where one is too long."""
        self._received += len(data)
        if self._received > _MOST_RECEIVED:
            raise NotHealth(f"it sent more than {_MOST_RECEIVED // 1024} KiB before it answered")

        place = 0
        while place < len(data):
            skipped = min(self._inside, len(data) - place)
            self._inside -= skipped
            place += skipped
            part = data[place : place + _HEAD - len(self._head)]
            self._head += part
            place += len(part)
            if len(self._head) == _HEAD:
                self._inside = int.from_bytes(self._head[:3])
                self._head.clear()
            if self._inside > _LARGEST_FRAME:
                raise NotHealth("it does not speak HTTP/2")


def write_request(service: str) -> bytes:
    """Write a HealthCheckRequest in the frame of a gRPC message."""
    name = service.encode()
    message = b"\x0a" + _write_varint(len(name)) + name if name else b""

    return _PREFIX.pack(0, len(message)) + message


def read_response(data: bytes) -> int:
    """Read the state out of a HealthCheckResponse in its frame; raises NotHealth."""
    if len(data) < _PREFIX.size:
        raise NotHealth("it answers without a message")
    compressed, length = _PREFIX.unpack_from(data)
    message = data[_PREFIX.size :]
    if compressed:
        raise NotHealth("its message is compressed, which nobody asked for")
    if length != len(message):
        raise NotHealth(f"its message has {len(message)} bytes, and says that it has {length}")

    return _read_status(message)


def _read_status(message: bytes) -> int:
    """Read field 1, the last one where it is repeated; fields that are not known are skipped."""
    status, place = 0, 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        match tag & 7:
            case 0:
                value, place = _read_varint(message, place)
                if tag >> 3 == _OF_STATUS:
                    status = value
            case 1:
                place += 8
            case 2:
                length, place = _read_varint(message, place)
                place += length
            case 5:
                place += 4
            case _:
                raise NotHealth("its message is no HealthCheckResponse")
    if place != len(message):
        raise NotHealth("its message breaks off")

    return status


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise NotHealth("its message breaks off")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place

    raise NotHealth("its message is no HealthCheckResponse")


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append((value & 0x7F) | 0x80)
        value >>= 7
    written.append(value)

    return bytes(written)
