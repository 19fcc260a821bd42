"""Networks of a test's own: two namespaces and a cable between them, gone with the test."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

import aiohttp
import pytest

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Callable

PROGRAMS: Final = ("unshare", "nsenter", "ip")
"""What is run here, for the marker `needs`."""

INSIDE: Final = "10.66.0.1"
_CLONE_NEWNET: Final = 0x40000000
T = TypeVar("T")
_HOSTS: Final = "127.0.0.1 localhost\n"


@dataclass(frozen=True)
class Network:
    """A network namespace, held by a process that does nothing else."""

    holder: Process

    def enter(self, folder: Path) -> tuple[str, ...]:
        """Give what is put before a command that shall run in here, in a folder."""
        namespaces = ("--target", str(self.holder.pid), "--net", "--mount")

        return ("nsenter", *namespaces, f"--wdns={folder}")

    async def run(self, *command: str) -> None:
        """Run a command in here to its end."""
        process = await asyncio.create_subprocess_exec(*self.enter(Path("/")), *command)
        assert await process.wait() == 0, command

    async def set(self, name: str, value: str) -> None:
        """Set what the kernel keeps of this network, such as `ipv4/ip_forward`."""
        await self.run("sh", "-c", f"echo '{value}' > /proc/sys/net/{name}")

    def call(self, work: Callable[[], T]) -> T:
        """Do something on a thread that is in here, and nowhere else."""
        return _in_namespace(self.holder.pid, work)

    def make_socket(
        self,
        family: int = socket.AF_INET,
        kind: int = socket.SOCK_STREAM,
        protocol: int = 0,
    ) -> socket.socket:
        """Make a socket that belongs in here, for this process to use."""
        return self.call(lambda: socket.socket(family, kind, protocol))

    def listen(self, host: str, port: int = 0) -> socket.socket:
        """Make a socket in here on which connections can be accepted."""
        listening = self.make_socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)

        return listening

    def connector(self) -> aiohttp.TCPConnector:
        """Give what lets an HTTP client of this process speak to servers in here."""
        return aiohttp.TCPConnector(
            socket_factory=lambda found: self.make_socket(int(found[0]), int(found[1]))
        )


@asynccontextmanager
async def open_networks(*outside: str, resolver: str) -> AsyncIterator[tuple[Network, Network]]:
    """Give the monitor's network and the one outside, with these addresses, joined by a cable.

    The end of the cable in the monitor's network is `up0`, the other `down0`. `resolver` is the
    address of the name server, as the monitor's side sees it.
    """
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    async with _open_network() as here, _open_network() as there:
        hosts = f"printf '{_HOSTS}' > /run/hosts && mount --bind /run/hosts /etc/hosts"
        conf = f"nameserver {resolver}\\noptions timeout:1 attempts:1\\n"
        conf = (
            f"printf '{conf}' > /run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf"
        )
        await here.run("sh", "-c", f"mount -t tmpfs none /run && {hosts} && {conf}")
        cable = ("link", "add", "up0", "type", "veth", "peer", "name", "down0")
        await here.run("ip", *cable, "netns", str(there.holder.pid))
        await here.run("ip", "address", "add", f"{INSIDE}/24", "dev", "up0")
        for address in outside:
            await there.run("ip", "address", "add", f"{address}/24", "dev", "down0")
        await here.run("ip", "link", "set", "up0", "up")
        await there.run("ip", "link", "set", "down0", "up")
        yield here, there


@asynccontextmanager
async def _open_network() -> AsyncIterator[Network]:
    holder = await asyncio.create_subprocess_exec(
        "unshare",
        "--net",
        "--mount",
        "sh",
        "-c",
        "ip link set lo up && echo ready && exec sleep 600",
        stdout=asyncio.subprocess.PIPE,
    )
    assert holder.stdout is not None
    try:
        assert await holder.stdout.readline() == b"ready\n"
        yield Network(holder)
    finally:
        if holder.returncode is None:
            holder.kill()
        await holder.communicate()


def _in_namespace(pid: int, work: Callable[[], T]) -> T:
    """Do something on a thread that is in the namespace of a process, and nowhere else."""
    done: Future[T] = Future()
    libc = ctypes.CDLL(None, use_errno=True)

    def enter_and_work() -> None:
        descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        entered = libc.setns(descriptor, _CLONE_NEWNET) == 0
        os.close(descriptor)
        try:
            assert entered
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 -- raised again where it was called for
            done.set_exception(error)

    thread = threading.Thread(target=enter_and_work, name="namespace")
    thread.start()
    thread.join()

    return done.result()


@dataclass
class Nameserver(asyncio.DatagramProtocol):
    """Answers for names by what is known of them; any other does not exist.

    `broken` are names about which it fails (SERVFAIL); while `hangs` it says nothing at all.
    """

    names: dict[str, str]
    broken: set[str] = field(default_factory=set)
    hangs: bool = False
    asked: int = 0
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        if not self.hangs and self._transport is not None:
            self._transport.sendto(self._answer(data), addr)

    def _answer(self, question: bytes) -> bytes:
        name, end = _read_name(question)
        kind = int.from_bytes(question[end : end + 2], "big")
        rows = b""
        if name in self.names and kind == 1:
            head = b"\xc0\x0c" + bytes((0, 1, 0, 1, 0, 0, 0, 0, 0, 4))
            rows = head + socket.inet_aton(self.names[name])
        code = 2 if name in self.broken else 0 if name in self.names else 3
        counts = bytes((0, 1, 0, 1 if rows else 0, 0, 0, 0, 0))

        return question[:2] + bytes((0x81, 0x80 | code)) + counts + question[12 : end + 4] + rows


@asynccontextmanager
async def serve_names(
    network: Network, host: str, names: dict[str, str]
) -> AsyncIterator[Nameserver]:
    """Run a name server in a network."""
    bound = network.make_socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind((host, 53))
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: Nameserver(names), sock=bound)
    try:
        yield server
    finally:
        transport.close()
        await asyncio.sleep(0)


def _read_name(question: bytes) -> tuple[str, int]:
    """Read the name that a question begins with, and where it ends."""
    at, labels = 12, []
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length

    return ".".join(labels), at + 1
