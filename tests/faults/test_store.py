"""The daemon while the disk of its store is full, fails or hangs, or another locks the store."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.place import TROUBLE, leave_an_open_incident, settled
from tests.support.program import IMPATIENT, daemon, run
from tests.support.servers import unused_port
from tests.support.stored import held_by_another
from tests.support.waiting import until
from tests.support.watchdog import open_watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.disk import Disk
    from tests.support.place import Place
    from tests.support.program import Daemon

ANYWHERE: Final = {"PORT": "1"}


@contextmanager
def disturbed(running: Daemon, call: str, how: str) -> Iterator[None]:
    """Let each such system call of a daemon fail or take long; strace says how."""
    trace = running.folder / "trace"
    with subprocess.Popen(
        [
            *("strace", "-f", "-o", trace, "-p", str(running.process.pid)),
            *("-e", f"trace={call}", "-e", f"inject={call}:{how}"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    ) as tracer:
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate(timeout=10)
    happened = "(INJECTED)" if how.startswith("error") else f"{call}("  # a hanging one has no end
    assert happened in trace.read_text()


async def test_a_disk_that_is_full_for_a_while_costs_nothing(place: Place, tiny: Disk) -> None:
    async with settled(place) as running:
        tiny.fill()
        await until(lambda: place.told(TROUBLE) == ["blind"])
        await place.suffer(running)
        tiny.make_room()
        await place.be_over(running)
        said = running.said()

    place.expect_the_truth()
    assert "store_failed" in said
    assert "store_works_again" in said


@pytest.mark.parametrize("made_before", [False, True], ids=["no store yet", "a store closed well"])
async def test_a_disk_that_is_full_at_the_start_delays_only_the_store(
    place: Place, tiny: Disk, made_before: bool
) -> None:
    if made_before:
        async with settled(place) as running:
            assert await running.stop() == 0
    tiny.fill()

    async with settled(place) as running:
        await until(lambda: place.told(TROUBLE) == ["blind"])
        await place.suffer(running)
        works = await running.metric("store_works")
        tiny.make_room()
        await place.be_over(running)

    assert works == 0
    place.expect_the_truth()


async def test_what_an_earlier_process_left_is_known_though_the_disk_is_full(
    place: Place, tiny: Disk
) -> None:
    """Its log cannot even be read as usual: that takes a file of shared memory."""
    await leave_an_open_incident(place)
    place.store.with_name("monitor.db-shm").unlink()
    tiny.fill()

    async with daemon(place.folder) as running:
        await until(lambda: place.told(TROUBLE) == ["blind"])
        place.street["shop"].broken = False
        await until(lambda: place.told() == ["opened", "resolved"])
        tiny.make_room()
        await place.be_over(running)

    about = {
        one.json["incident"] for one in place.receiver.received if "shop" in one.json["service"]
    }
    assert len(about) == 1
    place.expect_the_truth()


async def test_a_check_that_ends_by_itself_goes_on_though_the_disk_is_full(
    place: Place, tiny: Disk
) -> None:
    place.street["shop"].broken = True
    tiny.fill()

    ended = await run("--cycles", "3", "--every", "50ms", cwd=place.folder, environ=ANYWHERE)
    deploy = await run("deploy", "shop", "--version", "2", cwd=place.folder, environ=ANYWHERE)
    tiny.make_room()
    again = await run("--cycles", "1", cwd=place.folder, environ=ANYWHERE)

    assert ended.code == 1, ended.err
    assert "the counts of this run are not kept: " in ended.err
    assert place.told() == ["opened"]
    assert "blind" in place.told(TROUBLE)
    assert deploy.code == 2
    assert again.code == 1
    assert "not kept" not in again.err
    assert list(place.state.glob("*corrupt*")) == []


@pytest.mark.needs("strace")
async def test_a_disk_that_fails_for_a_while_costs_nothing(place: Place) -> None:
    async with settled(place) as running:
        with disturbed(running, "pwrite64", "error=ENOSPC"):
            await place.suffer(running)
        await place.hears(running)
        with disturbed(running, "fdatasync", "error=EIO"):
            await place.suffer(running, 2, version="3.0")
        await place.be_over(running, 2)

    place.expect_the_truth(2)


async def test_a_store_that_is_locked_at_the_start_is_read_and_written_later(
    place: Place,
) -> None:
    await leave_an_open_incident(place)
    with ExitStack() as lock:
        lock.enter_context(held_by_another(place.store))
        async with daemon(place.folder, program=IMPATIENT) as running:
            await until(lambda: place.told(TROUBLE) == ["blind"])
            place.street["shop"].broken = False
            await until(lambda: place.told() == ["opened", "resolved"])
            lock.close()
            await place.be_over(running)

    place.expect_the_truth()


async def test_a_store_that_another_program_locks_for_a_while_costs_nothing(place: Place) -> None:
    async with settled(place, program=IMPATIENT) as running:
        with held_by_another(place.store):
            await place.suffer(running)
        await place.be_over(running)

    place.expect_the_truth()


@pytest.mark.needs("strace")
async def test_a_disk_that_hangs_starves_the_watchdog_until_it_goes_on(
    place: Place, tmp_path: Path
) -> None:
    async def probes() -> int:
        """Say how often the watchdog was fed while some probes were made."""
        watchdog.meals()
        asked = place.street["shop"].asked
        await until(lambda: place.street["shop"].asked >= asked + 3)
        return watchdog.meals()

    with open_watchdog(tmp_path, timedelta(seconds=1)) as watchdog:
        async with settled(place, program=IMPATIENT, environ=watchdog.environ) as running:
            assert await probes() > 0
            with disturbed(running, "fdatasync", "delay_enter=60s"):
                async with asyncio.timeout(20):
                    while await probes():
                        pass
            await until(watchdog.meals)
            assert await running.stop() == 0


async def test_a_folder_that_can_never_be_written_is_refused_before_anything_is_watched(
    place: Place, tiny: Disk
) -> None:
    tiny.protect()

    ended = await run("run", cwd=place.folder, environ={"PORT": str(unused_port())})

    assert ended.code == 2
    assert ended.err == f"{place.state}: the directory of the store cannot be written\n"
    assert place.street["shop"].asked == 0
