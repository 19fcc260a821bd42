"""The example of names, zones and hosts, against dnsmasq and this machine."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.nameservers import serve_dnsmasq
from tests.support.program import run

EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "network.yml"
ADDRESS = "192.0.2.1"


def require_pings() -> None:
    """Skip where the system lets this user send no pings."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        with suppress(PermissionError):
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
            return

    pytest.skip("this user may not send pings: see docs/operations.md")


@pytest.mark.needs("dnsmasq")
async def test_names_zones_and_hosts_are_watched(tmp_path: Path) -> None:
    require_pings()
    zone = [
        "auth-server=ns.shop.example,lo",
        "auth-zone=shop.example",
        "auth-soa=2026070102",
        f"host-record=shop.example,{ADDRESS}",
        "mx-host=shop.example,mail.shop.example,10",
        "txt-record=shop.example,v=spf1 -all",
        "local=/shop.example/",
    ]
    (tmp_path / "overlay.yml").write_text("witnesses: []\n")
    async with serve_dnsmasq(tmp_path, *zone) as server:
        environ = {
            "RESOLVER": server,
            "PRIMARY": server,
            "SECONDARY": server,
            "SHOP_ADDRESS": ADDRESS,
            "GATEWAY": "127.0.0.1",
            "BRANCH": "127.0.0.2",
        }
        arguments = ("--config", str(EXAMPLE), "--config", str(tmp_path / "overlay.yml"))
        good = await run(
            *arguments, "--cycles", "1", "--output", "json", cwd=tmp_path, environ=environ
        )
        moved = await run(
            *(*arguments, "--cycles", "1", "--tag", "dns"),
            cwd=tmp_path,
            environ={**environ, "SHOP_ADDRESS": "192.0.2.2"},
        )

    assert good.code == 0, good.out + good.err
    checks = {check["check"]: check["verdict"] for check in good.json()["checks"]}
    assert set(checks.values()) == {"pass"}
    assert {"secondary.value", "line-to-the-branch.value", "gateway.health"} <= set(checks)
    assert moved.code == 1
    assert f'DNS answer is "{ADDRESS}", expected any value to be' in moved.out
