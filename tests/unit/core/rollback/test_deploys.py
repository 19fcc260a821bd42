from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.deploy import Deploy, DeployKind, DeployState
from monitor.core.model.rollback import Blocked, RollbackState
from monitor.core.model.verdict import Outcome
from tests.support.rolling import (
    CHECK,
    NOON,
    OTHER,
    World,
    make_deploy,
    make_incident,
    make_policy,
    make_rollback,
    make_state,
    minutes,
)

if TYPE_CHECKING:
    from monitor.core.model.check_state import CheckState


def deploys_of(world: World) -> list[Deploy]:
    return list(world.situation.deploys.values())


def live(world: World) -> Deploy:
    deploy = world.situation.current_deploy("shop")
    assert deploy is not None

    return deploy


def test_a_deploy_is_named_by_its_version_and_time() -> None:
    world = World()

    world.announce("v2")

    assert live(world).id == "v2@2026-01-05T12:00:00Z"


def test_the_same_marker_twice_is_one_deploy() -> None:
    world = World()
    world.announce("v2")

    again = world.announce("v2")

    assert not again
    assert len(deploys_of(world)) == 1


def test_two_services_deployed_by_one_run_are_two_deploys() -> None:
    world = World()
    world.know(make_deploy("v2", id="ci-7", service="cart"))

    world.announce("v2", id="ci-7")
    world.announce("v2", DeployState.FAILED, id="ci-7")

    assert world.situation.deploys["ci-7"].state is DeployState.FINISHED
    assert world.situation.deploys["shop/ci-7"].state is DeployState.FAILED


def test_a_deploy_that_is_started_is_finished_by_its_id_however_long_it_took() -> None:
    world = World()
    world.announce("v2", DeployState.STARTED, id="ci-7")
    world.later(45).announce("v2", id="ci-7")

    (deploy,) = deploys_of(world)
    assert (deploy.state, deploy.at) == (DeployState.FINISHED, NOON)
    assert deploy.finished_at == deploy.live_at == NOON + minutes(45)


def test_a_deploy_that_is_started_is_finished_by_its_version_too() -> None:
    world = World()
    world.announce("v2", DeployState.STARTED)
    world.later(45).announce("v2")

    assert [one.state for one in deploys_of(world)] == [DeployState.FINISHED]


def test_a_version_deployed_again_later_is_another_deploy() -> None:
    world = World()
    world.announce("v2")
    world.later(11).announce("v2")

    assert [one.state for one in deploys_of(world)] == [
        DeployState.SUPERSEDED,
        DeployState.FINISHED,
    ]


def test_a_version_deployed_again_after_another_is_another_deploy_however_soon() -> None:
    world = World()
    world.announce("v2")
    world.later(1).announce("v1")
    world.later(0.75).announce("v2")

    assert [(one.version, one.state) for one in deploys_of(world)] == [
        ("v2", DeployState.SUPERSEDED),
        ("v1", DeployState.SUPERSEDED),
        ("v2", DeployState.FINISHED),
    ]
    assert live(world).at == NOON + minutes(1.75)
    assert live(world).arms


@pytest.mark.parametrize("state", [DeployState.FAILED, DeployState.BAD])
def test_a_version_that_was_no_good_is_another_deploy_when_it_is_deployed_again(
    state: DeployState,
) -> None:
    world = World()
    world.announce("v2")
    world.know(replace(live(world), state=state))
    world.later(1).announce("v2")

    assert [one.state for one in deploys_of(world)] == [
        state,
        DeployState.FINISHED,
    ]
    assert live(world).at == NOON + minutes(1)


def test_the_first_marker_of_a_bad_deploy_that_was_only_seen_is_no_other_deploy() -> None:
    world = World()
    world.see("v1")
    world.later(60).see("v2")
    world.know(replace(live(world), state=DeployState.BAD))
    world.later(1).announce("v2", id="ci-7")

    assert len(deploys_of(world)) == 2
    assert live(world).state is DeployState.BAD


def test_an_id_that_is_not_known_is_another_deploy_unless_it_names_the_one_that_is_live() -> None:
    world = World()
    world.announce("v2", DeployState.STARTED)
    world.later(1).announce("v2", id="ci-7")
    world.later(1).announce("v2", id="ci-8")
    world.later(1).announce("v3")
    world.later(1).announce("v4", DeployState.STARTED)
    world.later(1).announce("v3", id="ci-9")

    assert [(one.id, one.marker_id) for one in deploys_of(world)] == [
        ("v2@2026-01-05T12:00:00Z", "ci-7"),
        ("ci-8", "ci-8"),
        ("v3@2026-01-05T12:03:00Z", None),
        ("v4@2026-01-05T12:04:00Z", None),
        ("ci-9", "ci-9"),
    ]


def test_a_deploy_that_failed_is_not_what_is_live() -> None:
    world = World()
    world.announce("v1")
    world.later(20).announce("v2", DeployState.STARTED)
    world.later(1).announce("v2", DeployState.FAILED)

    assert live(world).version == "v1"
    assert live(world).arms


def test_the_failure_of_what_is_not_known_is_no_deploy() -> None:
    world = World()

    assert not world.announce("v2", DeployState.FAILED)


