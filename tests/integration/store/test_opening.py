"""A store opens, or says in one sentence why it does not; a corrupt one stops nobody."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.changes import Changes
from monitor.store import Store, StoreError, StoreHeld
from monitor.store.files import Files
from monitor.store.lock import Lock, lock_path, read_holder
from monitor.store.tables import REVISIONS
from tests.support.logs import capture_logs
from tests.support.stored import NOON, a_result, a_state, after, an_incident, overwrite

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    OpenStore = Callable[[], Awaitable[Store]]

ROOT = Path(__file__).parents[3]
SOME = Changes(states=tuple(a_state(f"check{n}") for n in range(200)))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def schema(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("select sql from sqlite_master where sql is not null")
        statements = {" ".join(sql.replace('"', "").split()) for (sql,) in found}
    connection.close()

    return statements


def run_python(code: str, *arguments: str) -> str:
    """Run a program that imports only what it says, and is not measured, which imports more."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, "COVERAGE_PROCESS_CONFIG": ""},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files that others own")
async def test_what_root_makes_belongs_to_whom_the_directory_belongs(path: Path) -> None:
    path.parent.mkdir()
    os.chown(path.parent, 65534, 65534)

    store = await Store.open(path, holder="production-monitor status")
    await store.commit(SOME)
    await store.close()

    assert {file.stat().st_uid for file in path.parent.iterdir()} == {65534}


async def test_only_its_owner_may_read_it(store: Store, path: Path) -> None:
    await store.commit(SOME)

    assert mode(path.parent) == 0o700
    assert {mode(file) for file in path.parent.iterdir()} == {0o600}


async def test_commits_reach_the_disk_before_they_return(store: Store) -> None:
    def pragmas() -> list[object]:
        with store._attachment.transaction("BEGIN") as connection:
            return [
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            ]

    assert await store._run(pragmas) == ["wal", 2, 1, 5000]


async def test_closing_leaves_one_file_and_a_free_lock(store: Store, path: Path) -> None:
    await store.commit(SOME)
    await store.close()

    assert {file.name for file in path.parent.iterdir()} == {"monitor.db", "monitor.db.lock"}
    assert read_holder(path) is None


async def test_a_second_owner_is_told_who_has_it(open_store: OpenStore, path: Path) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from monitor.store import Store
async def main():
    store = await Store.open(Path(sys.argv[1]), holder="production-monitor run")
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await store.close()
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "open\n"

        with pytest.raises(StoreHeld) as caught:
            await open_store()
        first.communicate("", timeout=30)

    assert caught.value.holder is not None
    assert caught.value.holder.pid == first.pid
    assert f"held by `production-monitor run` (pid {first.pid}, since 20" in str(caught.value)
    await open_store()


def test_a_holder_that_did_not_say_who_it_is_holds_it_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    lock = Lock.take(path, command="run", now=NOON)
    lock_path(path).write_text("")

    with pytest.raises(StoreHeld, match="held by another process"):
        Lock.take(path, command="run", now=NOON)
    lock.release()


async def test_a_file_in_place_of_the_directory_is_named(open_store: OpenStore, path: Path) -> None:
    path.parent.write_text("")

    with pytest.raises(StoreError, match="state: expected a directory for the store, found a file"):
        await open_store()


async def test_a_file_above_the_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="expected a directory"):
        await Store.open(tmp_path / "file" / "deep" / "monitor.db", holder="pytest")


async def test_a_directory_in_place_of_the_file_is_named(open_store: OpenStore, path: Path) -> None:
    path.mkdir(parents=True)

    with pytest.raises(StoreError, match="expected a file for the store, found a directory"):
        await open_store()


async def test_a_directory_that_cannot_be_created_is_named(unprivileged: Path) -> None:
    unprivileged.chmod(0o500)

    with pytest.raises(StoreError, match="state: cannot create the directory of the store: Perm"):
        await Store.open(unprivileged / "state" / "monitor.db", holder="pytest")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make something for somebody else")
