"""A patient opener gets a store even where it cannot be written yet, and never loses one by it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.changes import Changes
from monitor.store import Store, StoreError, StoreLost, files
from monitor.store.files import find_filesystem
from monitor.store.lock import lock_path, read_holder
from tests.support.disk import Disk, small_disk
from tests.support.logs import capture_logs
from tests.support.stored import NOON, a_result, a_state, after, held_by_another, overwrite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    OpenStore = Callable[..., Awaitable[Store]]

SOME = Changes(states=(a_state(),), results=(a_result(),))
MORE = Changes(states=(a_state(), a_state("api.headers")))


@pytest.fixture
def disk(path: Path) -> Iterator[Disk]:
    with small_disk(path.parent) as mounted:
        yield mounted


@pytest.fixture
async def written(open_store: OpenStore, disk: Disk) -> None:
    """Leave a store on the disk that was closed in order."""
    store = await open_store()
    await store.commit(SOME)
    await store.close()


async def expect_it_cannot_be_written(store: Store) -> None:
    assert store.problem is not None
    assert "no room left on the disk" in str(store.problem)
    for _ in range(2):
        with pytest.raises(StoreLost, match="no room left on the disk"):
            await store.commit(MORE)
        with pytest.raises(StoreError, match=r"monitor\.db"):
            await store.reattach()


async def expect_it_can(store: Store) -> None:
    await store.reattach()
    await store.commit(MORE)
    assert store.problem is None
    assert len((await store.load()).states) == 2


async def test_without_room_for_a_store_there_is_none_until_there_is(
    open_store: OpenStore, disk: Disk, path: Path
) -> None:
    disk.fill()
    store = await open_store(patient=True)
    situation = await store.load()

    await expect_it_cannot_be_written(store)
    disk.make_room()
    await expect_it_can(store)

    assert situation.states == {}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.glob("*-20*")) == []


async def test_a_start_without_room_leaves_nothing_that_looks_like_damage(
    open_store: OpenStore, disk: Disk, path: Path
) -> None:
    disk.fill()
    for patient in (True, False, True):
        try:
            store = await open_store(patient=patient)
        except StoreError:
            continue
        await store.load()
        with pytest.raises(StoreError):
            await store.reattach()
        await store.close()
        assert store.set_aside is None
        assert not path.exists()
    disk.make_room()

    store = await open_store()

    assert store.set_aside is None
    assert list(path.parent.glob("*corrupt*")) == []


@pytest.mark.usefixtures("written")
async def test_what_is_there_is_read_without_room_and_goes_on_with_it(
    open_store: OpenStore, disk: Disk
) -> None:
    disk.fill()
    store = await open_store(patient=True)
    situation = await store.load()

    assert await store.samples_of({"api": NOON}) == {}
    assert await store.outcomes_of({"api": NOON}, {"api": "api.health"}, 9) == {}
    await expect_it_cannot_be_written(store)
    disk.make_room()
    await expect_it_can(store)

    assert list(situation.states) == ["api.health"]
    assert len(await store.results(None, NOON, 9)) == 1


async def test_what_a_crash_left_in_the_log_is_read_without_room_for_shared_memory(
    open_store: OpenStore, disk: Disk, path: Path, tmp_path: Path
) -> None:
    crashed = await Store.open(tmp_path / "crashed" / "monitor.db", holder="pytest")
    await crashed.commit(SOME)
    for suffix in ("", "-wal"):
        shutil.copy(f"{crashed.path}{suffix}", f"{path}{suffix}")
    await crashed.close()
    disk.fill()

    store = await open_store(patient=True)
    situation = await store.load()
    disk.make_room()
    await expect_it_can(store)

    assert list(situation.states) == ["api.health"]
    assert len(await store.results(None, NOON, 9)) == 1


@pytest.mark.usefixtures("written")
async def test_who_is_not_patient_is_told_and_nothing_stays_open(
    open_store: OpenStore, disk: Disk
) -> None:
    disk.fill()
    with pytest.raises(StoreError, match="cannot open the store"):
        await open_store()
    disk.make_room()

    assert len((await (await open_store()).load()).states) == 1


@pytest.mark.usefixtures("written")
async def test_what_cannot_be_read_without_room_is_set_aside_and_not_written_over(
    open_store: OpenStore, disk: Disk, path: Path
) -> None:
    # What a start does not look at before it needs room, and reading it then meets.
    overwrite(path, 4096, 8192)
    damaged = path.read_bytes()
    disk.fill()
    store = await open_store(patient=True)
    with capture_logs() as logs:
        situation = await store.load()
    disk.make_room()
    await expect_it_can(store)

    assert situation.states == {}
    assert [log["event"] for log in logs] == ["store_unreadable"]
    (kept,) = path.parent.glob("monitor.db.unreadable-*Z")
    assert kept.read_bytes() == damaged


@pytest.mark.usefixtures("written")
async def test_a_store_that_is_taken_away_while_there_is_no_room_is_copied_back_later(
    open_store: OpenStore, disk: Disk, path: Path
) -> None:
    store = await open_store()
    await store.tell_control(path.with_name("control.sock"))
    disk.fill()
    path.unlink()
    lock_path(path).unlink()
    disk.fill()
    for _ in range(2):
        with pytest.raises(StoreLost, match="deleted or replaced"):
            await store.commit(MORE)
        with pytest.raises(StoreError, match=r"full|No space left"):
            await store.reattach()
    disk.make_room()
    await expect_it_can(store)

    assert len(await store.results(None, NOON, 9)) == 1
    holder = read_holder(path)
    assert holder is None or holder.control.endswith("control.sock")


async def test_what_cannot_be_migrated_without_room_is_refused(
    open_store: OpenStore, disk: Disk, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as old:
        old.execute("create table alembic_version (version_num varchar(32) primary key)")
    disk.fill()

    with pytest.raises(StoreError, match=r"cannot be migrated: .*no room left"):
        await (await open_store(patient=True)).load()


async def test_forgetting_fails_without_room_and_is_done_later(
    open_store: OpenStore, disk: Disk
) -> None:
    store = await open_store()
    for part in range(10):
        await store.commit(
            Changes(results=tuple(a_result(after(100 * part + n)) for n in range(100)))
        )
    later = NOON + timedelta(days=40)
    disk.fill()

    with pytest.raises(StoreError, match="full"):
        while True:
            await store.commit(Changes(results=(a_result(later),), states=(a_state(),)))
            await store.prune(NOON, NOON)
            await store.prune(later, later)
    assert len(await store.results(None, NOON, 10_000)) >= 1_000
    disk.make_room()

    assert await store.prune(later, later) >= 1_000


async def test_a_healthy_store_that_must_not_be_read_is_no_reason_to_begin_without_it(
    open_store: OpenStore, path: Path
) -> None:
    store = await open_store()
    await store.commit(SOME)
    await store.close()

    with held_by_another(path, unreadable=True), pytest.raises(StoreError, match="locked"):
        await open_store(patient=True, busy_timeout=timedelta(milliseconds=20))


async def test_a_network_file_system_is_refused_by_name(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "find_filesystem", lambda _directory: "nfs4")

    with pytest.raises(StoreError, match=r"expected a local disk for the store, found .* \(nfs4\)"):
        await open_store(patient=True)


def test_the_file_system_of_a_folder_is_found(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 0:21 / /proc rw - proc proc rw\n"
        f"36 22 {device >> 8 & 0xFFF}:{device & 0xFF} / /srv rw shared:1 - nfs4 host:/x rw\n"
    )

    assert find_filesystem(tmp_path, mounts) == "nfs4"
    assert find_filesystem(tmp_path, tmp_path / "none") == ""
    assert find_filesystem(tmp_path) not in ("", "nfs4")
