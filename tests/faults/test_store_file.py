"""The daemon whose file of the store is damaged, deleted, replaced or not its own."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.place import settled
from tests.support.program import daemon
from tests.support.stored import overwrite
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.place import Place


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
        await until(lambda: place.told() == ["opened", "opened", "resolved"])
        await place.be_over(running)

    (kept,) = place.state.glob("monitor.db.corrupt-*")
    assert kept.read_bytes() == damaged
    assert place.told() == ["opened", "opened", "resolved"]
    alert = next(one.json for one in place.receiver.received if one.json["event"] == "blind")
    assert str(kept) in alert["text"]
