"""Targets that send without end cost the monitor no memory that stays, on either loop."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvloop

from monitor.core.model.observation import Code
from tests.support.probing import ask, fault_of
from tests.support.servers import serve_script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PROBES = 50
_WARM = 5
_MAY_GROW = 16  # MiB: a probe that kept what it read would take eight by itself
_RARELY = (5_000, 10, 1_000)  # as the daemon looks for garbage
_LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@contextmanager
def serve_flood() -> Iterator[str]:
    """Send 32 MiB of what nobody speaks to whoever connects, one after another."""
    listener = socket.create_server(("127.0.0.1", 0))

    def flood() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    for _ in range(512):
                        connection.sendall(b"x" * 65_536)
                except OSError:
                    pass

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def resident() -> float:
    """Give the memory of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) / 256


@contextmanager
def looking_rarely_for_garbage() -> Iterator[None]:
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(*_RARELY)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize("loop", _LOOPS)
@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("grpc", {"address": "PEER"}),
        ("redis", {"address": "PEER"}),
        ("tcp", {"address": "PEER", "dialogue": [{"expect": "^nothing"}]}),
        ("websocket", {"url": "ws://PEER/"}),
    ],
)
def test_a_flood_leaves_nothing_in_memory(kind: str, written: dict[str, object], loop: str) -> None:
    async def ask_often(peer: str) -> float:
        data = {
            key: value.replace("PEER", peer) if isinstance(value, str) else value
            for key, value in written.items()
        }
        most = 0.0
        for number in range(_PROBES):
            seen = await ask(kind, data)
            assert fault_of(seen).code is Code.BAD_RESPONSE
            if number == _WARM:
                base = resident()
            if number > _WARM:
                most = max(most, resident() - base)

        return most

    with (
        serve_flood() as peer,
        looking_rarely_for_garbage(),
        asyncio.Runner(loop_factory=_LOOPS[loop]) as runner,
    ):
        grown = runner.run(ask_often(peer))

    assert grown < _MAY_GROW


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"\x00\x00\x08\x06\x00\x00\x00\x00\x00pingping" * 20_000, "it sent more than 256 KiB"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak HTTP/2"),
        (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x40", "it does not speak HTTP/2"),
    ],
    ids=["pings", "HTTP/1.1", "a frame in pieces"],
)
async def test_frames_without_end_or_measure_are_not_waited_for(said: bytes, why: str) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await writer.drain()
        if len(said) == 11:
            await reader.read(24)
            writer.write(b"\x01" + bytes(6))
        await reader.read()

    async with serve_script(babble, reads_head=False) as server:
        seen = await ask("grpc", f"127.0.0.1:{server.port}")

    assert why in fault_of(seen).message