async def test_what_belongs_to_another_user_is_refused_at_once(unprivileged: Path) -> None:
    nobody = os.geteuid()
    os.seteuid(0)
    (unprivileged / "theirs").mkdir(mode=0o755)
    (unprivileged / "monitor.db").touch(mode=0o644)
    os.seteuid(nobody)

    with pytest.raises(StoreError, match="theirs: the directory of the store cannot be written"):
        await Store.open(unprivileged / "theirs" / "monitor.db", holder="pytest", patient=True)
    with pytest.raises(StoreError, match=r"monitor\.db: .*(denied|cannot|read-only|readonly)"):
        await Store.open(unprivileged / "monitor.db", holder="pytest", patient=True)


async def test_a_directory_that_cannot_be_written_is_named(unprivileged: Path) -> None:
    unprivileged.chmod(0o500)

    with pytest.raises(StoreError, match="the directory of the store cannot be written"):
        await Store.open(unprivileged / "monitor.db", holder="pytest")


@pytest.mark.parametrize("name", ["monitor.db", "monitor.db.lock"])
async def test_a_file_that_cannot_be_written_is_named(unprivileged: Path, name: str) -> None:
    path = unprivileged / "monitor.db"
    await (await Store.open(path, holder="pytest")).close()
    (unprivileged / name).chmod(0o400)

    with pytest.raises(StoreError, match=rf"{name}: cannot .* Permission denied"):
        await Store.open(path, holder="pytest")


async def test_a_store_of_a_later_version_is_refused_and_left_alone(
    open_store: OpenStore, path: Path
) -> None:
    store = await open_store()
    await store.commit(SOME)
    await store.close()
    execute(path, "update alembic_version set version_num = '9999'")

    with pytest.raises(StoreError, match=r"a later version \(its revision is 9999, this"):
        await open_store()

    execute(path, f"update alembic_version set version_num = '{REVISIONS[-1]}'")
    assert len((await (await open_store()).load()).states) == 200


async def test_a_database_of_another_program_is_refused(open_store: OpenStore, path: Path) -> None:
    path.parent.mkdir()
    execute(path, "create table songs (title)")

    with pytest.raises(StoreError, match="database of another program"):
        await open_store()


async def test_an_empty_file_becomes_a_store(open_store: OpenStore, path: Path) -> None:
    path.parent.mkdir()
    path.touch()

    store = await open_store()

    assert (await store.load()).states == {}
    assert store.set_aside is None


async def test_an_old_store_is_migrated_to_the_tables_of_a_new_one(
    open_store: OpenStore, path: Path, tmp_path: Path
) -> None:
    path.parent.mkdir()
    execute(path, "create table alembic_version (version_num varchar(32) not null primary key)")
    new = tmp_path / "new.db"
    await (await Store.open(new, holder="pytest")).close()

    await (await open_store()).close()

    without_revision = {sql for sql in schema(new) if "alembic_version" not in sql}
    assert {sql for sql in schema(path) if "alembic_version" not in sql} == without_revision
    assert len(without_revision) > 10
    with sqlite3.connect(path) as connection:
        assert connection.execute("select * from alembic_version").fetchall() == [(REVISIONS[-1],)]
    connection.close()


def test_the_revisions_are_those_of_the_migrations() -> None:
    folder = ROOT / "monitor" / "store" / "migrations" / "versions"

    assert [file.name[:4] for file in sorted(folder.glob("*.py"))] == list(REVISIONS)


def test_new_and_current_stores_do_without_a_database_library(path: Path) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from monitor.store import Store
async def main():
    for _ in range(2):
        await (await Store.open(Path(sys.argv[1]), holder="pytest")).close()
