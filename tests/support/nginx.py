"""Debian's nginx on loopback, with the directives that a test wants for its one server."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.support.servers import HOST, unused_port
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def serve_nginx(
    folder: Path, server: str, *, http: str = "", listen: str = ""
) -> AsyncIterator[int]:
    """Run nginx with these directives; `listen` are parameters such as `ssl http2`. Give the port.

    `/` is an empty page of status 200 unless the directives say otherwise.
    """
    port = unused_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"""
        user root; worker_processes 1; daemon off;
        pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            {http}
            server {{ listen {HOST}:{port} {listen}; {server} }}
        }}
        """
    )
    process = await asyncio.create_subprocess_exec(
        "nginx", "-c", str(config), "-e", str(folder / "error.log")
    )
    try:
        await until(lambda: _accepts(port))
        yield port
    finally:
        process.terminate()
        await process.wait()


def _accepts(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((HOST, port)) == 0
