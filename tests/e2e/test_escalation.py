"""Who does not answer is not left alone: the next is told, unless somebody took it on."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import aiohttp
import pytest
import yaml

from tests.support.program import daemon
from tests.support.receiver import serve_receiver
from tests.support.slack import serve_slack
from tests.support.street import Street, open_street, until_passing, write_config
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.program import Daemon
    from tests.support.receiver import Receiver
    from tests.support.shop import Shop

EXAMPLE: Final = Path(__file__).parents[2] / "config" / "examples" / "runbook-003-escalation.yml"
AFTER: Final = 3


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as opened:
        yield opened


def heard(receiver: Receiver) -> list[tuple[str, str]]:
    return [(one.json["service"], one.json["event"]) for one in receiver.received]


async def acknowledge(running: Daemon, incident: str) -> int:
    """Do what `incident ack` does, sooner than a process of its own could."""
    socket = aiohttp.UnixConnector(str(running.folder / ".production-monitor/control.sock"))
    async with (
        aiohttp.ClientSession(connector=socket) as control,
        control.post(f"http://monitor/api/v1/incidents/{incident}/ack") as answer,
    ):
        return answer.status


async def test_after_some_seconds_somebody_else_is_told_unless_it_was_acknowledged(
    street: Street, tmp_path: Path
) -> None:
    async with serve_receiver() as team, serve_receiver() as boss:
        write_config(
            tmp_path,
            street,
            {},
            endpoints={name: {"url": street.url(name)} for name in ("shop", "stock")},
            notifiers={
                "team": {"webhook": {"url": team.url()}},
                "boss": {"webhook": {"url": boss.url()}},
            },
            routes=[
                {"notify": "team", "escalate": [{"after": f"{AFTER}s", "notify": "boss"}]},
            ],
        )
        async with daemon(tmp_path) as running:
            await until_passing(running)
            street["stock"].broken = True
            await team.wait_for(1)
            incident = team.received[0].json["incident"]
            taken = await acknowledge(running, incident)
            street["shop"].broken = True
            await boss.wait_for(1)
            street["shop"].broken = street["stock"].broken = False
            await until(lambda: len(heard(team)) == 5 and len(heard(boss)) == 2)
            status = await running.status()

    assert taken == 200
    assert heard(boss) == [("shop", "escalated"), ("shop", "resolved")]
    assert sorted(heard(team)) == [
        *(("shop", "opened"), ("shop", "resolved")),
        *(("stock", "acknowledged"), ("stock", "opened"), ("stock", "resolved")),
    ]
    opened = next(one for one in team.received if one.json["service"] == "shop")
    waited = _when(boss.received[0].json) - _when(opened.json)
    assert waited.total_seconds() >= AFTER
    assert "; nobody has acknowledged it for " in boss.received[0].json["text"]
    assert not status["undelivered"]


async def test_the_example_calls_one_level_after_the_other(shop: Shop, tmp_path: Path) -> None:
    routes = yaml.safe_load(EXAMPLE.read_text())["routes"]
    for route in routes:
        for number, step in enumerate(route.get("escalate", ()), 1):
            step["after"] = f"{number}s"
    changes = {
        "web": {"listen": "127.0.0.1:${PORT}"},
        "defaults": {"every": "300ms", "retry_every": "100ms", "timeout": "250ms"},
        "endpoints": {"homepage": {"every": "300ms"}},
        "routes": routes,
    }
    (tmp_path / "overlay.yml").write_text(json.dumps(changes))
    shop.status = 500

    async with (
        serve_slack() as slack,
        serve_receiver() as oncall,
        serve_receiver() as lead,
        serve_receiver() as cto,
    ):
        environ = {
            "SHOP_URL": shop.url,
            "SLACK_WEBHOOK_URL": slack.webhook_url,
            "PAGING_SECRET": "whsec_dGhpcyBpcyBhIHNlY3JldA==",
            **{
                f"{name}_URL": one.url()
                for name, one in (("ONCALL", oncall), ("LEAD", lead), ("CTO", cto))
            },
        }
        overlaid = ("--config", str(tmp_path / "overlay.yml"))
        async with daemon(tmp_path, *overlaid, config=str(EXAMPLE), environ=environ):
            await cto.wait_for(1)

    assert heard(oncall)[:1] == [("shop", "opened")]
    assert heard(lead)[:1] == heard(cto)[:1] == [("shop", "escalated")]
    assert _when(oncall.received[0].json) < _when(lead.received[0].json)
    assert _when(lead.received[0].json) < _when(cto.received[0].json)


def _when(payload: dict[str, str]) -> datetime:
    return datetime.fromisoformat(payload["timestamp"])
