"""Reloads of a daemon that has its hands full: nothing is lost, doubled or left behind."""

from __future__ import annotations

import asyncio
import json
import socket
from operator import le
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.program import Daemon, daemon
from tests.support.shop import Shop, open_shop
from tests.support.street import (
    NOTE,
    UNLIMITED,
    announce,
    find_rollbacks,
    open_street,
    stands,
    until_passing,
    write_config,
    write_hook,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGETS = 8
EVERY = 0.5
TOKENS = "{name: us, scope: operate, token: operate-token-1}"
OPERATE = {"Authorization": "Bearer operate-token-1"}


def configure(folder: Path, shop: Shop, *, location: str = "here", more: str = "") -> None:
    endpoints = "".join(f"  t{number}: {shop.url}/{number}\n" for number in range(TARGETS))
    (folder / "monitor.yml").write_text(
        f'web: {{listen: "127.0.0.1:${{PORT}}", tokens: [{TOKENS}]}}\n'
        f"defaults: {{every: {EVERY}s, retry_every: {EVERY}s, timeout: 400ms}}\n"
        f"location: {location}\nnotifiers: {{log: {{log: {{}}}}}}\nendpoints:\n{endpoints}{more}"
    )


def held(running: Daemon) -> tuple[int, int]:
    """Count the descriptors and the threads of a daemon."""
    process = Path(f"/proc/{running.process.pid}")

    return len(list((process / "fd").iterdir())), len(list((process / "task").iterdir()))


def counts(status: dict[str, Any]) -> dict[str, int]:
    return {one["check"]: one["consecutive_failures"] for one in status["checks"]}


@pytest.fixture
def notify(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20)
        yield listening


async def hang_up_often(running: Daemon, folder: Path, shop: Shop) -> None:
    """Send a hundred signals within a second, each after another configuration was written."""
    began = monotonic()
    for number in range(100):
        configure(folder, shop, location=f"place-{number}")
        running.hang_up()
        await asyncio.sleep(max(0.0, began + (number + 1) / 100 - monotonic()))


async def test_a_hundred_signals_in_a_second_double_nothing_and_lose_nothing(
    tmp_path: Path,
) -> None:
    """While everything fails: the rate stays, counts go on, the last configuration counts."""
    async with open_shop() as shop:
        shop.status = 503
        configure(tmp_path, shop)
        async with daemon(tmp_path) as running:
            before = await running.until(
                lambda status: min(counts(status).values()) >= 3 and len(status["incidents"])
            )
            descriptors, threads = held(running)
            allowed = (descriptors, threads + 2)  # those that read files come as they are needed
            asked, began = shop.asked, monotonic()
            await hang_up_often(running, tmp_path, shop)
            await until(lambda: "-> place-99" in running.said())
            await asyncio.sleep(2 * EVERY)
            rate = (shop.asked - asked) / (monotonic() - began)
            after = await running.status()
            await until(lambda: all(map(le, held(running), allowed)))
            log = running.said()

            assert 10 < log.count(" reloaded ") <= 102, "they were no single reload"
            assert rate <= 1.3 * TARGETS / EVERY, "no place in the schedule was doubled"
            assert rate >= 0.5 * TARGETS / EVERY, "nor lost"
            assert all(counts(after)[name] > count for name, count in counts(before).items())
            assert [one["id"] for one in after["incidents"]] == [
                one["id"] for one in before["incidents"]
            ]
            assert not any(one["resolved_at"] for one in after["incidents"])
            assert "Traceback" not in log
            assert await running.stop() == 0


async def test_a_rollback_under_way_outlives_a_hundred_reloads_that_change_it(
    tmp_path: Path,
) -> None:
    """Its step runs once and to its end, as it was when it began."""
    async with open_street(tmp_path) as street:
        hook = write_hook(
            tmp_path,
            "shop",
            "echo begun >> begun",
            "while [ ! -e go-on ]; do sleep 0.05; done",
            NOTE,
        )
        other = write_hook(tmp_path, "other", "echo other >> begun")

        def configured(command: list[str], limit: int) -> None:
            policy = {
                "mode": "automatic",
                "steps": [{"command": {"run": command, "timeout": "30s"}}],
                "verify": {"within": "10s"},
                "limits": {**UNLIMITED, "per_day": limit},
            }
            write_config(tmp_path, street, {"shop": policy})

        configured(hook, 100)
        async with daemon(tmp_path) as running:
            await until_passing(running)
            street["shop"].version = "2.0"
            await announce(running, "shop")
            street["shop"].broken = True
            await until((tmp_path / "begun").exists)
            for number in range(100):
                configured(other, 100 + number)
                running.hang_up()
                await asyncio.sleep(0.01)
            await until(lambda: " reloaded " in running.said())
            (tmp_path / "go-on").touch()
            status = await running.until(lambda status: stands(status, "shop") == "recovered")

            assert (tmp_path / "begun").read_text() == "begun\n"
            assert len(street.effects("shop")) == 1
            assert len(find_rollbacks(status, "shop")) == 1
            assert "Traceback" not in running.said()
            assert await running.stop() == 0


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param("  broken: [\n", "monitor.yml:15:1: ", id="broken YAML"),
        pytest.param("  a: {url: 'http://127.0.0.1:9/', evry: 3s}\n", "evry", id="an unknown key"),
        pytest.param("  t0: http://127.0.0.1:9/\n", "t0", id="a name twice"),
    ],
)
async def test_a_mistake_leaves_what_was_and_is_told_with_its_place(
    shop: Shop, tmp_path: Path, broken: str, said: str
) -> None:
    successful = "production_monitor_config_last_reload_successful"
    configure(tmp_path, shop)
    async with daemon(tmp_path) as running:
        configure(tmp_path, shop, more=broken)
        running.hang_up()
        await until(lambda: "reload_refused" in running.said())
        (line,) = (one for one in running.said().splitlines() if " reload_refused " in one)
        _, refused = await running.get("/metrics")
        code, told = await running.post("/-/reload", headers=OPERATE)
        asked = shop.asked
        await until(lambda: shop.asked > asked + TARGETS)
        status = await running.status()
        configure(tmp_path, shop)
        mended, _ = await running.post("/-/reload", headers=OPERATE)
        _, well = await running.get("/metrics")

    assert (said in line, "monitor.yml:" in line) == (True, True)
    assert (code, json.loads(told)["error"]) == (422, "not reloaded")
    assert f"{successful} 0" in refused
    assert (mended, f"{successful} 1" in well) == (200, True)
    assert len(status["checks"]) == TARGETS


async def test_systemd_hears_of_a_reload_that_was_asked_for_over_http(
    shop: Shop, tmp_path: Path, notify: socket.socket
) -> None:
    configure(tmp_path, shop)
    async with daemon(tmp_path, environ={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as running:
        assert notify.recv(1000).startswith(b"READY=1")
        assert (await running.post("/-/reload", headers=OPERATE))[0] == 200
        good = [notify.recv(1000), notify.recv(1000)]
        (tmp_path / "monitor.yml").write_text("endpoints: 5")
        assert (await running.post("/-/reload", headers=OPERATE))[0] == 422
        bad = [notify.recv(1000), notify.recv(1000)]

    assert [one.split(b"=")[0] for one in (*good, *bad)] == [b"RELOADING", b"READY"] * 2
    assert b"STATUS=the last reload was refused: monitor.yml:1:" in bad[1]