def test_the_first_version_ever_seen_is_a_baseline_and_arms_nothing() -> None:
    world = World()
    world.passes()

    world.see("v1")

    assert live(world).baseline
    assert not live(world).arms


def test_seeing_the_same_version_again_changes_nothing() -> None:
    world = World()
    world.see("v1")

    assert not world.later(500).see("v1")


def test_a_change_of_the_version_in_answers_is_a_deploy() -> None:
    world = World()
    world.passes()
    world.see("v1")
    world.later(60).see("v2")

    assert (live(world).version, live(world).kind) == ("v2", DeployKind.PLANNED)
    assert live(world).arms
    assert live(world).healthy_before is True


@pytest.mark.parametrize("first", ["marker", "answer"])
def test_a_marker_and_an_answer_within_ten_minutes_are_one_deploy(first: str) -> None:
    world = World()
    world.passes()
    world.see("v1")
    world.later(60)
    if first == "marker":
        world.announce("v2", id="ci-7")
        world.later(9).see("v2")
    else:
        world.see("v2")
        world.later(9).announce("v2", id="ci-7")

    (_, deploy) = deploys_of(world)
    assert deploy.observed
    assert deploy.announced
    assert deploy.at == NOON + minutes(60)
    assert deploy.healthy_before is True


def test_a_deploy_that_was_seen_first_is_found_by_the_id_of_its_marker() -> None:
    world = World()
    world.see("v1")
    world.later(60).see("v2")
    world.later(1).announce("v2", DeployState.STARTED, id="ci-7")
    assert live(world).state is DeployState.STARTED

    world.later(30).announce("v2", id="ci-7")

    assert live(world).version == "v2"
    assert live(world).state is DeployState.FINISHED
    assert len(deploys_of(world)) == 2


def test_while_a_change_spreads_the_old_version_may_answer_too() -> None:
    world = World()
    world.see("v1")
    world.later(60).see("v2")

    flips = [world.later(1).see(version) for version in ("v1", "v2", "v1", "v2")]

    assert not any(flips)


def test_the_old_version_may_answer_while_a_deploy_is_started() -> None:
    world = World()
    world.see("v1")
    world.later(60).announce("v2", DeployState.STARTED)

    assert not world.later(30).see("v1")


def test_an_answer_from_before_an_announced_deploy_is_the_baseline() -> None:
    world = World()
    world.announce("v2", DeployState.STARTED)

    world.later(0.1).see("v1")

    assert live(world).version == "v2"
    assert [one.version for one in deploys_of(world) if one.baseline] == ["v1"]


def test_what_is_seen_long_after_the_last_marker_is_a_baseline_that_is_live() -> None:
    world = World()
    world.announce("v2")

    world.later(90).see("2.0.1")

    assert live(world).baseline


def test_an_old_version_that_answers_later_was_deployed_again() -> None:
    world = World()
    world.see("v1")
    world.later(60).see("v2")
    world.later(60).see("v1")

    assert live(world).version == "v1"
    assert live(world).arms


def rolled_back(state: RollbackState = RollbackState.VERIFYING) -> World:
    world = World()
    world.passes()
    world.see("v1")
    world.later(60).see("v2")
    world.know(
        make_rollback(
            deploy_id=live(world).id,
            state=state,
            from_version="v2",
            to_version="v1",
            started_at=world.now + minutes(1),
            ended_at=world.now + minutes(2) if state.ended else None,
        )
    )

    return world.later(3)


@pytest.mark.parametrize(
    "state", [RollbackState.VERIFYING, RollbackState.RECOVERED, RollbackState.UNCERTAIN]
)
@pytest.mark.parametrize("version", ["v1", "v1-reverted"])
def test_a_version_that_changes_through_our_rollback_arms_nothing(
    state: RollbackState, version: str
) -> None:
    world = rolled_back(state)

    world.see(version)

    assert (live(world).version, live(world).kind) == (version, DeployKind.ROLLBACK)
    assert not live(world).arms


def test_the_bad_version_that_still_answers_after_a_rollback_is_no_deploy() -> None:
    world = rolled_back()
    world.see("v1")

    assert not world.later(1).see("v2")


def test_a_step_of_ours_that_announces_what_it_restores_arms_nothing() -> None:
    world = rolled_back()

    world.announce("v1")

    assert live(world).kind is DeployKind.ROLLBACK


@pytest.mark.parametrize(
    ("version", "kind"), [("v3", DeployKind.PLANNED), ("v1", DeployKind.HOTFIX)]
)
def test_what_people_deploy_during_a_rollback_is_theirs(version: str, kind: DeployKind) -> None:
    world = rolled_back()

    world.announce(version, kind=kind)

    assert (live(world).kind, live(world).arms) == (kind, True)


def test_a_new_version_announced_after_it_was_seen_during_a_rollback_is_theirs() -> None:
    world = rolled_back()
    world.see("v3")
    assert not live(world).arms

    world.later(1).announce("v3")

    assert live(world).arms


