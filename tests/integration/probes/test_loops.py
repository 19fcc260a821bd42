"""Streams are seen the same on uvloop, on which the daemon runs, as on the loop of asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from monitor.core.model.observation import Code
from tests.support.authority import Authority
from tests.support.mail import serve_lines, serve_smtp
from tests.support.probing import ask
from tests.support.servers import page, reset, serve_handshakes, serve_pages, serve_script

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from monitor.core.model.observation import Observation

    Story = Callable[[Authority, Path], Coroutine[Any, Any, Observation]]


async def late(authority: Authority, _: Path) -> Observation:
    async with serve_smtp(authority.context()) as port:
        trust = {"ca_file": str(authority.file)}
        return await ask("tcp", {"address": f"localhost:{port}", "starttls": "smtp", "tls": trust})


async def late_and_untrusted(authority: Authority, _: Path) -> Observation:
    async with serve_smtp(authority.context()) as port:
        return await ask("tcp", {"address": f"localhost:{port}", "starttls": "smtp"})


async def injected(authority: Authority, _: Path) -> Observation:
    turns = (("", "+OK\r\n"), ("STLS", "+OK\r\n+OK too much\r\n<TLS>"))
    async with serve_lines(*turns, tls=authority.context()) as (server, _spoken):
        return await ask("tcp", {"address": f"localhost:{server.port}", "starttls": "pop3"})


async def at_once(authority: Authority, _: Path) -> Observation:
    with serve_handshakes(authority.context()) as server:
        return await ask(
            "tls", {"address": f"localhost:{server.port}", "ca_file": str(authority.file)}
        )


async def at_once_and_untrusted(authority: Authority, _: Path) -> Observation:
    with serve_handshakes(authority.context()) as server:
        return await ask("tls", f"localhost:{server.port}")


async def not_let_in(authority: Authority, folder: Path) -> Observation:
    (folder / "other").mkdir()
    certificate, key = Authority(folder / "other").write_client(folder)
    ours = {"cert_file": str(certificate), "key_file": str(key)}
    with serve_handshakes(authority.context(demands=True)) as server:
        return await ask("tls", {"address": f"localhost:{server.port}", "verify": False, **ours})


async def no_upgrade(authority: Authority, _: Path) -> Observation:
    async with serve_pages({"/": page(status=403)}, tls=authority.context()) as server:
        return await ask(
            "websocket",
            {"url": f"wss://localhost:{server.port}/", "tls": {"ca_file": str(authority.file)}},
        )


async def reset_at_once(_: Authority, __: Path) -> Observation:
    async with serve_script(reset, reads_head=False) as server:
        return await ask(
            "tcp", {"address": f"localhost:{server.port}", "dialogue": [{"expect": "x"}]}
        )


async def a_unix_socket(_: Authority, folder: Path) -> Observation:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\n")
        await writer.drain()
        writer.close()

    path = str(folder / "app.sock")
    async with await asyncio.start_unix_server(greet, path):
        return await ask("tcp", {"address": f"unix:{path}", "dialogue": [{"expect": "hello"}]})


@pytest.mark.parametrize(
    ("story", "code", "certificate"),
    [
        pytest.param(late, None, True, id="TLS that begins late"),
        pytest.param(late_and_untrusted, Code.TLS_CERT_UNTRUSTED, True, id="late and untrusted"),
        pytest.param(injected, Code.BAD_RESPONSE, False, id="plain text before TLS"),
        pytest.param(at_once, None, True, id="TLS at once"),
        pytest.param(at_once_and_untrusted, Code.TLS_CERT_UNTRUSTED, True, id="untrusted"),
        pytest.param(not_let_in, Code.TLS_HANDSHAKE, True, id="our certificate is refused"),
        pytest.param(no_upgrade, None, True, id="no upgrade"),
        pytest.param(reset_at_once, Code.CONNECTION_RESET, False, id="a reset"),
        pytest.param(a_unix_socket, None, False, id="a Unix socket"),
    ],
)
@pytest.mark.parametrize(
    "new_loop",
    [
        pytest.param(asyncio.new_event_loop, id="asyncio"),
        pytest.param(uvloop.new_event_loop, id="uvloop"),
    ],
)
def test_both_loops_show_the_same(
    story: Story,
    code: Code | None,
    certificate: bool,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    tmp_path: Path,
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        seen = runner.run(story(Authority(tmp_path), tmp_path))

    assert (seen.fault.code if seen.fault else None) is code
    assert (seen.certificate is not None) is certificate
    assert (seen.tls_version is not None) is (certificate and code is not Code.TLS_CERT_UNTRUSTED)
