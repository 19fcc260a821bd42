"""A proxy on loopback that passes on, asks for credentials, or refuses; all names are loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.support.servers import HOST, accept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class RunningProxy:
    """A proxy that runs: the heads that reached it, and what it answers instead of passing on."""

    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    wants: str = ""
    refuses: bytes = b""

    def url(self, person: str = "") -> str:
        return f"http://{person}{HOST}:{self.port}"

    @property
    def name(self) -> str:
        """The proxy as messages name it."""
        return f"the proxy {HOST}:{self.port}"


@asynccontextmanager
async def serve_proxy(*, wants: str = "", refuses: bytes = b"") -> AsyncIterator[RunningProxy]:
    """Run a proxy; with `wants`, what `Proxy-Authorization` has to say."""
    proxy = RunningProxy(wants=wants, refuses=refuses)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve(proxy, reader, writer)

    async with accept(handle) as port:
        proxy.port = port
        yield proxy


async def _serve(
    proxy: RunningProxy,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    proxy.heads.append(head)
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
    if proxy.wants and f"Proxy-Authorization: {proxy.wants}".encode() not in head:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        return
    if proxy.refuses:
        writer.write(proxy.refuses)
        return

    port = int(target.rpartition(":")[2]) if method == "CONNECT" else urlsplit(target).port
    theirs, onward = await asyncio.open_connection(HOST, port)
    try:
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        else:
            onward.write(_as_origin_form(head, target))
        await asyncio.gather(_pass_on(reader, onward), _pass_on(theirs, writer))
    finally:
        onward.close()


def _as_origin_form(head: bytes, target: str) -> bytes:
    parts = urlsplit(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = head.replace(target.encode(), path.encode(), 1).split(b"\r\n")

    return b"\r\n".join(line for line in lines if not line.startswith(b"Proxy-"))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
