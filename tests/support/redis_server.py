"""A Redis server of Debian's, on a port of loopback, with nothing on disk."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.servers import unused_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class RedisServer:
    """A server that runs; `run` gives it a command over a socket, as text."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def run(self, *words: str) -> bytes:
        line = f"*{len(words)}\r\n" + "".join(f"${len(w)}\r\n{w}\r\n" for w in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(line.encode())
            return connection.recv(4096)


@contextmanager
def serve_redis(folder: Path, *arguments: str, tls_port: int = 0) -> Iterator[RedisServer]:
    """Start a server with these arguments, and wait until it listens."""
    port = tls_port or unused_port()
    plain = [] if tls_port else ["--port", str(port)]
    process = subprocess.Popen(
        ["redis-server", "--bind", "127.0.0.1", "--save", "", "--dir", folder, *plain, *arguments],
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield RedisServer(port)
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        assert process.poll() is None, "it ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return

    raise AssertionError("it does not listen")
