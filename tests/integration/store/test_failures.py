"""What disks, locks and signals do to a commit: it fails aloud, and nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.changes import Changes
from monitor.store import Store, StoreError
from monitor.store.journal import Journal
from monitor.store.lock import lock_path
from tests.support.stored import a_state

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


@pytest.mark.parametrize("which", ["the store", "its lock"])
async def test_a_store_that_was_deleted_under_us_is_not_written_in_vain(
    store: Store, path: Path, which: str
) -> None:
    await store.commit(SOME)
    (path if which == "the store" else lock_path(path)).unlink()

    with pytest.raises(StoreError, match="deleted or replaced while it was in use"):
        await store.commit(SOME)


async def test_a_store_whose_connection_is_lost_while_reading_is_read_again(
    open_store: OpenStore, path: Path
) -> None:
    store = await open_store(busy_timeout=SHORT)
    await store.commit(SOME)
    await store._run(store._database._disconnect)

    assert len((await store.load()).states) == 1
