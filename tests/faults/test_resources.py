"""The daemon while descriptors, memory or CPU run out: slower or blind, and nobody is blamed."""

from __future__ import annotations

import asyncio
import resource
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from tests.support.blame import PACE, Watched, write_config
from tests.support.cgroup import open_control_group
from tests.support.program import daemon
from tests.support.receiver import serve_receiver
from tests.support.shop import open_shop
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.shop import Shop

MIB: Final = 1024 * 1024
GLUTTON: Final = f"""#!{sys.executable}
import pathlib
pathlib.Path("goes-first").write_text(pathlib.Path("/proc/self/oom_score_adj").read_text())
eaten = []
while True:
    eaten.append(bytearray({MIB}))
"""
HOSTS: Final = ("127.0.0.1", "localhost")


@asynccontextmanager
async def watching(
    folder: Path,
    *before: str,
    more: dict[str, str] | None = None,
    health: object = None,
    **pace: str,
) -> AsyncIterator[tuple[Watched, Shop]]:
    """Watch a shop by its address and by its name, with a daemon that a command starts."""
    async with AsyncExitStack() as stack:
        shop = await stack.enter_async_context(open_shop())
        receiver = await stack.enter_async_context(serve_receiver())
        endpoints = {f"by-{host}": f"http://{host}:{shop.port}/" for host in HOSTS}
        endpoints |= {name: url.format(shop=shop.url) for name, url in (more or {}).items()}
        watched_by = {name: {"url": url, "health": health or {}} for name, url in endpoints.items()}
        write_config(folder, receiver, watched_by, pace={**PACE, **pace})
        running = await stack.enter_async_context(daemon(folder, before=before))
        watched = Watched(running, receiver)
        await watched.begin()
        yield watched, shop


async def test_clients_that_hold_connections_leave_descriptors_for_probes_and_alerts(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, "prlimit", "--nofile=200") as (watched, shop):
        port = watched.running.port
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(180)]
        asked = shop.asked
        await until(lambda: shop.asked > asked + 5)
        unsure = await watched.running.metric("probe_failures_total", reason="internal")
        shop.status = 503
        await until(lambda: "outage opened" in watched.told())
        for _, writer in crowd:
            writer.transport.abort()

        assert unsure == 0


async def test_without_a_free_descriptor_it_is_blind_until_there_is_one(tmp_path: Path) -> None:
    async with watching(tmp_path) as (watched, _):
        pid = watched.running.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        await watched.running.status()  # this connection stays open, and is used again
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limits[1]))
        await watched.running.until(
            lambda status: (
                status["incidents"] and len(status["incidents"][0]["checks"]) == len(HOSTS)
            )
        )
        assert watched.told() == [], "there is no descriptor for that either"
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        await until(lambda: "monitor resolved" in watched.told())
        await watched.until_well()

        assert watched.told() in (
            ["monitor resolved"],  # what nobody could be told in time is told with its end
            ["monitor blind", "monitor resolved"],
        )
        await watched.nobody_was_blamed()


async def test_a_thousand_endpoints_live_in_256_mebibytes(tmp_path: Path) -> None:
    more = {f"many-{number}": f"{{shop}}/{number}" for number in range(1000)}
    async with (
        open_control_group("memory") as group,
        watching(tmp_path, *group.enter, more=more, every="3s", timeout="3s") as (watched, shop),
    ):
        group.limit_memory(256 * MIB)
        asked = shop.asked
        await until(lambda: shop.asked > asked + 500)

        assert group.most_memory < 256 * MIB
        await watched.nobody_was_blamed()


async def test_a_hook_that_eats_all_memory_ends_alone(tmp_path: Path) -> None:
    async with (
        open_control_group("memory") as group,
        watching(tmp_path, *group.enter) as (watched, shop),
    ):
        group.limit_memory(256 * MIB)
        (tmp_path / "roll-back").write_text(GLUTTON)
        shop.status = 503
        await until(lambda: "outage rollback" in watched.told())
        shop.status = 200
        await until(lambda: "outage resolved" in watched.told())
        await watched.until_well()
        (rollback,) = (await watched.running.status())["rollbacks"]

        assert (rollback["state"], rollback["why"]) == (
            "uncertain",
            "step 1 (command) was killed by signal 9",
        )
        assert group.killed == 1
        assert int((tmp_path / "goes-first").read_text()) > 0
        assert watched.running.process.returncode is None


async def test_starved_of_cpu_it_is_late_and_blames_nobody(tmp_path: Path) -> None:
    more = {f"many-{number}": f"{{shop}}/{number}" for number in range(150)}
    quick = {"expect": [{"response_time": {"lt": "600ms"}}]}
    async with (
        open_control_group("cpu") as group,
        watching(tmp_path, more=more, health=quick, every="1s", timeout="900ms") as (watched, shop),
    ):
        late = await watched.running.metric("schedule_lag_seconds_sum")
        group.limit_cpu(0.025)
        group.take(watched.running.process.pid)
        asked = shop.asked
        await until(lambda: shop.asked > asked + 400)
        group.limit_cpu(None)
        await watched.until_well()

        assert await watched.running.metric("schedule_lag_seconds_sum") > late + 10
        await watched.nobody_was_blamed()
