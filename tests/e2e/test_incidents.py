"""People at the command line: they take incidents on, note, end, open and silence, by name."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from typing import TYPE_CHECKING

from tests.support.program import Ended, daemon, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.program import Daemon
    from tests.support.shop import Shop

TOKEN = "canary-0123456789abcdef0123"
OTHER = "canary-operate-456789abcdef"
BEARER = {"Authorization": f"Bearer {OTHER}"}


def configure(folder: Path, shop: Shop) -> None:
    (folder / "monitor.yml").write_text(
        "web:\n  listen: 127.0.0.1:${PORT:-9797}\n  tokens:\n"
        f"    - {{name: ci, scope: deploy, token: {TOKEN}}}\n"
        f"    - {{name: ana, scope: operate, token: {OTHER}}}\n"
        "defaults: {every: 500ms, retry_every: 100ms, timeout: 450ms, failure_threshold: 3,"
        " flapping_threshold: false}\n"
        f"endpoints:\n  shop: {shop.url}/\n"
    )


async def incident(*args: str, cwd: Path, **environ: str) -> Ended:
    return await run("incident", *args, cwd=cwd, environ=environ)


async def until_open(running: Daemon, service: str) -> str:
    def opened(status: dict[str, list[dict[str, str]]]) -> str:
        found = (
            one["id"]
            for one in status["incidents"]
            if one["service"] == service and not one["resolved_at"]
        )
        return next(found, "")

    return opened(await running.until(opened))


async def test_an_incident_is_taken_on_noted_and_ended_by_name(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    shop.statuses["/"] = 500
    async with daemon(tmp_path) as running:
        id = await until_open(running, "shop")
        taken = await incident("ack", "shop", cwd=tmp_path)
        again, _ = await running.post(f"/api/v1/incidents/{id[:-3]}/ack", headers=BEARER)
        noted = await incident("note", "shop", "the queue is stuck", cwd=tmp_path)
        ended = await incident("resolve", id, "--reason", "known, fixed at ten", cwd=tmp_path)
        seen = shop.asked
        await running.until(lambda _: shop.asked > seen + 6)  # it goes on failing
        shown, still = await asyncio.gather(
            incident("show", id, cwd=tmp_path), run("status", cwd=tmp_path)
        )
        shop.statuses.clear()
        await running.until(
            lambda status: status["incidents"][0]["checks"][0]["closed_at"] is not None
        )
        shop.statuses["/"] = 500
        anew = await until_open(running, "shop")
        written = await incident("postmortem", id, cwd=tmp_path)

    me = f"@{socket.gethostname()}"
    assert taken.out.startswith(f"{id}: taken on by ")
    assert taken.out.rstrip().endswith(me)
    assert again == 200
    assert "ana" not in shown.out, "who comes second has not taken it on"
    assert noted.out == f"{id}: noted\n"
    assert ended.out == f"{id}: resolved; still failing: shop.health\n"
    assert re.search(rf"the queue is stuck \(\S+{re.escape(me)}\)", shown.out)
    assert "known, fixed at ten; shop.health still fails" in shown.out
    assert "no open incident" in still.out
    assert still.code == 1
    assert anew != id
    assert written.out.startswith("# Post-Mortem: ")
    assert "known, fixed at ten" in written.out
    assert "shop.health passes again" in written.out


async def test_what_no_check_has_seen_is_opened_by_hand_and_ends_by_hand(
    shop: Shop, tmp_path: Path
) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        opened = await incident("open", "shop", "customers cannot pay", cwd=tmp_path)
        twice = await running.post(
            "/api/v1/incidents",
            json={"service": "shop", "title": "customers cannot pay"},
            headers=BEARER,
        )
        id = opened.out.partition(":")[0]
        shop.statuses["/"] = 500
        await running.until(lambda status: status["incidents"][0]["checks"])
        shop.statuses.clear()
        await running.until(lambda status: status["incidents"][0]["phase"] == "monitoring")
        labelled = await incident("label", "shop", "payment", "third party", cwd=tmp_path)
        listed = await incident("list", "--open", cwd=tmp_path)
        ended, _ = await running.post("/api/v1/incidents/shop/resolve", headers=BEARER)
        after = await running.status()

    assert opened.out == f"{id}: open, high\n"
    assert (twice[0], json.loads(twice[1])["id"]) == (200, id)
    assert labelled.out == f"{id}: payment, third party\n"
    assert "shop: customers cannot pay: outage, high, monitoring" in listed.out
    assert ended == 200
    assert [one["phase"] for one in after["incidents"]] == ["resolved"]


async def test_a_service_is_silenced_for_a_time(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        added = await run(
            "silence", "add", "shop", "--for", "2h", "--reason", "new disk", cwd=tmp_path
        )
        shop.statuses["/"] = 500
        await until_open(running, "shop")
        status, listed = await asyncio.gather(
            run("status", cwd=tmp_path), run("silence", "list", cwd=tmp_path)
        )
        id = added.out.partition(":")[0]
        removed = await run("silence", "remove", id, cwd=tmp_path)
        _, gone = await running.get("/api/v1/silences")

    assert re.fullmatch(rf"{id}: shop silenced until \S+ \S+ UTC\n", added.out)
    assert f"nobody is told for now: a silence ({id})" in status.out
    assert re.search(r"shop silenced until .* by \S+@.*: new disk", status.out)
    assert "new disk" in listed.out
    assert removed.out == f"{id}: ended\n"
    assert json.loads(gone) == {"silences": []}


async def test_a_store_that_nobody_holds_takes_acts_as_well(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    shop.status = 500
    await run("--cycles", "3", "--every", "50ms", cwd=tmp_path)
    taken = await incident("ack", "shop", cwd=tmp_path)
    shown, unknown = await asyncio.gather(
        *(incident("show", which, cwd=tmp_path) for which in ("shop", "nothing"))
    )

    assert "taken on by" in taken.out
    assert "taken on by" in shown.out
    assert (unknown.code, unknown.err) == (2, "there is no incident 'nothing'\n")


async def test_who_may_not_is_told_so(shop: Shop, tmp_path: Path) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        stranger, deployer = await asyncio.gather(
            *(
                incident("ack", "shop", "--server", running.url, cwd=tmp_path, MONITOR_TOKEN=token)
                for token in ("", TOKEN)
            )
        )
        shop.statuses["/"] = 500
        id = await until_open(running, "shop")
        taken = await incident(
            "ack", id[:-3], "--server", running.url, cwd=tmp_path, MONITOR_TOKEN=OTHER
        )

    assert (stranger.code, deployer.code) == (2, 2)
    assert "expected a valid token" in stranger.err
    assert "has the scope deploy, this needs operate" in deployer.err
    assert taken.out == f"{id}: taken on by ana\n"
