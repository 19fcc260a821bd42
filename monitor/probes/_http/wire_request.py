"""A request written down: the bytes that are sent, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from sys import intern
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code, Fault
from monitor.options import format_address
from monitor.probes._http.fields import BREAKS_A_LINE
from monitor.probes._http.urls import mask_query
from monitor.probes._net.faults import Faulted

if TYPE_CHECKING:
    from monitor.probes._http.proxy import Proxy
    from monitor.probes._http.request import Request

_USUALLY_WITHOUT_BODY: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """All that is needed of a request to send it; small, since most probes keep theirs.

    `host` is what is looked up, `named` the same as people write it, `shown` the URL without its
    secrets. With `held_back`, the body waits until the server wants it. With `proxy`, it goes to
    that one, which knows what is beyond: over TLS once it has heard the `tunnel_head`.
    """

    method: str
    secure: bool
    host: str
    port: int
    named: str
    shown: str
    head: bytes
    body: bytes
    held_back: bool
    proxy: Proxy | None = None
    tunnel_head: bytes = b""

    @property
    def peer(self) -> str:
        """Host and port, and the proxy on the way, for messages."""
        target = format_address(self.named, self.port)

        return target if self.proxy is None else f"{target} (through {self.proxy})"

    def asks_for_head_alone(self, status: int) -> bool:
        """Whether an answer of this status has no body, whatever its head declares."""
        return self.method == "HEAD" or (self.method == "CONNECT" and 200 <= status < 300)


def write_request(request: Request, proxy: Proxy | None = None) -> WireRequest:
    """Write a request down, for a connection of its own.

    Raises Faulted where a header value, which may come from a file, does not fit on a line.
    """
    url = request.url
    expects = (value for name, value in request.headers.items() if name.lower() == "expect")
    secure = url.scheme == "https"

    return WireRequest(
        method=request.method,
        secure=secure,
        host=intern(url.raw_host or ""),
        port=url.port or 0,
        named=intern(url.host or ""),
        shown=str(mask_query(url)),
        head=_write_head(request, None if secure else proxy),
        body=request.body or b"",
        held_back=bool(request.body) and next(expects, "").lower() == "100-continue",
        proxy=proxy,
        tunnel_head=_write_tunnel_head(request, proxy) if proxy and secure else b"",
    )


def _write_head(request: Request, proxy: Proxy | None) -> bytes:
    """Write the head as the target is sent it, or a proxy that is to pass it on."""
    url = request.url
    target = url.raw_path_qs
    if proxy is not None:
        target = f"{url.origin()}{target}"
    if request.method == "CONNECT":
        target = f"{url.host_subcomponent}:{url.port}"
    lines = [f"{request.method} {target} HTTP/1.1"]
    if proxy is not None and proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    for name, value in _header_lines(request):
        if BREAKS_A_LINE.search(value):
            message = f"the value of the request header {name} holds a line break"
            raise Faulted(Fault(code=Code.INTERNAL, message=message, own=True))
        lines.append(f"{name}: {value}")

    return "\r\n".join([*lines, "\r\n"]).encode()


def _write_tunnel_head(request: Request, proxy: Proxy) -> bytes:
    """Write the request for a connection to the target, through which TLS is spoken with it."""
    place = f"{request.url.host_subcomponent}:{request.url.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    lines += [
        f"{name}: {value}"
        for name, value in request.headers.items()
        if name.lower() == "user-agent" and not BREAKS_A_LINE.search(value)
    ]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")

    return "\r\n".join([*lines, "\r\n"]).encode()


def _header_lines(request: Request) -> list[tuple[str, str]]:
    """Give the lines in the order in which they are sent: Host is the first, as is usual."""
    hosts = [value for name, value in request.headers.items() if name.lower() == "host"]
    lines = [("Host", value) for value in hosts or [request.url.host_port_subcomponent or ""]]
    lines += [line for line in request.headers.items() if line[0].lower() != "host"]
    if request.body is not None:
        lines.append(("Content-Length", str(len(request.body))))
    elif request.method not in _USUALLY_WITHOUT_BODY:
        lines.append(("Content-Length", "0"))

    return [*lines, ("Connection", "close")]
