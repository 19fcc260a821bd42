"""The daemon while its store is full, failing, locked, damaged or taken away: people are told.

Each test tells the same story while the store is in trouble: the shop fails and recovers. It is
told once from memory, nothing is rolled back meanwhile, and afterwards the store holds all of it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.disk import small_disk
from tests.support.program import daemon, run
from tests.support.receiver import serve_receiver
from tests.support.servers import unused_port
from tests.support.stored import overwrite
from tests.support.street import (
    NOTE,
    UNLIMITED,
    Street,
    open_street,
    until_passing,
    write_config,
    write_hook,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.support.disk import Disk
    from tests.support.program import Daemon
    from tests.support.receiver import Receiver

ANYWHERE: Final = {"PORT": "1"}
TROUBLE: Final = "production-monitor"
LOCKER: Final = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None)
store.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@dataclass
class Place:
    """A shop with a hook and a receiver, in a folder with its store."""

    folder: Path
    street: Street
    receiver: Receiver

    @property
    def state(self) -> Path:
        return self.folder / ".production-monitor"

    @property
    def store(self) -> Path:
        return self.state / "monitor.db"

    def told(self, service: str = "shop") -> list[str]:
        """Give the beginnings and ends that people heard of a service, in order."""
        return [
            one["event"]
            for one in (received.json for received in self.receiver.received)
            if one["service"] == service and one["event"] in ("opened", "blind", "resolved")
        ]

    async def suffer(self, running: Daemon, times: int = 1, version: str = "2.0") -> None:
        """Let the shop fail after a deploy, and recover, while probing and telling go on."""
        self.street["shop"].version = version
        self.street["shop"].broken = True
        await until(lambda: self.told().count("opened") == times)
        asked = self.street["shop"].asked
        await until(lambda: self.street["shop"].asked >= asked + 2)
        self.street["shop"].broken = False
        await until(lambda: self.told().count("resolved") == times)
        assert running.process.returncode is None

    async def hears(self, running: Daemon, times: int = 1) -> None:
        """Wait until people heard that the store works again."""
        await until(lambda: self.told(TROUBLE).count("resolved") == times)
        assert running.process.returncode is None

    async def be_over(self, running: Daemon, times: int = 1) -> None:
        """Wait until people heard that, and nothing is left to be told; then stop."""
        await self.hears(running, times)
        await running.until(lambda status: not status["undelivered"])
        assert await running.stop() == 0

    def expect_the_truth(self, times: int = 1) -> None:
        """See that each thing was told once, with one key, and stands in the store as it was."""
        assert self.told() == ["opened", "resolved"] * times
        assert self.told(TROUBLE) == ["blind", "resolved"] * times
        assert self.street.effects("shop") == []
        told = Counter(one.headers["idempotency-key"] for one in self.receiver.received)
        assert set(told.values()) == {1}
        rows = self.read("SELECT body FROM deliveries WHERE state = 'delivered'")
        assert {row["key"] for row in rows} == told.keys()
        incidents = self.read("SELECT body FROM incidents")
        assert len(incidents) == 2 * times
        assert all(one["resolved_at"] for one in incidents)
        (state,) = self.read("SELECT body FROM check_states WHERE \"check\" = 'shop.health'")
        assert state["last_outcome"] == "pass"
        assert not state.get("open")

    def read(self, query: str) -> list[Any]:
        store = sqlite3.connect(self.store)
        try:
            return [json.loads(body) for (body,) in store.execute(query)]
        finally:
            store.close()


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    hook = write_hook(tmp_path, "shop", NOTE)
    policy = {"mode": "automatic", "steps": [{"command": hook}], "limits": UNLIMITED}
    async with open_street(tmp_path) as street, serve_receiver() as receiver:
        write_config(
            tmp_path,
            street,
            {"shop": policy},
            services={"shop": {"version": {"endpoint": "shop", "json": "$.version"}}},
            notifiers={"events": {"webhook": {"url": receiver.url()}}},
        )
        yield Place(tmp_path, street, receiver)


@pytest.fixture
def tiny(place: Place) -> Iterator[Disk]:
    """Put the store of a place on a small disk."""
    with small_disk(place.state) as disk:
        yield disk


@asynccontextmanager
async def settled(place: Place) -> AsyncIterator[Daemon]:
    """Run a daemon that knows its shop to be well."""
    async with daemon(place.folder) as running:
        await until_passing(running)
        yield running


async def leave_an_open_incident(place: Place) -> None:
    """Let a daemon tell that the shop fails, and be killed: its log stays beside the store."""
    async with settled(place) as running:
        place.street["shop"].broken = True
        await until(lambda: place.told() == ["opened"])
        await until(lambda: place.read("SELECT body FROM deliveries WHERE state = 'delivered'"))
        await running.stop(signal.SIGKILL)


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Let another process hold the database for itself."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(store)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield
        other.communicate("", timeout=10)


@contextmanager
def failing(running: Daemon, call: str, error: str) -> Iterator[None]:
    """Let each such system call of a daemon fail."""
    trace = running.folder / "trace"
    with subprocess.Popen(
        [
            *("strace", "-f", "-o", trace, "-p", str(running.process.pid)),
            *("-e", f"trace={call}", "-e", f"inject={call}:error={error}"),
        ],
        stderr=subprocess.PIPE,
        text=True,
    ) as tracer:
        assert tracer.stderr is not None
        assert "attached" in tracer.stderr.readline()
        yield
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=10)
    assert "(INJECTED)" in trace.read_text()


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


async def test_a_check_that_ends_by_itself_says_that_the_disk_is_full(
    place: Place, tiny: Disk
) -> None:
    tiny.fill()

    ended = await run("--cycles", "1", cwd=place.folder, environ=ANYWHERE)

    assert ended.code == 2
    assert "monitor.db" in ended.err
    assert place.receiver.received == []


@pytest.mark.needs("strace")
async def test_a_disk_that_fails_for_a_while_costs_nothing(place: Place) -> None:
    async with settled(place) as running:
        with failing(running, "pwrite64", "ENOSPC"):
            await place.suffer(running)
        await place.hears(running)
        with failing(running, "fdatasync", "EIO"):
            await place.suffer(running, 2, version="3.0")
        await place.be_over(running, 2)

    place.expect_the_truth(2)


async def test_a_store_that_is_locked_at_the_start_is_read_and_written_later(
    place: Place,
) -> None:
    await leave_an_open_incident(place)
    with ExitStack() as lock:
        lock.enter_context(locked(place.store))
        async with daemon(place.folder) as running:
            await until(lambda: place.told(TROUBLE) == ["blind"])
            place.street["shop"].broken = False
            await until(lambda: place.told() == ["opened", "resolved"])
            lock.close()
            await place.be_over(running)

    place.expect_the_truth()


def delete(place: Place) -> None:
    place.store.unlink()


def delete_the_folder(place: Place) -> None:
    shutil.rmtree(place.state)


def rename(place: Place) -> None:
    place.store.rename(place.store.with_name("moved.db"))


def put_another_in_its_place(place: Place) -> None:
    other = place.folder / "other.db"
    shutil.copy(place.store, other)
    other.rename(place.store)


def copy_a_backup_over_it(place: Place) -> None:
    place.store.write_bytes((place.folder / "backup.db").read_bytes())


def overwrite_page_1(place: Place) -> None:
    overwrite(place.store, 0, 4096)


def empty(place: Place) -> None:
    os.truncate(place.store, 0)


def empty_the_log(place: Place) -> None:
    os.truncate(f"{place.store}-wal", 0)


SPOILS: Final = (
    (overwrite_page_1, delete_the_folder, put_another_in_its_place, copy_a_backup_over_it)
    if os.environ.get("STORE_FAULTS") != "all"
    else (
        *(overwrite_page_1, empty, empty_the_log),
        *(delete, delete_the_folder, rename),
        *(put_another_in_its_place, copy_a_backup_over_it),
    )
)
"""What is done to the file of a running daemon; STORE_FAULTS=all for more of it."""


@pytest.mark.timeout(30 + 15 * len(SPOILS))
async def test_what_happens_to_the_file_while_it_is_in_use_is_told_and_mended(place: Place) -> None:
    async with settled(place) as running:
        assert await running.stop() == 0
    shutil.copy(place.store, place.folder / "backup.db")

    async with settled(place) as running:
        for times, spoil in enumerate(SPOILS, 1):
            spoil(place)
            await place.suffer(running, times, version="1.0")
            await place.hears(running, times)
        await place.be_over(running, len(SPOILS))

    place.expect_the_truth(len(SPOILS))


@pytest.mark.parametrize("spoil", [overwrite_page_1, empty])
async def test_a_store_that_is_damaged_before_the_start_is_kept_and_people_are_told(
    place: Place, spoil: Callable[[Place], None]
) -> None:
    async with settled(place) as running:
        place.street["shop"].broken = True
        await until(lambda: place.told() == ["opened"])
        await running.until(lambda status: not status["undelivered"])
        assert await running.stop() == 0
    spoil(place)
    damaged = place.store.read_bytes()

    async with daemon(place.folder) as running:
        await until(lambda: place.told() == ["opened", "opened"])
        place.street["shop"].broken = False
        await place.be_over(running)

    (kept,) = place.state.glob("monitor.db.corrupt-*")
    assert kept.read_bytes() == damaged
    assert place.told() == ["opened", "opened", "resolved"]
    alert = next(one.json for one in place.receiver.received if one.json["event"] == "blind")
    assert str(kept) in alert["text"]


async def test_a_folder_that_can_never_be_written_is_refused_before_anything_is_watched(
    place: Place, tiny: Disk
) -> None:
    tiny.protect()

    ended = await run("run", cwd=place.folder, environ={"PORT": str(unused_port())})

    assert ended.code == 2
    assert ended.err == f"{place.state}: the directory of the store cannot be written\n"
    assert place.street["shop"].asked == 0
