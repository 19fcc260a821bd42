"""People and rollbacks of the installed program: approved, vetoed, started, over restarts."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.program import Daemon, daemon, run
from tests.support.street import (
    NOTE,
    UNLIMITED,
    Street,
    announce,
    find_rollbacks,
    open_street,
    stands,
    until_passing,
    write_config,
    write_hook,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.program import Ended

ANYWHERE: Final = {"PORT": "1"}
"""For commands beside a daemon, which listen nowhere."""
LATER: Final = {
    "LD_PRELOAD": next(map(str, Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), ""),
    "FAKETIME": "+11m",
    "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    "FAKETIME_FORCE_MONOTONIC_FIX": "0",
    "NO_FAKE_STAT": "1",
}
"""What has a command believe that eleven minutes have passed."""
READER, OPERATOR = "reader-0123456789abcdef", "operator-0123456789abcdef"


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    async with open_street(tmp_path) as opened:
        yield opened


def configure(folder: Path, street: Street, mode: dict[str, str], **sections: Any) -> None:
    rollback = {
        "mode": mode,
        "steps": [{"name": "shop.restore", "command": write_hook(folder, "shop", NOTE)}],
        "limits": UNLIMITED,
    }
    write_config(folder, street, {"shop": rollback}, **sections)


async def break_it(running: Daemon, street: Street, state: str) -> dict[str, Any]:
    """Deploy something bad; give the rollback that waits."""
    await until_passing(running)
    await announce(running, "shop")
    street["shop"].broken = True
    status = await running.until(lambda status: stands(status, "shop") == state)

    return find_rollbacks(status, "shop")[-1]


async def command(folder: Path, *words: str) -> Ended:
    return await run("rollback", *words, cwd=folder, environ=ANYWHERE)


async def test_what_waits_for_approval_outlives_a_kill_and_is_done_once(
    street: Street, tmp_path: Path
) -> None:
    configure(tmp_path, street, {"mode": "approve", "expires": "10m"})
    async with daemon(tmp_path) as running:
        waiting = await break_it(running, street, "awaiting")
        await running.stop(signal.SIGKILL)
    async with daemon(tmp_path) as running:
        await running.until(lambda status: status["checks"][0]["consecutive_failures"] > 6)
        (still,) = find_rollbacks(await running.status(), "shop")
        shown = await command(tmp_path, "status", "shop")
        clicks = [command(tmp_path, "approve", which) for which in ("shop", waiting["id"][:8])]
        answers = await asyncio.gather(*clicks)
        await running.until(lambda status: stands(status, "shop") == "recovered")
        counted = await running.metric("rollbacks_total", service="shop", outcome="recovered")
        done = await command(tmp_path, "status", "shop")

    assert (still["id"], still["due_at"]) == (waiting["id"], waiting["due_at"])
    assert f"rollback approve {waiting['id'][:8]}" in shown.out
    assert [one.code for one in answers] == [0, 0], answers
    assert all(waiting["id"] in one.out for one in answers)
    assert len(street.effects("shop")) == 1
    assert counted == 1
    assert "step 1.1 (shop.restore, command) done: exit 0" in done.out
    assert "approved by " in done.out


async def test_a_veto_stops_a_countdown_and_a_person_may_start_it_all_the_same(
    street: Street, tmp_path: Path
) -> None:
    configure(tmp_path, street, {"mode": "countdown", "countdown": "1m"})
    async with daemon(tmp_path) as running:
        waiting = await break_it(running, street, "countdown")
        vetoed = await command(tmp_path, "veto", "shop", "--reason", "the shop is being moved")
        again = await command(tmp_path, "approve", "shop")
        unheard = await command(tmp_path, "start", "shopp", "--reason", "why not")
        started = await command(tmp_path, "start", "shop", "--reason", "after all", "--to", "0.9")
        await running.until(
            lambda status: "recovered" in [one["state"] for one in status["rollbacks"]]
        )
        (incident,) = (await running.status())["incidents"]

    assert vetoed.code == 0, vetoed.err
    assert vetoed.out.startswith("rollback of shop: cancelled, by ")
    assert again.code == 2
    assert "There is nothing to approve" in again.err
    assert "did you mean shop?" in unheard.err
    assert started.code == 0, started.err
    assert waiting["id"] not in started.out
    assert len(street.effects("shop")) == 1
    lines = {one["event"]: one for one in incident["timeline"]}
    assert lines["rollback_cancelled"]["actor"] != "monitor"
    assert lines["shop.restore"]["details"]["to"] == "0.9"


@pytest.mark.needs("faketime")
async def test_a_countdown_goes_on_from_one_run_to_the_next(street: Street, tmp_path: Path) -> None:
    configure(tmp_path, street, {"mode": "countdown", "countdown": "10m"})
    every = ("--cycles", "3", "--every", "50ms", "--output", "json")
    await run(*every, cwd=tmp_path, environ=ANYWHERE)
    await run("deploy", "shop", "--version", "2.0", cwd=tmp_path, environ=ANYWHERE)
    street["shop"].broken = True
    await run(*every, cwd=tmp_path, environ=ANYWHERE)
    waiting = (await command(tmp_path, "status", "shop", "--output", "json")).json()
    early = street.effects("shop")
    await run(*every, cwd=tmp_path, environ={**ANYWHERE, **LATER})
    ended = (await command(tmp_path, "status", "shop", "--output", "json")).json()

    assert (waiting["state"], early) == ("countdown", [])
    assert (ended["id"], ended["state"]) == (waiting["id"], "recovered"), ended
    assert len(street.effects("shop")) == 1


async def test_over_http_it_takes_a_token_that_may_operate(street: Street, tmp_path: Path) -> None:
    tokens = [
        {"name": "reader", "scope": "read", "token": READER},
        {"name": "ann", "scope": "operate", "token": OPERATOR},
    ]
    configure(
        *(tmp_path, street, {"mode": "approve"}),
        web={"listen": "127.0.0.1:${PORT}", "tokens": tokens},
    )
    reader, operator = ({"Authorization": f"Bearer {one}"} for one in (READER, OPERATOR))
    async with daemon(tmp_path) as running:
        waiting = await break_it(running, street, "awaiting")
        act = f"/api/v1/rollbacks/{waiting['id']}/approve"
        refused, _ = await running.post(act, headers=reader)
        unknown, _ = await running.post("/api/v1/rollbacks/x/veto", headers=operator)
        wrong, said = await running.post(
            "/api/v1/rollbacks", headers=operator, json={"service": "shop"}
        )
        approved, _ = await running.post(act, headers=operator)
        await running.until(lambda status: stands(status, "shop") == "recovered")
        listed = await running.get("/api/v1/rollbacks?service=shop", headers=reader)
        one = find_rollbacks(await running.status(), "shop")[-1]

    assert (refused, unknown, wrong, approved) == (403, 404, 422, 200)
    assert "expected a reason" in said
    assert one["approved_by"] == "ann"
    assert waiting["id"] in listed[1]
    assert len(street.effects("shop")) == 1
