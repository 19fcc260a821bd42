"""The request that opens a WebSocket, and the head of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import httptools
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.uri import parse_uri

from monitor.core.expectations.shown import plain
from monitor.core.model.observation import Code, Fault
from monitor.probes._http.fields import BREAKS_A_LINE
from monitor.probes._http.request import first_request
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from websockets.typing import Subprotocol

    from monitor.core.model.observation import HeaderLines
    from monitor.probes._websocket.options import WebsocketOptions

LARGEST_MESSAGE: Final = 256 * 1024
_MOST_LINES: Final = 200
_LEFT_OUT: Final = frozenset({"accept", "accept-encoding"})
"""What a plain request says, and has no meaning here: no body is read."""


@dataclass(slots=True)
class Head:
    """The head of an answer."""

    status: int = 0
    version: str = ""
    headers: HeaderLines = ()


def open_protocol(options: WebsocketOptions, user_agent: str) -> tuple[ClientProtocol, bytes]:
    """Give a WebSocket that was not opened yet, and the request that opens it.

    Nothing is compressed, so that a small message cannot become a large one. Raises Faulted where
    the value of a header does not fit on a line.
    """
    request = first_request(options.handshake, user_agent)
    url = str(request.url.with_fragment(None))
    protocols: list[Subprotocol] = [*options.subprotocols]  # type: ignore[list-item]  # a NewType
    protocol = ClientProtocol(
        parse_uri(f"ws{url.removeprefix('http')}"),
        subprotocols=protocols or None,
        max_size=LARGEST_MESSAGE,
    )
    asked = protocol.connect()
    headers = Headers(asked.headers)
    for name, value in request.headers.items():
        if name.lower() in _LEFT_OUT and name not in options.headers:
            continue
        if BREAKS_A_LINE.search(value):
            message = f"the value of the request header {name} holds a line break"
            raise Faulted(Fault(code=Code.INTERNAL, message=message, own=True))
        if name in headers:
            del headers[name]
        headers[name] = value
    protocol.send_request(Request(asked.path, headers))

    return protocol, b"".join(protocol.data_to_send())


@dataclass(slots=True)
class _Reading:
    """What the parser calls."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a line."""
        self.lines.append((name.decode("latin-1"), value.decode("latin-1")))
        if len(self.lines) > _MOST_LINES:
            raise ValueError(f"more than {_MOST_LINES} header lines")


def read_head(raw: bytes, peer: str) -> Head:
    """Read the head of an answer; raises Faulted where it is none of HTTP."""
    reading = _Reading()
    parser = httptools.HttpResponseParser(reading)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass
    except (httptools.HttpParserError, ValueError) as error:
        why = error.__context__ or error
        message = f"{peer} does not answer in HTTP: {plain(str(why))}"
        raise Faulted(Fault(code=Code.BAD_RESPONSE, message=message)) from error

    return Head(
        status=parser.get_status_code(),
        version=parser.get_http_version(),
        headers=tuple(reading.lines),
    )
