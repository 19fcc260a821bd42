"""Old things are forgotten, but nothing that still decides."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployState
from monitor.core.model.notice import DeliveryState
from monitor.core.model.rollback import Blocked, RollbackState
from monitor.core.situation import KEPT_PRESENCES, Situation
from monitor.store import pruning
from tests.support.stored import (
    DAY,
    NOON,
    a_delivery,
    a_deploy,
    a_heartbeat,
    a_presence,
    a_result,
    a_rollback,
    a_state,
    a_step,
    after,
    an_entry,
    an_incident,
)

if TYPE_CHECKING:
    from monitor.store import Store

NOW = NOON + 100 * DAY
BEFORE = NOON + 10 * DAY
LONG_AGO = NOON


async def test_results_before_are_forgotten_in_chunks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "CHUNK", 7)
    old = tuple(a_result(after(n), endpoint) for n in range(20) for endpoint in ("api", "web"))
    young = (a_result(BEFORE), a_result(NOW, "web"))
    await store.commit(Changes(results=old + young))

    assert await store.prune(BEFORE, NOW) == 40
    assert await store.results(None, NOON, 99) == list(young)


async def test_a_commit_gets_its_turn_between_two_chunks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "CHUNK", 1)
    await store.commit(Changes(results=tuple(a_result(after(n)) for n in range(60))))
    pruning_all = asyncio.create_task(store.prune(BEFORE, NOW))
    await asyncio.sleep(0)

    await store.commit(Changes(states=(a_state(),)))

    assert not pruning_all.done()
    assert await pruning_all == 60


async def test_nothing_of_the_last_day_is_forgotten_however_short_the_retention(
    store: Store,
) -> None:
    yesterday = a_result(NOW - DAY)
    await store.commit(Changes(results=(yesterday, a_result(NOW - 2 * DAY))))

    assert await store.prune(NOW, NOW) == 1
    assert await store.results(None, NOON, 9) == [yesterday]


async def test_resolved_incidents_go_with_all_that_belongs_to_them(store: Store) -> None:
    await store.commit(
        Changes(
            incidents=(an_incident(resolved_at=after(9)),),
            timeline=(an_entry(),),
            deliveries=(a_delivery(state=DeliveryState.DELIVERED),),
        )
    )

    assert await store.prune(BEFORE, NOW) == 1

    assert await store.incidents(LONG_AGO, 9) == []
    assert await store.timeline("i1") == ()
    assert (await store.load()).deliveries == {}


async def test_open_and_recent_incidents_stay(store: Store) -> None:
    incidents = (an_incident("open"), an_incident("recent", resolved_at=BEFORE))
    delivered = a_delivery(incident="open", state=DeliveryState.DELIVERED)
    await store.commit(
        Changes(incidents=incidents, timeline=(an_entry("open"),), deliveries=(delivered,))
    )

    assert await store.prune(BEFORE, NOW) == 0

    found = await store.load()
    assert set(found.incidents) == {"open", "recent"}
    assert found.deliveries == {"d1": delivered}
    assert found.timelines == {"open": [an_entry("open")]}


@pytest.mark.parametrize("state", [DeliveryState.QUEUED, DeliveryState.INFLIGHT])
async def test_an_incident_stays_while_it_has_to_be_told(
    store: Store, state: DeliveryState
) -> None:
    told = a_delivery(state=state)
    await store.commit(Changes(incidents=(an_incident(resolved_at=after(9)),), deliveries=(told,)))

    assert await store.prune(BEFORE, NOW) == 0
    assert (await store.load()).pending_deliveries("ops") == [told]


async def test_notices_of_no_incident_are_forgotten_once_they_are_told(store: Store) -> None:
    await store.commit(
        Changes(
            deliveries=(
                a_delivery("told", "test", state=DeliveryState.DELIVERED),
                a_delivery("dead", "test", state=DeliveryState.DEAD),
                a_delivery("waiting", "test"),
                a_delivery("young", "test", state=DeliveryState.DEAD, queued_at=NOW),
            )
        )
    )

    assert await store.prune(BEFORE, NOW) == 2
    assert set((await store.load()).deliveries) == {"waiting", "young"}


async def test_old_deploys_are_forgotten_but_the_newest_and_the_good_one(store: Store) -> None:
    good = a_deploy("good", after(-99), state=DeployState.CERTIFIED, certified_at=after(-90))
    earlier = a_deploy("earlier", after(-199), certified_at=after(-190))
    others = tuple(a_deploy(f"v{n}", after(n)) for n in range(30))
    elsewhere = a_deploy("elsewhere", after(-999), service="web")
    await store.commit(Changes(deploys=(good, earlier, *others, elsewhere)))

    assert await store.prune(BEFORE, NOW) == 11

    kept = (await store.load()).deploys
    assert {"good", "elsewhere"} < set(kept)
    assert {one for one in kept if one.startswith("v")} == {f"v{n}" for n in range(10, 30)}


async def test_the_current_deploy_stays_behind_any_number_that_failed(store: Store) -> None:
    failed = tuple(a_deploy(f"v{n}", after(n), state=DeployState.FAILED) for n in range(25))
    await store.commit(Changes(deploys=(a_deploy("current", after(-9)), *failed)))

    assert await store.prune(BEFORE, NOW) == 5
    assert "current" in (await store.load()).deploys


async def test_old_rollbacks_are_forgotten_with_their_steps(store: Store) -> None:
    await store.commit(
        Changes(
            rollbacks=(a_rollback("old"), a_rollback("newest", after(1))),
            steps=(a_step("old.1.1", "old"), a_step("newest.1.1", "newest")),
        )
    )

    assert await store.prune(BEFORE, NOW) == 1

    found = await store.load()
    assert (list(found.rollbacks), list(found.steps)) == (["newest"], ["newest.1.1"])


async def test_a_rollback_stays_while_it_holds_anything_back(store: Store) -> None:
    rollbacks = (
        a_rollback("older latch", after(1), state=RollbackState.FAILED),
        a_rollback("latch", after(2), state=RollbackState.NOT_RECOVERED),
        a_rollback("running", after(3), state=RollbackState.EXECUTING),
        a_rollback("deploy known", after(4), deploy_id="known"),
        a_rollback("done", after(5)),
        a_rollback("blocked", after(6), state=RollbackState.BLOCKED, blocked=Blocked.MODE),
        a_rollback("young", NOW - DAY),
        a_rollback("newest", NOW),
    )
    await store.commit(Changes(deploys=(a_deploy("known"),), rollbacks=rollbacks))

    assert await store.prune(BEFORE, NOW) == 3

    kept = set((await store.load()).rollbacks)
    assert kept == {"latch", "running", "deploy known", "young", "newest"}


async def test_memory_forgets_deploys_and_rollbacks_as_the_store_does(store: Store) -> None:
    changes = Changes(
        deploys=(
            a_deploy("good", after(-99), state=DeployState.CERTIFIED, certified_at=after(-90)),
            *(a_deploy(f"v{n}", after(n)) for n in range(30)),
            a_deploy("young", NOW),
        ),
        rollbacks=(
            a_rollback("old", deploy_id="v0"),
            a_rollback("kept by its deploy", after(1), deploy_id="v29"),
            a_rollback("newest", after(2), deploy_id="v1"),
        ),
        steps=(a_step("old.1.1", "old"), a_step("newest.1.1", "newest")),
    )
    await store.commit(changes)
    memory = Situation()
    memory.apply(changes)

    await store.prune(BEFORE, NOW)
    memory.forget_deploys(BEFORE)

    kept = await store.load()
    assert memory.everything() == kept.everything()
    assert set(kept.rollbacks) == {"kept by its deploy", "newest"}
    assert set(kept.steps) == {"newest.1.1"}
    assert memory.current_deploy("api") == kept.current_deploy("api")
    assert len(memory.rollbacks_of("api")) == 2


async def test_counters_are_never_forgotten(store: Store) -> None:
    await store.commit(Changes(states=(a_state(last_at=LONG_AGO),)))

    assert await store.prune(BEFORE, NOW) == 0
    assert "api.health" in (await store.load()).states


async def test_pings_are_kept_however_old_and_the_newest_presences(store: Store) -> None:
    kept = KEPT_PRESENCES
    presences = tuple(a_presence(n, n, n + 0.5) for n in range(1, kept + 11))
    await store.commit(Changes(heartbeats=(a_heartbeat(),), presences=presences))

    assert await store.prune(BEFORE, NOW) == 10
    found = await store.load()
    assert found.heartbeats == {"backup": a_heartbeat()}
    assert list(found.presences.values()) == list(presences[10:])
