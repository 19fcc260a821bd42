"""The example of requests that a plain GET does not make, against real counterparts of each."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiohttp import web

from tests.support.authority import Authority
from tests.support.nameservers import serve_dnsmasq
from tests.support.nginx import serve_nginx
from tests.support.program import run
from tests.support.proxy import serve_proxy
from tests.support.servers import HOST, page, serve_pages
from tests.support.token_server import SECRET, serve_tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.proxy import RunningProxy
    from tests.support.token_server import TokenServer

EXAMPLE: Final = Path(__file__).parents[2] / "config" / "examples" / "requests.yml"
PROXY_PASSWORD: Final = "proxy-canary-5e1d"
LIMIT: Final = 25

pytestmark = [pytest.mark.needs("dnsmasq"), pytest.mark.needs("nginx")]


@dataclass
class Neighbourhood:
    """Everything that the example asks, and the variables that lead to it."""

    environ: dict[str, str]
    tokens: TokenServer
    proxy: RunningProxy


@asynccontextmanager
async def open_neighbourhood(folder: Path) -> AsyncIterator[Neighbourhood]:
    authority = Authority(folder)
    certificate, key = authority.write_client(folder)
    wanted = f"Basic {b64encode(f'monitor:{PROXY_PASSWORD}'.encode()).decode()}"
    zone = "limit_req_zone $binary_remote_addr zone=search:1m rate=1r/s;"
    search = (
        f"limit_req zone=search burst={LIMIT - 1} nodelay; limit_req_status 429;"
        f"root {folder}; gzip on; gzip_min_length 1; default_type text/html;"
        "location / { try_files /found.html =404; }"
    )
    (folder / "found.html").write_text("<p>shoes</p>" * 10)

    async with AsyncExitStack() as street:
        tokens = await street.enter_async_context(serve_tokens())

        async def orders(request: web.Request) -> web.StreamResponse:
            if not tokens.good(request.headers.get("Authorization")):
                return web.Response(status=401)
            return web.json_response({"database": {"status": "connected"}})

        orders_at = await street.enter_async_context(serve_pages({"/health": orders}))
        payments_at = await street.enter_async_context(
            serve_pages({"/health": page()}, tls=authority.context(demands=True))
        )
        plain_at = await street.enter_async_context(serve_pages({"/status": page()}))
        proxy = await street.enter_async_context(serve_proxy(wants=wanted))
        names = await street.enter_async_context(
            serve_dnsmasq(folder, f"host-record=warehouse.internal,{HOST}")
        )
        limited = await street.enter_async_context(serve_nginx(folder, search, http=zone))

        yield Neighbourhood(
            tokens=tokens,
            proxy=proxy,
            environ={
                "ORDERS_URL": orders_at.origin,
                "TOKEN_URL": tokens.url,
                "CLIENT_SECRET": SECRET,
                "PAYMENTS_URL": payments_at.origin,
                "PAYMENTS_CA": str(authority.file),
                "MONITOR_CERT": str(certificate),
                "MONITOR_KEY": str(key),
                "PARTNER_URL": f"http://partner.example:{plain_at.port}",
                "EGRESS_PROXY": proxy.url(f"monitor:{PROXY_PASSWORD}@"),
                "WAREHOUSE_URL": f"http://warehouse.internal:{plain_at.port}",
                "INTERNAL_DNS": names,
                "SEARCH_URL": f"http://{HOST}:{limited}",
            },
        )


async def check(folder: Path, street: Neighbourhood, *chosen: str) -> Any:
    return await run(
        *("--config", str(EXAMPLE), "--cycles", "1", "--output", "json", *chosen),
        cwd=folder,
        environ=street.environ,
    )


async def test_each_way_of_asking_reaches_its_target(tmp_path: Path) -> None:
    async with open_neighbourhood(tmp_path) as street:
        good = await check(tmp_path, street)
        limited = await check(tmp_path, street, "--endpoint", "search-limit")

    assert good.code == 0, good.out + good.err
    assert {one["check"]: one["verdict"] for one in good.json()["checks"]} == {
        "orders.health": "pass",
        "payments.health": "pass",
        "payments.certificate": "pass",
        "partner.health": "pass",
        "warehouse.health": "pass",
        "search-limit.health": "pass",
    }
    assert limited.code == 1
    [found] = limited.json()["checks"][0]["reasons"]
    assert found["message"].startswith("status is 429, expected 200 (")
    assert found["message"].endswith(" of 20 requests at once)")
    for written in (good.out + good.err, limited.out + limited.err):
        assert SECRET not in written
        assert PROXY_PASSWORD not in written
        assert street.tokens.issued[0] not in written


async def test_what_merely_carries_a_request_fails_no_target(tmp_path: Path) -> None:
    async with open_neighbourhood(tmp_path) as street:
        street.tokens.breaks = web.Response(
            status=503, body=json.dumps({"error": f"no {SECRET} today"}).encode()
        )
        street.proxy.wants = "something else"
        told = await check(tmp_path, street, "--tag", "smoke")

    assert told.code == 3, told.out + told.err
    said = {one["check"]: one for one in told.json()["checks"]}
    assert {name for name, one in said.items() if one["verdict"] == "unknown"} == {
        "orders.health",
        "partner.health",
    }
    assert said["orders.health"]["reasons"][0]["code"] == "credentials"
    assert said["orders.health"]["reasons"][0]["message"] == (
        f"the token server {street.tokens.url} gave no token: it answers 503, no *** today"
    )
    assert "does not accept our credentials" in said["partner.health"]["reasons"][0]["message"]
    assert PROXY_PASSWORD not in told.out + told.err
