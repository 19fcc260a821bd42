"""The example of ports, sockets and certificates, against a mail server and others on loopback."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from tests.support.authority import Authority
from tests.support.mail import serve_smtp
from tests.support.program import run
from tests.support.servers import answers, hang_up, serve_pages, serve_script

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "ports.yml"
TOKEN = "live-canary-of-tests"


async def live(request: web.Request) -> web.StreamResponse:
    """Give prices to whoever subscribes."""
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        return web.Response(status=401)
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str('{"type": "welcome"}')
    async for _ in socket:
        await socket.send_str('{"type": "prices", "eur": 5}')

    return socket


async def test_ports_sockets_and_certificates_are_watched(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    soon = datetime.now(UTC) + timedelta(days=16)
    names = ("localhost", "shop.example")
    (tmp_path / "overlay.yml").write_text("witnesses: []\n")
    async with AsyncExitStack() as stack:
        mail = await stack.enter_async_context(serve_smtp(authority.context(*names)))
        good = await stack.enter_async_context(
            serve_pages({"/live": live}, tls=authority.context(*names))
        )
        old = await stack.enter_async_context(
            serve_pages({"/live": live}, tls=authority.context(*names, not_after=soon))
        )
        shell = await stack.enter_async_context(
            serve_script(answers(b"SSH-2.0-OpenSSH_9.2p1\r\n"), reads_head=False)
        )
        silent = await stack.enter_async_context(serve_script(hang_up, reads_head=False))
        socket = tmp_path / "app.sock"
        await stack.enter_async_context(
            await asyncio.start_unix_server(lambda _, writer: writer.close(), socket)
        )
        environ = {
            "SSL_CERT_FILE": str(authority.file),
            "MAIL": f"localhost:{mail}",
            "ORIGIN": f"localhost:{good.port}",
            "SHELL_HOST": f"localhost:{shell.port}",
            "APP_SOCKET": str(socket),
            "LIVE_URL": f"wss://localhost:{good.port}/live",
            "LIVE_TOKEN": TOKEN,
        }
        arguments = (
            *("--config", str(EXAMPLE), "--config", str(tmp_path / "overlay.yml")),
            *("--cycles", "1", "--output", "json"),
        )
        well = await run(*arguments, cwd=tmp_path, environ=environ)
        ill = await run(
            *arguments,
            cwd=tmp_path,
            environ={
                **environ,
                "ORIGIN": f"localhost:{old.port}",
                "SHELL_HOST": f"localhost:{silent.port}",
                "APP_SOCKET": str(tmp_path / "none.sock"),
                "LIVE_TOKEN": "another-canary",
            },
        )

    assert well.code == 0, well.out + well.err
    assert {check["verdict"] for check in well.json()["checks"]} == {"pass"}
    assert ill.code == 1
    told = {
        check["check"]: check["reasons"][0]["message"]
        for check in ill.json()["checks"]
        if check["verdict"] == "fail"
    }
    assert set(told) == {"origin.certificate", "shell.health", "app.health", "live.health"}
    assert "15d" in told["origin.certificate"]
    assert told["app.health"] == f"there is no socket at {tmp_path / 'none.sock'}"
    assert told["live.health"].startswith("status is 401, expected 101")
    assert "canary" not in well.out + well.err + ill.out + ill.err
