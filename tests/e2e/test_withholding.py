"""What people are not told for now, by the installed program: dependencies and maintenance."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.support.program import daemon, run
from tests.support.receiver import serve_receiver
from tests.support.shop import open_shop
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.receiver import Receiver
    from tests.support.shop import Shop

EXAMPLE: Final = Path(__file__).parents[2] / "config" / "examples" / "dependencies.yml"
PACE: Final = {"every": "300ms", "retry_every": "100ms", "timeout": "250ms"}


def environ(shop: Shop, alerts: Receiver) -> dict[str, str]:
    """Let all services of the example stand on one machine, and one receiver hear of them."""
    return {
        "SHOP_URL": f"{shop.url}/shop",
        "API_URL": f"{shop.url}/api",
        "DATABASE_URL": f"{shop.url}/database",
        "ALERTS_URL": alerts.url(),
        "ALERTS_SECRET": "whsec_dGhpcyBpcyBhIHNlY3JldA==",
    }


def write(folder: Path, **more: Any) -> str:
    """Write what differs from the example."""
    changes = {"defaults": PACE, "web": {"listen": "127.0.0.1:${PORT:-9797}"}, **more}
    path = folder / "overlay.yml"
    path.write_text(json.dumps(changes))

    return str(path)


def window(seconds: float) -> list[dict[str, str]]:
    """Give maintenance of all services, from a while ago until in so many seconds."""
    now = datetime.now(UTC).replace(microsecond=0)
    ends = now + timedelta(seconds=seconds)

    return [
        {
            "from": (now - timedelta(hours=1)).isoformat(),
            "to": ends.isoformat(),
            "reason": "new disks",
        }
    ]


def heard(alerts: Receiver) -> list[tuple[str, str]]:
    return [(one.json["service"], one.json["event"]) for one in alerts.received]


def withheld(status: dict[str, Any], service: str) -> dict[str, Any] | None:
    """Give by what the open incident of a service is withheld."""
    for incident in status["incidents"]:
        if incident["service"] == service and incident["withheld"] is not None:
            return dict(incident["withheld"])

    return None


async def test_an_outage_beneath_is_told_once_and_what_remains_of_it_afterwards(
    tmp_path: Path,
) -> None:
    async with open_shop() as shop, serve_receiver() as alerts:
        changes = write(tmp_path, maintenance=[])
        arguments = ("--config", changes)
        async with daemon(
            tmp_path, *arguments, config=str(EXAMPLE), environ=environ(shop, alerts)
        ) as running:
            shop.statuses = {"/database": 500}
            await alerts.wait_for(1)
            shop.statuses = {"/database": 500, "/api": 500, "/shop": 500}
            await alerts.wait_for(3)
            during = await running.until(
                lambda status: withheld(status, "shop") and withheld(status, "api")
            )
            shop.statuses = {"/shop": 500}
            await until(lambda: ("shop", "opened") in heard(alerts))
            shop.statuses = {}
            await until(lambda: ("shop", "resolved") in heard(alerts))

    assert heard(alerts) == [
        ("database", "opened"),
        ("database", "updated"),
        ("database", "updated"),
        ("database", "resolved"),
        ("shop", "opened"),
        ("shop", "resolved"),
    ]
    updates = [one.json for one in alerts.received[1:3]]
    assert [len(one["affected"]) for one in updates] == [1, 2]
    assert "which depends on it, fails as well" in updates[1]["text"]
    tasks = {task["text"]: task["done"] for task in alerts.received[4].json["checklist"]}
    assert tasks == {"Somebody leads": False, "Tell support what customers see": None}
    by = withheld(during, "shop")
    assert by is not None
    assert by["why"] == "dependency"
    assert by["by"].startswith("database-outage-")


async def test_what_fails_when_maintenance_ends_is_told_then_and_not_before(
    tmp_path: Path,
) -> None:
    async with open_shop() as shop, serve_receiver() as alerts:
        shop.statuses = {"/shop": 500}
        maintenance = window(3_600)
        changes = write(tmp_path, maintenance=maintenance)
        async with daemon(
            tmp_path, "--config", changes, config=str(EXAMPLE), environ=environ(shop, alerts)
        ) as running:
            during = await running.until(lambda status: withheld(status, "shop"))
            quiet = heard(alerts)
            _, page = await running.get("/")
            shown = await run("incident", "show", "shop", "--server", running.url, cwd=tmp_path)
            soon = window(2)
            write(tmp_path, maintenance=soon)
            running.hang_up()
            await alerts.wait_for(1)
            told_at = datetime.now(UTC)

    assert quiet == []
    assert heard(alerts) == [("shop", "opened")]
    assert told_at >= datetime.fromisoformat(soon[0]["to"])
    (window_now,) = during["maintenance"]
    assert window_now["reason"] == "new disks"
    assert window_now["active"]["until"] == maintenance[0]["to"]
    assert window_now["next"] is None
    assert "<strong>Maintenance</strong> until" in page
    assert "nobody is told for now: maintenance (maintenance 1), until" in shown.out
    assert "[ ] Somebody leads" in shown.out


async def test_runs_that_end_by_themselves_tell_after_the_window_what_they_saw_in_it(
    tmp_path: Path,
) -> None:
    async with open_shop() as shop, serve_receiver() as alerts:
        shop.statuses = {"/shop": 500}

        async def look(cycles: str) -> int:
            ended = await run(
                *("--config", str(EXAMPLE), "--config", str(tmp_path / "overlay.yml")),
                *("--cycles", cycles, "--every", "50ms"),
                cwd=tmp_path,
                environ=environ(shop, alerts),
            )
            return ended.code

        write(tmp_path, maintenance=window(3_600))
        within = [await look("3"), await look("1")]
        quiet = heard(alerts)
        write(tmp_path, maintenance=[])
        after = await look("2")

    assert within == [1, 1]
    assert quiet == []
    assert after == 1
    assert heard(alerts) == [("shop", "opened")]