def test_the_restored_version_answers_on_beside_a_newer_deploy() -> None:
    world = rolled_back()
    world.see("v1")
    world.later(1).announce("v3")

    assert not world.later(1).see("v1")
    assert live(world).version == "v3"


@pytest.mark.parametrize(
    ("arrange", "healthy"),
    [
        pytest.param("passes", True, id="passing"),
        pytest.param("nothing", None, id="never judged"),
        pytest.param("blind", None, id="blind"),
        pytest.param("fails for long", False, id="failing for five minutes"),
        pytest.param("began with it", True, id="failing for the half minute a marker is late"),
        pytest.param("recovered just now", False, id="recovered two minutes ago"),
        pytest.param("recovered earlier", True, id="recovered six minutes ago"),
    ],
)
def test_health_before_a_deploy_is_judged_when_it_is_known(
    arrange: str, healthy: bool | None
) -> None:
    world = World()
    match arrange:
        case "passes":
            world.passes()
        case "blind":
            world.know(make_state(blind=True))
        case "fails for long":
            world.fails(since=NOON - minutes(5))
        case "began with it":
            world.fails(since=NOON - minutes(0.5))
        case "recovered just now":
            world.passes()
            world.know(make_incident(at=NOON - minutes(30), closed_at=NOON - minutes(2)))
        case "recovered earlier":
            world.passes()
            world.know(make_incident(at=NOON - minutes(30), closed_at=NOON - minutes(6)))

    assert world.deploy().healthy_before is healthy


def test_a_started_marker_is_never_late() -> None:
    world = World()
    world.fails(since=NOON - minutes(0.5))

    assert world.deploy(state=DeployState.STARTED).healthy_before is False


def test_every_triggering_check_has_to_be_healthy_before() -> None:
    world = World(policy=make_policy(triggers=(CHECK, OTHER)))
    world.passes(CHECK)

    assert world.deploy().healthy_before is None


WAITS: dict[str, Any] = {
    "outcome": Outcome.UNKNOWN,
    "judged": 0,
    "last_outcome": None,
    "last_at": None,
}


def test_a_check_that_only_ever_waited_holds_no_other_back() -> None:
    world = World(policy=make_policy(triggers=(CHECK, OTHER)))
    world.passes(CHECK)
    world.know(make_state(OTHER, **WAITS))

    assert world.deploy().healthy_before is True
    world.later(1).passes(CHECK)
    world.certify()
    world.later(30).passes(CHECK)
    world.certify()
    assert live(world).state is DeployState.CERTIFIED


@pytest.mark.parametrize(
    "other",
    [
        make_state(CHECK, **WAITS),
        make_state(CHECK, Outcome.UNKNOWN, judged=0),
        make_state(CHECK, **WAITS | {"blind": True}),
        None,
    ],
    ids=["waits as well", "unknown", "blind", "never looked at"],
)
def test_checks_that_only_ever_waited_prove_no_health(other: CheckState | None) -> None:
    world = World(policy=make_policy(triggers=(CHECK, OTHER)))
    world.know(make_state(OTHER, **WAITS))
    if other is not None:
        world.know(other)

    assert world.deploy().healthy_before is None
    world.later(1)
    assert not world.certify()


def test_a_deploy_healthy_for_long_enough_is_the_last_known_good() -> None:
    world = World()
    world.passes()
    world.deploy("v1")
    for _ in range(11):
        world.later(1).passes()
        world.certify()

    assert live(world).state is DeployState.CERTIFIED
    assert world.situation.last_known_good("shop", other_than="v2") == live(world)
    assert world.situation.last_known_good("shop", other_than="v1") is None


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(make_state(outcome=Outcome.FAIL), id="open"),
        pytest.param(make_state(last_outcome=Outcome.FAIL), id="one failure"),
        pytest.param(make_state(last_outcome=Outcome.UNKNOWN), id="one unknown"),
        pytest.param(make_state(blind=True), id="blind"),
    ],
)
def test_what_is_no_pass_starts_the_time_to_certify_anew(moment: CheckState) -> None:
    world = World()
    world.passes()
    world.deploy("v1")
    for minute in range(15):
        world.later(1).passes()
        if minute == 7:
            world.know(replace(moment, last_at=world.now))
        world.certify()

    assert live(world).state is DeployState.FINISHED


def test_samples_from_before_a_deploy_do_not_certify_it() -> None:
    world = World()
    world.passes()
    world.later(1).deploy("v1")

    assert not world.later(30).certify()


def test_a_certified_deploy_stays_good_when_the_next_one_comes() -> None:
    world = World()
    world.know(make_deploy("v1", state=DeployState.CERTIFIED, certified_at=NOON))
    world.later(60).passes()
    world.deploy("v2")
    world.later(1).fails()

    world.decide()

    assert (world.newest.from_version, world.newest.to_version) == ("v2", "v1")


def test_a_trip_before_its_marker_goes_on_once_the_marker_comes() -> None:
    world = World()
    world.passes()
    world.later(1).fails()
    world.decide()
    assert world.newest.blocked is Blocked.NO_DEPLOY

    world.later(0.2).deploy("v2")
    world.decide()

    assert world.newest.state is RollbackState.EXECUTING
