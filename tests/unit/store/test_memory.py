"""A run without state answers from memory, and keeps nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.core.model.changes import Changes
from monitor.store import MemoryStore
from monitor.store import memory as module
from tests.support.stored import NOON, a_result, after, an_entry, an_incident

if TYPE_CHECKING:
    import pytest


async def test_results_are_given_newest_last_and_limited() -> None:
    store = MemoryStore()
    await store.commit(
        Changes(results=(a_result(after(2)), a_result(after(1)), a_result(after(3), "web")))
    )

    assert [one.at for one in await store.results(None, NOON, 2)] == [after(2), after(3)]
    assert [one.at for one in await store.results("api", after(2), 9)] == [after(2)]
    assert await store.results("api", NOON, 0) == []


async def test_samples_are_scheduled_latencies() -> None:
    store = MemoryStore()
    await store.commit(
        Changes(
            results=(
                a_result(after(1)),
                a_result(after(2), scheduled=False),
                a_result(after(3), latency=None),
                a_result(after(4), "web"),
            )
        )
    )

    assert await store.samples_of({"api": NOON}) == {
        "api": [(after(1), timedelta(milliseconds=250))]
    }
    assert await store.samples_of({"api": after(2), "unheard": NOON}) == {"api": []}


async def test_timelines_and_incidents_are_given() -> None:
    store = MemoryStore()
    closed = an_incident("i0", opened_at=after(-9), resolved_at=after(-5))
    await store.commit(Changes(incidents=(closed, an_incident()), timeline=(an_entry(),)))

    assert await store.timeline("i1") == (an_entry(),)
    assert await store.timeline("i9") == ()
    assert await store.incidents(NOON, 9) == [an_incident()]
    assert await store.incidents(after(-9), 9) == [closed, an_incident()]
    assert await store.incidents(NOON, 0) == []


async def test_nothing_is_loaded() -> None:
    store = MemoryStore()
    await store.commit(Changes(incidents=(an_incident(),)))

    assert not (await store.load()).incidents
    assert (store.path, store.set_aside) == (None, None)
    await store.close()


async def test_only_the_newest_results_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_RESULTS", 2)
    store = MemoryStore()
    for second in range(4):
        await store.commit(Changes(results=(a_result(after(second)),)))

    assert [one.at for one in await store.results(None, NOON, 9)] == [after(2), after(3)]


async def test_old_results_are_pruned() -> None:
    store = MemoryStore()
    await store.commit(Changes(results=(a_result(after(1)), a_result(after(2)))))

    assert await store.prune(after(2), after(3)) == 1
    assert [one.at for one in await store.results(None, NOON, 9)] == [after(2)]
