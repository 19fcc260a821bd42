"""DNS servers on loopback: Debian's dnsmasq with records of choice, and one with a script."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dns.exception
import dns.message
import dns.rrset

from tests.support.servers import HOST, unused_port
from tests.support.waiting import until

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Reply = dns.message.Message | bytes | list[bytes] | None
    Script = Callable[[dns.message.Message, bool], Reply]


@asynccontextmanager
async def serve_dnsmasq(folder: Path, *lines: str) -> AsyncIterator[str]:
    """Run dnsmasq with these lines of configuration; give where it is asked, as `host:port`."""
    port = unused_port()
    config = folder / f"dnsmasq-{port}.conf"
    ours = ["no-resolv", "no-hosts", "bind-interfaces", f"listen-address={HOST}", f"port={port}"]
    config.write_text("\n".join([*ours, "user=root", "pid-file=", *lines]) + "\n")
    process = await asyncio.create_subprocess_exec(
        "dnsmasq",
        "--keep-in-foreground",
        f"--conf-file={config}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await until(lambda: accepts(port))
        yield f"{HOST}:{port}"
    finally:
        process.terminate()
        await process.wait()


def accepts(port: int) -> bool:
    """Say whether somebody listens there."""
    with socket.socket() as sock:
        return sock.connect_ex((HOST, port)) == 0


@dataclass
class ScriptedNameserver:
    """Where it is asked, and the questions that came: name, type, and whether over TCP."""

    port: int = 0
    asked: list[tuple[str, str, bool]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Host and port, as they are written."""
        return f"{HOST}:{self.port}"


@asynccontextmanager
async def serve_dns(
    script: Script, *, tcp: bool = True, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedNameserver]:
    """Answer each question as the script says; None is silence, bytes are sent as they are.

    A list are several packets, and over a stream what is sent without its length. The script is
    told whether the question came over TCP, which may be over TLS.
    """
    port = unused_port()
    server = ScriptedNameserver(port=port)

    def reply(data: bytes, over_tcp: bool) -> bytes | list[bytes] | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        server.asked.append((question.name.to_text(), question.rdtype.name, over_tcp))
        said = script(query, over_tcp)

        return said.to_wire(max_size=65_535) if isinstance(said, dns.message.Message) else said

    class Listener(asyncio.DatagramProtocol):
        transport: asyncio.DatagramTransport

        def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # one that can be written to
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            wire = reply(data, False)
            for packet in wire if isinstance(wire, list) else [wire]:
                if packet is not None:
                    self.transport.sendto(packet, addr)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            length = int.from_bytes(await reader.readexactly(2), "big")
            wire = reply(await reader.readexactly(length), True)
            match wire:
                case bytes():
                    writer.write(len(wire).to_bytes(2, "big") + wire)
                case list():
                    writer.write(b"".join(wire))
            await writer.drain()
        writer.close()

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Listener, local_addr=(HOST, port)
    )
    stream = await asyncio.start_server(serve, HOST, port, ssl=tls) if tcp else None
    try:
        yield server
    finally:
        transport.abort()
        if stream is not None:
            stream.close()
            await stream.wait_closed()
        await asyncio.sleep(0)


def answering(query: dns.message.Message, *records: str) -> dns.message.Message:
    """Answer a question with records such as `shop.test. A 127.0.0.1`, of the asked type only.

    An alias is of every type.
    """
    response = dns.message.make_response(query)
    asked = query.question[0].rdtype.name
    for record in records:
        name, kind, value = record.split()
        if kind in (asked, "CNAME"):
            response.answer.append(dns.rrset.from_text(name, 60, "IN", kind, value))

    return response
