"""Pings from a network of a test's own, and a host in another that replies as a script says."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import uvloop

from monitor.probes._icmp.packets import add_up, strip_header
from tests.support.probing import ask

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from monitor.core.model.observation import Observation
    from tests.support.network import Network

    Script = Callable[["Echo", int], list[tuple[float, bytes]]]

EVERYBODY: Final = "0 2147483647"
NOBODY: Final = "1 0"
_CAP_NET_RAW: Final = 13
_VERSION: Final = 0x20080522


@dataclass(frozen=True, kw_only=True)
class Echo:
    """A request as it came."""

    ident: int
    sequence: int
    payload: bytes

    def reply(
        self,
        *,
        ident: int | None = None,
        sequence: int | None = None,
        payload: bytes | None = None,
        kind: int = 0,
    ) -> bytes:
        """Write the reply, with what is to be wrong with it."""
        return _write(
            kind,
            0,
            self.ident if ident is None else ident,
            self.sequence if sequence is None else sequence,
            self.payload if payload is None else payload,
        )


def unreachable(quoted: bytes, *, from_host: str, to_host: str) -> bytes:
    """Write that a host is unreachable, of a packet of ours with these bytes in it."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(quoted), 0, 0, 64, 1, 0)
    packet = head + socket.inet_aton(from_host) + socket.inet_aton(to_host) + quoted

    return _write(3, 1, 0, 0, packet)


def _write(kind: int, code: int, first: int, second: int, rest: bytes) -> bytes:
    head = struct.pack("!BBHHH", kind, code, 0, first, second)
    checksum = add_up(head + rest)

    return struct.pack("!BBHHH", kind, code, checksum, first, second) + rest


@dataclass
class Replier:
    """The requests that came to a host that replies as a script says."""

    heard: list[Echo] = field(default_factory=list)


@asynccontextmanager
async def reply_in(
    network: Network, script: Script, *, from_host: str = ""
) -> AsyncIterator[Replier]:
    """Let the hosts of a network reply as a script says: packets, each after so many seconds.

    The script is told which request it is, from 0. With `from_host`, that one replies for others.
    """
    await network.set("ipv4/icmp_echo_ignore_all", "1")
    loop = asyncio.get_running_loop()
    sock = network.make_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sock.setblocking(False)
    mouth = network.make_socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    mouth.bind((from_host, 0))
    replier = Replier()

    def hear() -> None:
        data, source = sock.recvfrom(65_535)
        packet = strip_header(data)
        kind, _, _, ident, sequence = struct.unpack_from("!BBHHH", packet)
        if kind != 8:
            return
        echo = Echo(ident=ident, sequence=sequence, payload=packet[8:])
        number = len(replier.heard)
        replier.heard.append(echo)
        for delay, answer in script(echo, number):
            loop.call_later(delay, mouth.sendto, answer, source)

    loop.add_reader(sock, hear)
    try:
        yield replier
    finally:
        loop.remove_reader(sock)
        sock.close()
        mouth.close()


async def ping(
    network: Network, data: object, *, timeout: float = 2, raw: bool = True
) -> Observation:
    """Ping from a network, with or without the right to a raw socket."""
    (seen,) = await ping_all(network, [data], timeout=timeout, raw=raw)

    return seen


async def ping_all(
    network: Network, many: list[object], *, timeout: float = 2, raw: bool = True
) -> list[Observation]:
    """Ping all at once from a network, on the loop that the program has."""

    async def ask_all() -> list[Observation]:
        return await asyncio.gather(*(ask("icmp", data, timeout=timeout) for data in many))

    def work() -> list[Observation]:
        if not raw:
            _give_up_raw_sockets()
        return uvloop.run(ask_all())

    return await asyncio.to_thread(network.call, work)


def _give_up_raw_sockets() -> None:
    """Take the right to raw sockets from the thread that calls, which does nothing else."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION, 0))
    sets = ctypes.create_string_buffer(24)
    assert libc.capget(head, sets) == 0
    effective, *others = struct.unpack("=6I", sets.raw)
    given_up = struct.pack("=6I", effective & ~(1 << _CAP_NET_RAW), *others)
    assert libc.capset(head, ctypes.create_string_buffer(given_up)) == 0
