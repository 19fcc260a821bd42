from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from monitor.core.model.deploy import DeployKind
from monitor.core.model.endpoint import Severity
from monitor.core.model.rollback import Blocked, Mode, RollbackState, StepState
from monitor.core.rollback.rows import rollback_id
from tests.support.rolling import (
    CHECK,
    OTHER,
    World,
    make_deploy,
    make_incident,
    make_policy,
    make_rollback,
)


def tripped(mode: Mode = Mode.AUTOMATIC) -> World:
    world = World(policy=make_policy(mode))
    world.passes()
    world.deploy()
    world.later(1).fails()

    return world


def test_a_trip_becomes_one_rollback_with_the_intent_of_its_first_step() -> None:
    world = tripped()

    changes = world.decide()

    (rollback,) = changes.rollbacks
    (step,) = changes.steps
    deploy = world.situation.current_deploy("shop")
    assert deploy is not None
    assert rollback.id == rollback_id("shop", deploy.id)
    assert rollback.state is RollbackState.EXECUTING
    assert rollback.triggers == (CHECK,)
    assert rollback.reason == "api.health: status is 500, expected 2xx"
    assert rollback.incident == "shop-outage-120100"
    assert (step.key, step.state) == (f"{rollback.id}.1.1", StepState.INTENT)


def test_asking_again_while_it_runs_changes_nothing() -> None:
    world = tripped()
    world.decide()

    assert not world.later(1).decide()


def test_healthy_checks_change_nothing() -> None:
    world = World()
    world.passes()
    world.deploy()

    assert not world.decide()


def test_a_check_that_fails_but_is_not_open_trips_nothing() -> None:
    world = tripped()
    world.passes()

    assert not world.decide()


def test_off_records_nothing() -> None:
    world = tripped(Mode.OFF)

    assert not world.decide()


def test_the_mode_may_depend_on_the_severity() -> None:
    world = tripped()
    world.policy = replace(
        make_policy(Mode.OBSERVE), modes=MappingProxyType({Severity.CRITICAL: Mode.AUTOMATIC})
    )
    world.decide()
    assert world.newest.blocked is Blocked.MODE

    worse = replace(next(iter(world.situation.incidents.values())), severity=Severity.CRITICAL)
    world.know(worse)
    world.decide()

    assert world.newest.state is RollbackState.EXECUTING


def test_observe_records_a_trip_once_and_again_only_for_the_next() -> None:
    world = tripped(Mode.OBSERVE)

    first = world.decide()
    repeats = [world.later(1).decide() for _ in range(3)]
    world.later(1).recovers()
    over = world.decide()
    quiet = world.later(1).decide()
    world.later(1).fails()
    second = world.decide()

    assert [one.blocked for one in first.rollbacks] == [Blocked.MODE]
    assert not any(repeats)
    assert [(one.blocked, one.ended_at is None) for one in over.rollbacks] == [
        (Blocked.MODE, False)
    ]
    assert not quiet
    assert [(one.blocked, one.tripped_at) for one in second.rollbacks] == [
        (Blocked.MODE, world.now)
    ]


def test_as_many_triggers_as_asked_for_have_to_be_open_together() -> None:
    world = World(policy=make_policy(triggers=(CHECK, OTHER), at_least=2))
    world.passes(CHECK)
    world.passes(OTHER)
    world.deploy()
    world.later(1).fails(CHECK)
    assert not world.decide()

    world.fails(OTHER)
    world.decide()

    assert world.newest.triggers == (CHECK, OTHER)


def test_a_reason_that_passes_lets_the_same_trip_go_on() -> None:
    world = tripped()
    world.circumstances = replace(world.circumstances, warming_up=True)
    world.decide()
    blocked = world.newest
    assert blocked.blocked is Blocked.WARMING_UP

    world.circumstances = replace(world.circumstances, warming_up=False)
    world.later(1).decide()

    assert world.newest.id == blocked.id
    assert world.newest.tripped_at == blocked.tripped_at
    assert world.newest.state is RollbackState.EXECUTING


def test_another_reason_is_said_once() -> None:
    world = tripped()
    world.circumstances = replace(world.circumstances, warming_up=True)
    world.decide()
    world.circumstances = replace(world.circumstances, warming_up=False, blind=True)

    changed = world.decide()

    assert [one.blocked for one in changed.rollbacks] == [Blocked.BLIND]
    assert not world.decide()


def test_a_blocked_trip_that_ended_latches_the_same_deploy() -> None:
    world = tripped()
    world.circumstances = replace(world.circumstances, blind=True)
    world.decide()
    first = world.newest
    world.later(1).recovers()
    world.decide()
    world.circumstances = replace(world.circumstances, blind=False)
    world.later(1).fails()

    for _ in range(3):
        world.later(1).decide()

    assert world.newest.id != first.id
    assert world.newest.blocked is Blocked.LATCHED
    assert world.situation.rollbacks[first.id].blocked is Blocked.BLIND


