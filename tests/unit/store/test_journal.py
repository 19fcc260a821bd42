"""Changes become durable in order, together where they can wait, and none is forgotten."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.changes import NOTHING, Changes
from monitor.store import journal as module
from monitor.store.errors import StoreError, StoreLost
from monitor.store.journal import Journal
from tests.support.stored import a_result, a_state, after, an_entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOON = timedelta(milliseconds=10)
NEVER = timedelta(hours=1)


class Disk:
    """A store that can be broken, slow, or choke on one record."""

    def __init__(self) -> None:
        self.commits: list[Changes] = []
        self.attempts = 0
        self.broken = False
        self.lost = False
        self.starved = False
        self.chokes_on: int | None = None
        self.free = asyncio.Event()
        self.free.set()
        self.begun = asyncio.Event()

    async def commit(self, changes: Changes) -> None:
        self.attempts += 1
        self.begun.set()
        await self.free.wait()
        if self.lost:
            raise StoreLost("deleted")
        if self.broken:
            raise StoreError("disk full")
        if self.starved:
            raise MemoryError
        if self.chokes_on in numbers(changes):
            raise ValueError("no way is known to store it")
        self.commits.append(changes)

    async def reattach(self) -> None:
        if self.broken:
            raise StoreError("disk full")
        self.lost = False

    @property
    def kept(self) -> list[int]:
        return [number for changes in self.commits for number in numbers(changes)]


def numbers(changes: Changes) -> list[int]:
    return [entry.sequence for entry in changes.timeline]


def bundle(number: int) -> Changes:
    return Changes(timeline=(an_entry(sequence=number),))


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def journal(disk: Disk) -> AsyncIterator[Journal]:
    """One that batches for as long as the test lasts."""
    journal = Journal(disk.commit, batch=NEVER)
    yield journal
    disk.broken, disk.chokes_on = False, None
    disk.free.set()
    await journal.close()


@pytest.fixture
async def hasty(disk: Disk) -> AsyncIterator[Journal]:
    """One whose second is ten milliseconds."""
    journal = Journal(disk.commit, batch=SOON)
    yield journal
    disk.broken, disk.chokes_on = False, None
    disk.free.set()
    await journal.close()


async def until_durable(journal: Journal) -> None:
    async with asyncio.timeout(5):
        while journal.waiting:
            await asyncio.sleep(0.001)


async def until_tried(disk: Disk, times: int) -> None:
    async with asyncio.timeout(5):
        while disk.attempts < times:
            await asyncio.sleep(0.001)


async def test_what_may_wait_becomes_durable_by_itself_in_one_commit(
    hasty: Journal, disk: Disk
) -> None:
    hasty.later(bundle(1))
    hasty.later(bundle(2))

    await until_durable(hasty)

    assert [numbers(changes) for changes in disk.commits] == [[1, 2]]


async def test_what_may_wait_does_wait(journal: Journal, disk: Disk) -> None:
    journal.later(bundle(1))
    await asyncio.sleep(0.02)

    assert (disk.commits, journal.waiting) == ([], 1)


async def test_what_hurries_takes_along_what_waits(journal: Journal, disk: Disk) -> None:
    journal.later(bundle(1))
    await asyncio.sleep(0)
    journal.soon(bundle(2))

    await until_durable(journal)

    assert [numbers(changes) for changes in disk.commits] == [[1, 2]]


async def test_now_returns_once_it_and_all_before_it_are_durable(
    journal: Journal, disk: Disk
) -> None:
    journal.later(bundle(1))

    await journal.now(bundle(2))

    assert disk.kept == [1, 2]


async def test_what_comes_during_a_commit_shares_the_next(journal: Journal, disk: Disk) -> None:
    disk.free.clear()
    first = asyncio.create_task(journal.now(bundle(1)))
    await disk.begun.wait()
    others = [asyncio.create_task(journal.now(bundle(number))) for number in (2, 3)]
    await asyncio.sleep(0)
    disk.free.set()

    await asyncio.gather(first, *others)

    assert [numbers(changes) for changes in disk.commits] == [[1], [2, 3]]


async def test_of_the_states_of_a_check_only_the_newest_is_written(
    journal: Journal, disk: Disk
) -> None:
    journal.later(Changes(states=(a_state(judged=1),)))

    await journal.now(Changes(states=(a_state(judged=2),)))

    assert [state.judged for changes in disk.commits for state in changes.states] == [2]


async def test_nothing_is_not_committed(journal: Journal, disk: Disk) -> None:
    journal.later(NOTHING)
    await journal.now(NOTHING)

    assert disk.attempts == 0


async def test_a_broken_store_is_told_to_who_waits(journal: Journal, disk: Disk) -> None:
    disk.broken = True

    with pytest.raises(StoreError, match="disk full"):
        await journal.now(bundle(1))

    assert isinstance(journal.error, StoreError)
    assert journal.waiting == 1


async def test_what_failed_is_written_first_once_the_store_works(
    journal: Journal, disk: Disk
) -> None:
    disk.broken = True
    with suppress(StoreError):
        await journal.now(bundle(1))
    disk.broken = False

    await journal.now(bundle(2))

    assert (disk.kept, journal.error) == ([1, 2], None)


async def test_what_failed_is_tried_again_without_anything_new(hasty: Journal, disk: Disk) -> None:
    disk.broken = True
    with suppress(StoreError):
        await hasty.now(bundle(1))
    await until_tried(disk, 3)
    disk.broken = False

    await until_durable(hasty)

    assert (disk.kept, hasty.error) == ([1], None)


async def test_hurry_does_not_press_a_broken_store(journal: Journal, disk: Disk) -> None:
    disk.broken = True
    with suppress(StoreError):
        await journal.now(bundle(1))

    for number in range(2, 20):
        journal.soon(bundle(number))
        await asyncio.sleep(0)

    assert disk.attempts == 1


async def test_all_who_wait_for_one_failed_commit_are_told_of_it(
    journal: Journal, disk: Disk
) -> None:
    disk.broken = True

    told = await asyncio.gather(
        *(journal.now(bundle(number)) for number in range(5)), return_exceptions=True
    )

    assert all(isinstance(one, StoreError) for one in told)
    assert disk.attempts <= 2


async def test_who_came_during_a_failed_commit_waits_for_its_own(
    journal: Journal, disk: Disk
) -> None:
    disk.broken = True
    disk.free.clear()
    first = asyncio.create_task(journal.now(bundle(1)))
    await disk.begun.wait()
    second = asyncio.create_task(journal.now(bundle(2)))
    await asyncio.sleep(0)
    first.add_done_callback(lambda _: setattr(disk, "broken", False))
    disk.free.set()

    told = await asyncio.gather(first, second, return_exceptions=True)

    assert isinstance(told[0], StoreError)
    assert disk.kept[:2] == [1, 2]


async def test_cancelling_who_waits_does_not_cancel_the_commit(
    journal: Journal, disk: Disk
) -> None:
    disk.free.clear()
    waiting = asyncio.create_task(journal.now(bundle(1)))
    await disk.begun.wait()
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    disk.free.set()

    await journal.flush()

    assert (disk.kept, disk.attempts, journal.waiting) == ([1], 1, 0)


async def test_a_failure_that_nobody_waited_for_any_more_is_made_good(
    journal: Journal, disk: Disk
) -> None:
    disk.broken = True
    disk.free.clear()
    waiting = asyncio.create_task(journal.now(bundle(1)))
    await disk.begun.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    disk.free.set()
    async with asyncio.timeout(5):
        while journal.error is None:
            await asyncio.sleep(0)
    disk.broken = False

    await journal.flush()

    assert disk.kept == [1]


async def test_a_commit_that_is_cancelled_itself_is_made_good(disk: Disk) -> None:
    journal = Journal(disk.commit, batch=NEVER)
    disk.free.clear()
    waiting = asyncio.create_task(journal.now(bundle(1)))
    await disk.begun.wait()
    for task in asyncio.all_tasks():
        if task.get_name() == "journal commit":
            task.cancel()
    with suppress(asyncio.CancelledError):
        await waiting
    disk.free.set()

    await journal.close()

    assert disk.kept == [1]


async def test_a_record_that_cannot_be_stored_blocks_no_other(journal: Journal, disk: Disk) -> None:
    disk.chokes_on = 4
    for number in range(1, 8):
        journal.later(bundle(number))

    with pytest.raises(ValueError, match="no way is known"):
        await journal.flush()

    assert (disk.kept, journal.waiting) == ([1, 2, 3, 5, 6, 7], 0)
    assert journal.error is None


async def test_without_memory_no_record_is_given_up(journal: Journal, disk: Disk) -> None:
    disk.starved = True
    for number in (1, 2, 3):
        journal.later(bundle(number))

    with pytest.raises(StoreError, match="memory"):
        await journal.flush()
    assert (journal.waiting, disk.attempts) == (3, 1)
    assert journal.error is not None

    disk.starved = False
    await journal.flush()
    assert (disk.kept, journal.waiting) == ([1, 2, 3], 0)


async def test_who_waits_for_the_record_that_cannot_be_stored_is_told(
    journal: Journal, disk: Disk
) -> None:
    disk.chokes_on = 1

    with pytest.raises(ValueError, match="no way is known"):
        await journal.now(bundle(1))

    assert journal.waiting == 0


async def test_nothing_is_given_up_if_the_store_breaks_while_a_record_is_sought(
    journal: Journal, disk: Disk
) -> None:
    disk.chokes_on = 2
    commit = disk.commit

    async def breaks_then(changes: Changes) -> None:
        disk.broken = disk.attempts == 1
        await commit(changes)

    journal._commit = breaks_then
    journal.later(bundle(1))
    journal.later(bundle(2))
    with pytest.raises(StoreError):
        await journal.flush()
    disk.chokes_on = None

    await journal.flush()

    assert disk.kept == [1, 2]


async def test_a_store_that_stays_broken_costs_old_results_and_no_decision(
    journal: Journal, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_RESULTS", 3)
    disk.broken = True
    for number in range(1, 6):
        journal.later(Changes(results=(a_result(after(number)),)) + bundle(number))
    with suppress(StoreError):
        await journal.flush()
    disk.broken = False

    await journal.flush()

    (written,) = disk.commits
    assert [result.at for result in written.results] == [after(3), after(4), after(5)]
    assert numbers(written) == [1, 2, 3, 4, 5]


async def test_closing_writes_what_waits(disk: Disk) -> None:
    journal = Journal(disk.commit, batch=NEVER)
    journal.later(bundle(1))

    await journal.close()

    assert disk.kept == [1]
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "journal"]


async def test_closing_tells_what_could_not_be_written(disk: Disk) -> None:
    disk.broken = True
    journal = Journal(disk.commit, batch=NEVER)
    journal.later(bundle(1))

    with pytest.raises(StoreError, match="disk full"):
        await journal.close()


async def test_a_commit_that_hangs_is_no_progress(
    journal: Journal, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.free.clear()
    journal.soon(bundle(1))
    await disk.begun.wait()
    at_first = journal.progresses
    monkeypatch.setattr(module, "STUCK", timedelta())
    hanging = journal.progresses
    disk.free.set()
    await journal.flush()

    assert (at_first, hanging, journal.progresses) == (True, False, True)


async def test_a_commit_that_fails_is_progress_as_well(journal: Journal, disk: Disk) -> None:
    disk.broken = True
    with pytest.raises(StoreError):
        await journal.now(bundle(1))

    assert journal.progresses


async def test_a_store_that_lost_what_was_written_is_given_all_that_is_known(disk: Disk) -> None:
    journal = Journal(
        disk.commit, batch=NEVER, reattach=disk.reattach, everything=lambda: bundle(1)
    )
    disk.lost = True

    await journal.now(bundle(2))

    assert sorted(disk.kept) == [1, 2]
    assert journal.error is None
    await journal.close()


async def test_what_is_known_is_added_once_however_long_nothing_can_be_attached(
    disk: Disk,
) -> None:
    journal = Journal(disk.commit, batch=SOON, reattach=disk.reattach, everything=lambda: bundle(1))
    disk.lost = disk.broken = True
    journal.soon(bundle(2))
    await until_tried(disk, 5)

    disk.broken = False
    await until_durable(journal)

    assert [sorted(numbers(changes)) for changes in disk.commits] == [[1, 2]]
    await journal.close()


async def test_a_trouble_that_is_over_before_anybody_looks_is_told_once(
    journal: Journal, disk: Disk
) -> None:
    disk.broken = True
    with pytest.raises(StoreError):
        await journal.now(bundle(1))
    disk.broken = False
    await journal.flush()

    assert (str(journal.take_trouble()), journal.take_trouble()) == ("disk full", None)


async def test_a_trouble_lasts_for_as_long_as_the_store_is_broken(
    journal: Journal, disk: Disk
) -> None:
    disk.broken = True
    with pytest.raises(StoreError):
        await journal.now(bundle(1))

    assert [str(journal.take_trouble()) for _ in range(2)] == ["disk full"] * 2


async def test_what_is_wrong_from_the_start_is_trouble_until_a_commit_succeeds(
    disk: Disk,
) -> None:
    journal = Journal(disk.commit, batch=NEVER, problem=StoreError("disk full"))

    assert str(journal.error) == str(journal.take_trouble()) == "disk full"
    await journal.now(bundle(1))
    assert journal.take_trouble() is None
    await journal.close()
