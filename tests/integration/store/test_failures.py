"""What disks, locks and signals do to a commit: it fails aloud, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.changes import Changes
from monitor.store import Store, StoreError, StoreHeld, StoreLost, attachment
from monitor.store.journal import Journal
from monitor.store.lock import Lock, lock_path
from tests.support.stored import NOON, a_result, a_state, after, an_incident, overwrite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    OpenStore = Callable[..., Awaitable[Store]]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SOME = Changes(states=(a_state(),))
SHORT = timedelta(milliseconds=20)


def run_program(name: str, *arguments: str, before: tuple[str, ...] = ()) -> str:
    finished = subprocess.run(
        [*before, sys.executable, str(HERE / name), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        input="\n",
        timeout=90,
    )

    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_what_was_acknowledged_survives_being_killed_at_any_moment(path: Path) -> None:
    committed = run_program("killed.py", str(path), "20")

    assert int(committed) >= 20


def test_a_full_disk_fails_commits_until_there_is_room_and_loses_nothing(path: Path) -> None:
    told, readable, waiting, kept = run_program("full_disk.py", str(path)).splitlines()

    assert "monitor.db: cannot write the store:" in told
    assert readable == "readable True"
    assert waiting in ("waiting 1", "waiting 2")
    assert kept == "kept True True None"


@pytest.mark.needs("strace")
@pytest.mark.parametrize(
    ("call", "error"),
    [("fdatasync", "EIO"), ("pwrite64", "ENOSPC"), ("pwrite64", "EIO")],
)
def test_a_commit_whose_disk_fails_is_no_commit_and_the_next_one_is(
    path: Path, call: str, error: str
) -> None:
    strace = ("strace", "-f", "-o", str(path.parent / "trace"), "-e", f"trace={call},openat")
    path.parent.mkdir()
    run_program("failing_sync.py", str(path), before=strace)
    opening, _, committing = (path.parent / "trace").read_text().partition("monitor.db.opened")
    assert f"{call}(" in committing

    number = opening.count(f"{call}(") + 1
    told = run_program(
        "failing_sync.py",
        str(path.with_name("fails.db")),
        before=(*strace, "-e", f"inject={call}:error={error}:when={number}"),
    ).splitlines()

    assert "fails.db: cannot write the store: " in told[0]
    assert told[1:] == ["durable", "durable", "there: i1, i2"]


async def test_a_store_that_another_process_locks_fails_until_it_lets_go(
    open_store: OpenStore, path: Path
) -> None:
    store = await open_store(busy_timeout=SHORT)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match=r"monitor\.db: cannot write the store: .*locked"):
        await store.commit(SOME)

    other.execute("ROLLBACK")
    other.close()
    await store.commit(SOME)
    assert len((await store.load()).states) == 1


async def test_a_commit_without_memory_fails_aloud_and_the_next_one_is_kept(
    open_store: OpenStore,
) -> None:
    store = await open_store()
    await store._run(_starve, store)

    with pytest.raises(StoreError, match=r"cannot write the store: .*memory"):
        await store.commit(SOME)

    await store.commit(SOME)
    assert len((await store.load()).states) == 1


def _starve(store: Store) -> None:
    """Let its connection find no memory when it writes."""
    connection = store._attachment._connection
    assert connection is not None

    def find() -> None:
        raise MemoryError

    connection.create_function("find_memory", 0, find)
    connection.execute(
        "CREATE TEMP TRIGGER starve BEFORE INSERT ON check_states BEGIN SELECT find_memory(); END"
    )


async def test_a_journal_writes_by_itself_once_the_store_is_free(
    open_store: OpenStore, path: Path
) -> None:
    store = await open_store(busy_timeout=SHORT)
    journal = Journal(store.commit, batch=SHORT)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError):
        await journal.now(SOME)

    other.execute("ROLLBACK")
    other.close()
    await journal.close()

    assert len((await store.load()).states) == 1


async def reattach(store: Store) -> None:
    """Do as the journal does: all that is known is written anew."""
    with pytest.raises(StoreLost, match=str(store.path)):
        await store.commit(SOME)
    await store.reattach()
    await store.commit(SOME)


@pytest.mark.parametrize("suffix", ["", ".lock", "-wal"])
async def test_a_file_that_was_deleted_under_us_is_made_anew_and_keeps_its_history(
    open_store: OpenStore, path: Path, suffix: str
) -> None:
    store = await open_store()
    await store.commit(Changes(results=(a_result(),)))
    path.with_name(path.name + suffix).unlink()

    await reattach(store)
    await store.close()

    again = await open_store()
    assert len((await again.load()).states) == 1
    assert len(await again.results(None, NOON, 9)) == 1
    assert again.set_aside is None
    assert [file.name for file in path.parent.glob("*replaced*")] == []


async def test_a_folder_that_was_deleted_under_us_is_made_anew(
    open_store: OpenStore, path: Path
) -> None:
    store = await open_store()
    await store.commit(Changes(results=(a_result(),)))
    shutil.rmtree(path.parent)

    await reattach(store)
    await store.close()

    again = await open_store()
    assert len((await again.load()).states) == 1
    assert len(await again.results(None, NOON, 9)) == 1
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_store_that_was_moved_away_is_copied_back(
    open_store: OpenStore, path: Path
) -> None:
    store = await open_store()
    await store.commit(Changes(results=(a_result(),)))
    path.rename(path.with_name("moved.db"))

    await reattach(store)

    assert len(await store.results(None, NOON, 9)) == 1


async def test_what_was_put_in_place_of_the_store_is_set_aside_and_never_written(
    open_store: OpenStore, path: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    other = await Store.open(backup, holder="pytest")
    await other.commit(Changes(states=(a_state("of the backup"),)))
    await other.close()
    bytes_of_backup = backup.read_bytes()
    store = await open_store()
    await store.commit(Changes(results=(a_result(),)))
    backup.rename(path)

    await reattach(store)

    (kept,) = path.parent.glob("monitor.db.replaced-*")
    assert kept.read_bytes() == bytes_of_backup
    assert list((await store.load()).states) == ["api.health"]
    assert len(await store.results(None, NOON, 9)) == 1


async def test_a_backup_that_was_copied_over_the_store_does_not_win(
    open_store: OpenStore, path: Path, tmp_path: Path
) -> None:
    store = await open_store()
    await store.commit(Changes(incidents=(an_incident(sequence=1),)))
    await store.close()
    backup = path.read_bytes()
    store = await open_store()
    await store.commit(Changes(incidents=(an_incident(sequence=2),)))
    await store.close()
    store = await open_store()
    path.write_bytes(backup)

    with pytest.raises(StoreLost, match="changed by another program"):
        await store.commit(SOME)
    await store.reattach()
    await store.commit(Changes(incidents=(an_incident(sequence=2),)))

    assert (await store.load()).incidents["i1"].sequence == 2


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: overwrite(path, 0, 4096), id="page 1"),
        pytest.param(lambda path: path.write_bytes(b"\x5a" * 9000), id="garbage"),
        pytest.param(lambda path: os.truncate(path, 0), id="emptied"),
        pytest.param(lambda path: os.truncate(path, 5000), id="cut off"),
        pytest.param(lambda path: os.truncate(f"{path}-wal", 0), id="its log emptied"),
        pytest.param(lambda path: os.truncate(f"{path}-wal", 3000), id="its log cut off"),
    ],
)
async def test_damage_done_while_running_costs_nothing_that_is_known(
    open_store: OpenStore, path: Path, spoil: Callable[[Path], None]
) -> None:
    store = await open_store()
    await store.commit(SOME)
    await store.close()
    store = await open_store()
    await store.commit(Changes(results=(a_result(),)))
    spoil(path)

    await reattach(store)
    await store.close()

    again = await open_store()
    assert len((await again.load()).states) == 1
    assert again.set_aside is None


async def test_a_long_log_is_brought_into_the_database_which_stays_ours(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachment, "_LONG_LOG", 1)

    await store.commit(SOME)
    await store.commit(SOME)

    alone = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)
    assert alone.execute("SELECT count(*) FROM check_states").fetchone() == (1,)
    alone.close()


async def test_sqlite_itself_never_writes_the_database(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachment, "_LONG_LOG", 1_000_000_000)
    large = tuple(a_result(after(n), version="v" * 3_000) for n in range(1_500))

    before = path.stat().st_mtime_ns
    await store.commit(Changes(results=large))
    await store.commit(SOME)

    assert path.stat().st_mtime_ns == before
    assert path.with_name("monitor.db-wal").stat().st_size > 4_096_000


async def test_a_lock_that_somebody_else_took_meanwhile_is_theirs(
    open_store: OpenStore, path: Path
) -> None:
    store = await open_store()
    lock_path(path).unlink()
    thief = Lock.take(path, command="thief", now=NOON)
    with pytest.raises(StoreLost, match="the lock of the store was deleted or replaced"):
        await store.commit(SOME)
    with pytest.raises(StoreHeld, match="held by `thief`"):
        await store.reattach()

    thief.release()
    await store.reattach()
    await store.commit(SOME)


async def test_a_store_whose_connection_is_lost_while_reading_is_read_again(
    open_store: OpenStore, path: Path
) -> None:
    store = await open_store(busy_timeout=SHORT)
    await store.commit(SOME)
    await store._run(store._attachment._disconnect)

    assert len((await store.load()).states) == 1
