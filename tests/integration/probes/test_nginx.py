"""Streams against Debian's nginx: handshakes, and WebSockets that it passes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome
from tests.support.authority import Authority
from tests.support.nginx import serve_nginx
from tests.support.probing import ask, fault_of, judge_health
from tests.support.servers import HOST, serve_pages

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.needs("nginx")


def identity(authority: Authority, folder: Path) -> str:
    certificate, key = authority.write_server(folder)

    return f"ssl_certificate {certificate}; ssl_certificate_key {key};"


@pytest.mark.parametrize(
    ("options", "agrees"),
    [
        pytest.param({"alpn": ["h2"]}, True, id="HTTP/2 is chosen"),
        pytest.param({"alpn": ["imap"]}, False, id="another protocol is not"),
        pytest.param({"min_version": "TLS13"}, False, id="nothing below TLS 1.3"),
    ],
)
async def test_nginx_chooses_of_what_it_is_offered(
    tmp_path: Path, options: dict[str, Any], agrees: bool
) -> None:
    authority = Authority(tmp_path)
    ours = f"{identity(authority, tmp_path)} ssl_protocols TLSv1.2;"
    async with serve_nginx(tmp_path, ours, listen="ssl http2") as port:
        trust = {"ca_file": str(authority.file)}
        seen = await ask("tls", {"address": f"{HOST}:{port}", **trust, **options})

    assert (seen.fault is None) is agrees
    if not agrees:
        assert fault_of(seen).code is Code.TLS_HANDSHAKE


async def test_a_websocket_is_spoken_through_nginx_and_a_refusal_of_its_backend_is_seen(
    tmp_path: Path,
) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"heard {message.data}")
        return socket

    authority = Authority(tmp_path)
    async with serve_pages({"/live": echo}) as behind:
        passing = f"""
            {identity(authority, tmp_path)}
            location / {{
                proxy_pass http://{HOST}:{behind.port}; proxy_http_version 1.1;
                proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
            }}
        """
        async with serve_nginx(tmp_path, passing, listen="ssl") as port:
            options = {
                "url": f"wss://{HOST}:{port}/live",
                "tls": {"ca_file": str(authority.file)},
                "dialogue": [{"send": "hello"}, {"expect": "^heard hello$"}],
            }
            well = await ask("websocket", options)
            elsewhere = await ask("websocket", {**options, "url": f"wss://{HOST}:{port}/no"})

    assert well.fault is None
    assert elsewhere.status == 404
    assert judge_health("websocket", elsewhere).outcome is Outcome.FAIL