asyncio.run(main())
print(sorted({"alembic", "sqlalchemy"} & sys.modules.keys()))
"""

    assert run_python(code, str(path)) == "[]\n"


def test_a_run_without_state_does_without_a_database() -> None:
    code = "import sys, monitor.store; print('sqlite3' in sys.modules)"

    assert run_python(code) == "False\n"


def execute(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


async def fill(open_store: OpenStore) -> None:
    store = await open_store()
    await store.commit(SOME)
    await store.commit(Changes(results=tuple(a_result(after(n)) for n in range(2_000))))
    await store.close()


@pytest.mark.parametrize(
    ("at", "length"),
    [(0, 4096), (0, 16), (100, 4000), (4096, 8192)],
    ids=["page 1", "the header", "the schema", "pages of the counters"],
)
async def test_a_corrupt_store_is_set_aside_and_an_empty_one_begun(
    open_store: OpenStore, path: Path, at: int, length: int
) -> None:
    await fill(open_store)
    overwrite(path, at, length)
    damaged = path.read_bytes()

    with capture_logs() as logs:
        store = await open_store()
        situation = await store.load()

    assert situation.states == {}
    assert store.set_aside == path.with_name("monitor.db.corrupt-20260301T120000.000000Z")
    assert store.set_aside.read_bytes() == damaged
    assert [log["event"] for log in logs] == ["store_set_aside"]
    await store.commit(SOME)
    assert len((await store.load()).states) == 200


async def test_damage_that_only_a_check_finds_is_found_after_an_end_without_close(
    open_store: OpenStore, path: Path
) -> None:
    await fill(open_store)
    overwrite(path, path.stat().st_size - 4096, 4096)  # results, which a start does not read
    path.with_name("monitor.db-wal").write_bytes(b"left behind")

    store = await open_store()

    assert store.set_aside is not None
    assert await store.results(None, NOON, 9) == []


def test_what_belongs_to_a_corrupt_store_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    for suffix in ("", "-wal", "-shm", ".suspect"):
        path.with_name(path.name + suffix).write_text(suffix)

    kept = Files(path).set_aside(NOON)

    assert {file.name for file in tmp_path.iterdir()} == {
        kept.name,
        f"{kept.name}-wal",
        f"{kept.name}-shm",
    }


def test_a_corrupt_store_that_cannot_be_moved_is_named(unprivileged: Path) -> None:
    path = unprivileged / "monitor.db"
    path.touch()
    unprivileged.chmod(0o500)

    with pytest.raises(StoreError, match="is corrupt and cannot be set aside: Permission denied"):
        Files(path).set_aside(NOON)
    Files(path).mark_suspect()


async def test_damage_met_while_running_is_found_at_the_next_start(
    open_store: OpenStore, path: Path
) -> None:
    await fill(open_store)
    overwrite(path, path.stat().st_size - 4096 * 8, 4096 * 8)
    first = await open_store()
    assert first.set_aside is None
    with pytest.raises(StoreError, match=r"cannot read the store: .*malformed"):
        await first.results("api", NOON, 9_999)
    await first.close()

    second = await open_store()

    assert second.set_aside is not None
    await second.close()
    assert (await open_store()).set_aside is None


async def test_a_suspicion_that_was_wrong_changes_nothing(
    open_store: OpenStore, path: Path
) -> None:
    await fill(open_store)
    mark = path.with_name("monitor.db.suspect")
    mark.touch()

    store = await open_store()

    assert len((await store.load()).states) == 200
    assert not mark.exists()


async def test_a_log_that_was_cut_off_costs_only_what_was_cut(
    open_store: OpenStore, path: Path, tmp_path: Path
) -> None:
    store = await open_store()
    await store.commit(Changes(incidents=(an_incident("first"),)))
    whole = path.with_name("monitor.db-wal").read_bytes()
    await store.commit(Changes(incidents=(an_incident("second"),)))
    after_a_crash = tmp_path / "crashed.db"
    after_a_crash.write_bytes(path.read_bytes())
    after_a_crash.with_name("crashed.db-wal").write_bytes(
        path.with_name("monitor.db-wal").read_bytes()[: len(whole) + 1000]
    )

    crashed = await Store.open(after_a_crash, holder="pytest")

    assert list((await crashed.load()).incidents) == ["first"]
    assert crashed.set_aside is None
    await crashed.close()


async def test_an_opening_that_is_cancelled_leaves_nothing_open(
    open_store: OpenStore, path: Path
) -> None:
    opening = asyncio.create_task(Store.open(path, holder="pytest"))
    await asyncio.sleep(0.001)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)

    async with asyncio.timeout(10):
        while True:
            try:
                await open_store()
                break
            except StoreHeld:
                await asyncio.sleep(0.005)

    assert path.exists()
