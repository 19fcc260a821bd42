"""The kind `tcp` on Unix sockets: there, missing, forbidden, full."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.observation import Code, Phase
from tests.support.probing import ask, fault_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        sock.listen(1)
        yield path


async def test_a_unix_socket_on_which_somebody_listens_is_up(listening: str) -> None:
    seen = await ask("tcp", f"unix:{listening}")

    assert seen.fault is None
    assert seen.url == f"unix:{listening}"
    assert set(seen.phases) == {Phase.CONNECT}
    assert (seen.address, seen.ip_family) == (None, None)


async def test_a_unix_socket_is_spoken_to(tmp_path: Path) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    path = str(tmp_path / "app.sock")
    server = await asyncio.start_unix_server(greet, path)
    async with server:
        seen = await ask("tcp", {"address": f"unix:{path}", "dialogue": [{"expect": "^hello$"}]})

    assert seen.fault is None
    assert seen.body == b"hello\n"


async def test_a_unix_socket_that_is_not_there_or_of_nobody_is_down(tmp_path: Path) -> None:
    missing = tmp_path / "none.sock"
    left = tmp_path / "left.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(left))

    absent, dead = await ask("tcp", f"unix:{missing}"), await ask("tcp", f"unix:{left}")

    assert fault_of(absent).message == f"there is no socket at {missing}"
    assert fault_of(dead).message == f"{left} refused the connection: nobody listens there"
    assert not fault_of(absent).own


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_unix_socket_that_may_not_be_opened_fails_with_that_reason() -> None:
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as sock:
        Path(folder).chmod(0o755)
        path = Path(folder, "app.sock")
        sock.bind(str(path))
        sock.listen()
        path.chmod(0o600)
        os.seteuid(65534)
        try:
            seen = await ask("tcp", f"unix:{path}")
        finally:
            os.seteuid(0)

    assert fault_of(seen).message == f"{path} may not be opened: permission denied"
    assert not fault_of(seen).own


async def test_a_unix_socket_whose_queue_is_full_is_waited_for(listening: str) -> None:
    held = []
    try:
        for _ in range(8):
            sock = socket.socket(socket.AF_UNIX)
            sock.setblocking(False)
            held.append(sock)
            sock.connect(listening)
    except BlockingIOError:
        pass
    seen = await ask("tcp", f"unix:{listening}", timeout=0.3)
    for sock in held:
        sock.close()

    assert fault_of(seen).code is Code.TIMEOUT
    assert "did not accept the connection" in fault_of(seen).message