def test_the_kill_switch_does_not_make_a_latch_forgotten() -> None:
    world = tripped()
    world.circumstances = replace(world.circumstances, blind=True)
    world.decide()
    world.later(1).recovers()
    world.decide()
    world.later(1).fails()
    world.circumstances = replace(world.circumstances, blind=False)
    world.decide()
    world.circumstances = replace(world.circumstances, kill_switch=True)
    world.decide()
    switched_off = world.newest
    world.circumstances = replace(world.circumstances, kill_switch=False)
    world.decide()

    assert switched_off.blocked is Blocked.KILL_SWITCH
    assert world.newest.blocked is Blocked.LATCHED


@pytest.mark.parametrize(
    "state", [state for state in RollbackState if state.ended and state is not state.CANCELLED]
)
@pytest.mark.parametrize("live", ["v2", "v1", None], ids=["bad", "restored", "forgotten"])
def test_after_its_end_nothing_more_is_said_of_the_same_incident(
    state: RollbackState, live: str | None
) -> None:
    world = tripped()
    world.decide()
    done = replace(world.newest, state=state, ended_at=world.now)
    world.know(done)
    match live:
        case "v1":
            world.know(make_deploy("v1", at=world.now, kind=DeployKind.ROLLBACK))
        case None:
            world.know(make_deploy("v3", at=world.now, baseline=True))
    world.circumstances = replace(world.circumstances, warming_up=True)

    assert not world.later(60).decide()
    assert list(world.situation.rollbacks.values()) == [done]


def test_what_is_deployed_after_its_end_is_another_story() -> None:
    world = tripped()
    world.decide()
    world.know(replace(world.newest, state=RollbackState.FAILED, ended_at=world.now))
    world.later(1).deploy("v3")

    world.decide()

    assert (world.newest.from_version, world.newest.blocked) == ("v3", Blocked.COOLING_DOWN)


def test_what_a_rollback_brought_back_is_not_rolled_back() -> None:
    world = World()
    world.passes()
    world.know(make_deploy("v1", kind=DeployKind.ROLLBACK))
    world.later(60).fails()

    assert not world.decide()


def test_a_trip_that_was_held_back_is_over_once_somebody_has_gone_back() -> None:
    world = tripped()
    world.circumstances = replace(world.circumstances, kill_switch=True)
    world.decide()
    world.later(1).announce("v1", kind=DeployKind.ROLLBACK)

    world.decide()

    assert world.newest.blocked is Blocked.KILL_SWITCH
    assert world.newest.ended_at == world.now


def test_a_deploy_that_was_rolled_back_is_not_rolled_back_for_the_next_incident() -> None:
    world = tripped()
    world.decide()
    done = replace(world.newest, state=RollbackState.RECOVERED, ended_at=world.now)
    world.know(done)
    world.later(1).recovers()
    world.decide()
    world.later(5).fails()

    world.decide()

    assert world.newest.blocked is Blocked.ALREADY_ROLLED_BACK
    assert world.situation.rollbacks[done.id] == done


def test_a_new_deploy_during_a_blocked_trip_is_another_trip() -> None:
    world = tripped()
    world.circumstances = replace(world.circumstances, blind=True)
    world.decide()
    first = world.newest
    world.later(1).deploy("v3")

    changes = world.decide()

    assert changes.rollbacks[0].id == first.id
    assert changes.rollbacks[0].ended_at == world.now
    assert changes.rollbacks[1].deploy_id.startswith("v3@")


def test_a_trigger_of_another_incident_gives_its_severity() -> None:
    world = World(policy=make_policy(triggers=("cart.health",)))
    world.passes("cart.health")
    world.deploy()
    world.later(1)
    world.know(make_incident("cart", check="cart.health", severity=Severity.CRITICAL))
    world.fails("cart.health")
    shop = next(one for one in world.situation.open_incidents() if one.service == "shop")
    world.know(replace(shop, resolved_at=world.now))

    world.decide()

    assert world.newest.severity is Severity.CRITICAL


def test_a_trip_without_an_incident_is_recorded_all_the_same() -> None:
    world = tripped()
    (incident,) = world.situation.open_incidents()
    world.know(replace(incident, resolved_at=world.now, members=()))

    world.decide()

    assert (world.newest.incident, world.newest.severity) == ("", Severity.HIGH)


def test_what_a_person_resolved_although_it_fails_trips_nothing_until_it_fails_anew() -> None:
    world = tripped()
    (incident,) = world.situation.open_incidents()
    world.know(replace(incident, resolved_at=world.now))

    assert not world.decide()

    world.later(1).passes()
    world.later(1).fails()

    assert world.decide().rollbacks


def test_one_service_and_deploy_have_one_id_whenever_it_is_asked() -> None:
    assert rollback_id("shop", "v2@noon") == rollback_id("shop", "v2@noon")
    assert rollback_id("shop", "v2@noon") != rollback_id("cart", "v2@noon")
    assert make_rollback().id != rollback_id("shop", "v2@noon")
