"""What was committed is read back, by this process and by the next."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.changes import NOTHING, Changes
from monitor.core.model.check_state import CheckState
from monitor.core.model.notice import DeliveryState
from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome
from monitor.store import MemoryStore, Store, StoreError, tables
from monitor.store.codec import CodecError
from monitor.store.reading import RECENT_DELIVERIES
from tests.support.stored import (
    NOON,
    a_delivery,
    a_deploy,
    a_heartbeat,
    a_pin,
    a_presence,
    a_result,
    a_rollback,
    a_silence,
    a_state,
    a_step,
    after,
    an_entry,
    an_incident,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    OpenStore = Callable[[], Awaitable[Store]]

FAIL, PASS = Outcome.FAIL, Outcome.PASS
EVERYTHING = Changes(
    states=(a_state(consecutive_failures=2), a_state("web.health")),
    results=(a_result(), a_result(endpoint="web", code=Code.STATUS, status=500, latency=None)),
    incidents=(an_incident(sequence=2),),
    timeline=(an_entry(sequence=1), an_entry(sequence=2)),
    deliveries=(a_delivery(), a_delivery("d2", state=DeliveryState.DELIVERED)),
    deploys=(a_deploy(), a_deploy("v1@0", after(-60))),
    rollbacks=(a_rollback(),),
    steps=(a_step(),),
    pins=(a_pin(), a_pin("api.headers.drift", seen=None)),
    heartbeats=(a_heartbeat(), a_heartbeat("certificates", ended=None, started=None, pings=())),
    presences=(a_presence(), a_presence(2, 90, 120)),
    silences=(a_silence(), a_silence("s2", services=(), removed_by="ben")),
)


def rows(store: Store) -> dict[str, int]:
    """Count the rows of every table, in the thread of the store."""
    with store._attachment.transaction("BEGIN") as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()

        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for (name,) in names
        }


async def test_the_next_process_finds_everything(open_store: OpenStore) -> None:
    store = await open_store()
    await store.commit(EVERYTHING)
    await store.close()

    found = await (await open_store()).load()

    assert found.states == {state.check: state for state in EVERYTHING.states}
    assert found.incidents == {"i1": EVERYTHING.incidents[0]}
    assert found.timelines == {"i1": list(EVERYTHING.timeline)}
    assert found.deliveries == {one.id: one for one in EVERYTHING.deliveries}
    assert found.deploys == {one.id: one for one in EVERYTHING.deploys}
    assert found.rollbacks == {"r1": EVERYTHING.rollbacks[0]}
    assert found.steps == {"r1.1.1": EVERYTHING.steps[0]}
    assert found.pins == {pin.check: pin for pin in EVERYTHING.pins}
    assert found.heartbeats == {one.endpoint: one for one in EVERYTHING.heartbeats}
    assert found.presences == {one.id: one for one in EVERYTHING.presences}
    assert found.silences == {one.id: one for one in EVERYTHING.silences}


async def test_a_commit_may_be_repeated(store: Store) -> None:
    await store.commit(EVERYTHING)
    once = await store._run(rows, store)

    await store.commit(EVERYTHING)

    assert await store._run(rows, store) == once
    assert once["results"] == 2


async def test_the_newest_record_of_a_key_wins(store: Store) -> None:
    await store.commit(EVERYTHING)

    await store.commit(
        Changes(
            incidents=(an_incident(sequence=3, resolved_at=after(9)),),
            states=(a_state(judged=7),),
            results=(a_result(status=204),),
        )
    )

    found = await store.load()
    assert found.incidents["i1"].resolved_at == after(9)
    assert found.states["api.health"].judged == 7
    assert [one.status for one in await store.results("api", NOON, 9)] == [204]


async def test_the_heartbeat_of_an_endpoint_that_is_gone_is_forgotten(store: Store) -> None:
    await store.commit(EVERYTHING)

    await store.commit(Changes(silenced=("backup",)))

    assert list((await store.load()).heartbeats) == ["certificates"]


async def test_forgotten_states_are_gone_however_many(store: Store) -> None:
    await store.commit(Changes(states=tuple(a_state(f"c{n}") for n in range(1_200))))

    await store.commit(Changes(forgotten=tuple(f"c{n}" for n in range(1, 1_200))))

    assert list((await store.load()).states) == ["c0"]


async def test_results_come_back_as_they_were(store: Store) -> None:
    results = (
        a_result(
            after(1),
            code=Code.TIMEOUT,
            status=None,
            latency=timedelta(seconds=5),
            scheduled=False,
            outcomes=(("api.health", Outcome.FAIL), ("api.tls", Outcome.UNKNOWN)),
            version="1.2.3",
            value=0.5,
        ),
        a_result(after(2)),
    )
    await store.commit(Changes(results=results))

    assert await store.results("api", NOON, 9) == list(results)


async def test_the_newest_results_of_all_endpoints_are_given_oldest_first(store: Store) -> None:
    await store.commit(
        Changes(
            results=tuple(a_result(after(n), "api" if n % 2 else "web") for n in (5, 3, 4, 1, 2))
        )
    )

    assert [one.at for one in await store.results(None, NOON, 3)] == [after(3), after(4), after(5)]
    assert [one.at for one in await store.results("web", NOON, 9)] == [after(2), after(4)]
    assert [one.at for one in await store.results(None, after(5), 9)] == [after(5)]
    assert await store.results(None, NOON, 0) == []
    assert await store.results("unheard", NOON, 9) == []


async def test_samples_are_the_scheduled_latencies_of_one_endpoint(store: Store) -> None:
    await store.commit(
        Changes(
            results=(
                a_result(after(3)),
                a_result(after(1)),
                a_result(after(2), scheduled=False),
                a_result(after(4), latency=None),
                a_result(after(5), "web"),
            )
        )
    )

    quarter = timedelta(milliseconds=250)
    assert await store.samples_of({"api": NOON}) == {
        "api": [(after(1), quarter), (after(3), quarter)]
    }
    assert await store.samples_of({"api": after(2), "unheard": NOON}) == {
        "api": [(after(3), quarter)]
    }


async def test_values_are_those_of_scheduled_probes(store: Store) -> None:
    await store.commit(
        Changes(
            results=(
                a_result(after(3), value=3.0),
                a_result(after(1), value=1.0),
                a_result(after(2), value=2.0, scheduled=False),
                a_result(after(4)),
                a_result(after(5), "web", value=5.0),
            )
        )
    )

    assert await store.values_of({"api": NOON, "web": NOON, "unheard": NOON}) == {
        "api": [(after(1), 1.0), (after(3), 3.0)],
        "web": [(after(5), 5.0)],
    }
    assert await store.values_of({"api": after(2)}) == {"api": [(after(3), 3.0)]}


@pytest.mark.parametrize("in_memory", [False, True], ids=["in a file", "in memory"])
async def test_outcomes_are_what_one_check_said_of_the_newest_scheduled_probes(
    store: Store, in_memory: bool
) -> None:
    known = MemoryStore() if in_memory else store
    await known.commit(
        Changes(
            results=(
                a_result(after(3), outcomes=(("api.latency", FAIL), ("api.health", FAIL))),
                a_result(after(1)),
                a_result(after(2), scheduled=False),
                a_result(after(4), outcomes=(("api.latency", PASS),)),
                a_result(after(5), "web", outcomes=(("web.health", PASS),)),
            )
        )
    )
    asked = {"api": "api.health", "web": "web.health", "unheard": "unheard.health"}

    assert await known.outcomes_of(dict.fromkeys(asked, NOON), asked, 9) == {
        "api": [(after(1), PASS), (after(3), FAIL)],
        "web": [(after(5), PASS)],
    }
    assert await known.outcomes_of({"api": after(2)}, asked, 9) == {"api": [(after(3), FAIL)]}
    assert await known.outcomes_of({"api": NOON}, asked, 2) == {"api": [(after(3), FAIL)]}


async def test_a_timeline_is_given_in_its_order(store: Store) -> None:
    entries = tuple(an_entry(sequence=n) for n in (2, 1, 3))
    await store.commit(Changes(timeline=(*entries, an_entry("i2"))))

    assert [one.sequence for one in await store.timeline("i1")] == [1, 2, 3]


async def test_incidents_are_given_that_were_open_since(store: Store) -> None:
    past = an_incident("i0", opened_at=after(-20), resolved_at=after(-10))
    await store.commit(Changes(incidents=(an_incident(), past)))

    assert await store.incidents(NOON, 9) == [an_incident()]
    assert await store.incidents(after(-15), 9) == [past, an_incident()]
    assert await store.incidents(after(-15), 1) == [an_incident()]


async def test_text_that_no_encoding_has_is_stored(store: Store) -> None:
    half = "v\ud800\0"

    await store.commit(
        Changes(
            results=(a_result(version=half), a_result(endpoint=half)),
            deploys=(a_deploy(half, version=half),),
        )
    )

    assert (await store.load()).deploys[half].version == half
    assert [one.version for one in await store.results("api", NOON, 9)] == ["v\\ud800\0"]
    assert list(await store.samples_of({half: NOON})) == [half]


async def test_a_bundle_is_written_whole_or_not_at_all(store: Store) -> None:
    half_bad = Changes(
        states=(a_state(judged=1),), timeline=(an_entry(at=NOON.replace(tzinfo=None)),)
    )

    with pytest.raises(CodecError):
        await store.commit(half_bad)

    assert not (await store.load()).states
    await store.commit(Changes(states=(a_state(),)))
    assert (await store.load()).states


async def test_new_names_are_known_again_after_a_transaction_that_failed(store: Store) -> None:
    good = a_result()
    bad = a_result(after(1), duration=None)  # fails after its name was written
    with pytest.raises(TypeError):
        await store.commit(Changes(results=(good, bad)))

    await store.commit(Changes(results=(good,)))

    assert await store.results("api", NOON, 9) == [good]


async def test_nothing_costs_no_transaction(store: Store) -> None:
    await store.close()

    await store.commit(NOTHING)


async def test_a_record_that_cannot_be_read_is_left_out(store: Store) -> None:
    await store.commit(EVERYTHING)
    await store._run(spoil, store, tables.CHECK_STATES)

    found = await store.load()

    assert (found.states, len(found.incidents)) == ({}, 1)


async def test_a_start_is_refused_if_a_rollback_cannot_be_read(store: Store) -> None:
    await store.commit(EVERYTHING)
    await store._run(spoil, store, tables.ROLLBACKS)

    with pytest.raises(StoreError, match=r"monitor\.db: cannot read a stored Rollback"):
        await store.load()


def spoil(store: Store, table: tables.Table) -> None:
    with store._attachment.transaction("BEGIN IMMEDIATE") as connection:
        connection.execute(f"""UPDATE {table.name} SET body = '{{"_":99}}'""")


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    await store.close()

    with pytest.raises(StoreError, match="is closed"):
        await store.load()


async def test_a_commit_that_was_begun_is_finished_though_its_caller_is_cancelled(
    store: Store,
) -> None:
    many = Changes(results=tuple(a_result(after(n)) for n in range(2_000)))
    waiting = asyncio.create_task(store.commit(many))
    await asyncio.sleep(0)
    while store._thread._work_queue.qsize():
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert len(await store.results("api", NOON, 9_999)) == 2_000


def test_every_kind_of_record_is_in_the_round_trip() -> None:
    empty = [name for name in Changes.__slots__ if not getattr(EVERYTHING, name)]

    assert empty == ["forgotten", "silenced"]
    assert isinstance(EVERYTHING.states[0], CheckState)


async def test_whom_an_incident_was_told_is_found_as_long_as_somebody_is_not(
    open_store: OpenStore,
) -> None:
    """Else its end would not find its thread, nor who stands in that it was told already."""
    done = DeliveryState.DELIVERED
    untold = a_delivery("told", "untold", state=done), a_delivery("waits", "untold")
    refused = (
        a_delivery("letter", "refused", state=DeliveryState.DEAD),
        a_delivery("instead", "refused", state=done),
    )
    later = tuple(
        a_delivery(f"d-{number}", "later", state=done, queued_at=NOON + timedelta(hours=1))
        for number in range(RECENT_DELIVERIES)
    )
    store = await open_store()
    await store.commit(Changes(deliveries=(*untold, *refused, *later)))

    found = await store.load()

    assert {"told", "waits", "letter", "instead"} <= found.deliveries.keys()
