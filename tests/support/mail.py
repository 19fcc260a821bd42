"""Servers on loopback in whose protocols TLS begins late: a real one for SMTP, scripts besides."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.servers import serve_script

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from tests.support.servers import Counterpart, Script


@asynccontextmanager
async def serve_smtp(tls: ssl.SSLContext | None) -> AsyncIterator[int]:
    """Run aiosmtpd, which offers STARTTLS where it has a context; gives its port."""
    from aiosmtpd.handlers import Sink
    from aiosmtpd.smtp import SMTP

    loop = asyncio.get_running_loop()
    made: list[SMTP] = []

    def make() -> SMTP:
        one = SMTP(Sink(), hostname="mail.test", loop=loop, tls_context=tls)
        made.append(one)
        return one

    server = await loop.create_server(make, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in made:
            if isinstance(one.transport, asyncio.WriteTransport):
                one.transport.abort()
        await server.wait_closed()
        tasks = [task for one in made if (task := one._handler_coroutine) is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Spoken:
    """What a scripted server heard, line by line."""

    lines: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def serve_lines(
    *turns: tuple[str, str], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Counterpart, Spoken]]:
    """Say each text once a line that begins with the word before it was heard.

    Without a word it is said at once; where it ends with `<TLS>`, TLS follows.
    """
    spoken = Spoken()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for wanted, text in turns:
            if wanted:
                line = await reader.readuntil(b"\n")
                spoken.lines.append(line.rstrip())
                if not line.startswith(wanted.encode()):
                    writer.write(b"500 what?\r\n")
                    return
            writer.write(text.removesuffix("<TLS>").encode())
            await writer.drain()
            if text.endswith("<TLS>"):
                assert tls is not None
                await writer.start_tls(tls)
        while line := await reader.readline():
            spoken.lines.append(line.rstrip())

    async with serve_script(script, reads_head=False) as server:
        yield server, spoken


def drips(text: bytes, *, seconds: float) -> Script:
    """Say one byte after the other."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(len(text)):
            writer.write(text[number : number + 1])
            await writer.drain()
            await asyncio.sleep(seconds)

    return script


def floods(chunk: bytes) -> Script:
    """Say the same for ever."""

    async def script(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(chunk)
            await writer.drain()

    return script
