from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.endpoint import Severity
from monitor.core.model.rollback import Blocked, Mode, RollbackState, StepState
from monitor.core.model.verdict import Outcome
from monitor.core.rollback.guards import GUARDS
from tests.support.rolling import (
    NOON,
    World,
    make_deploy,
    make_incident,
    make_policy,
    make_rollback,
    make_state,
    minutes,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def tripped() -> World:
    """Give a world in which nothing holds the rollback back."""
    world = World()
    world.passes()
    world.deploy()
    world.later(1).fails()

    return world


def observe_only(world: World) -> None:
    world.policy = make_policy(Mode.OBSERVE)


def only_high_is_automatic(world: World) -> None:
    world.policy = replace(make_policy(Mode.AUTOMATIC), modes={Severity.HIGH: Mode.OBSERVE})


def no_steps(world: World) -> None:
    world.policy = make_policy(steps=())


def pull_the_kill_switch(world: World) -> None:
    world.circumstances = replace(world.circumstances, kill_switch=True)


def just_started(world: World) -> None:
    world.circumstances = replace(world.circumstances, warming_up=True)


def lose_sight(world: World) -> None:
    world.circumstances = replace(world.circumstances, blind=True)


def break_the_store(world: World) -> None:
    world.circumstances = replace(world.circumstances, store_ok=False)


def fail_the_deploy(world: World) -> None:
    world.know(make_deploy(id=only_deploy(world), state=DeployState.FAILED))


def only_a_baseline(world: World) -> None:
    world.know(make_deploy(id=only_deploy(world), baseline=True))


def deploy_long_ago(world: World) -> None:
    long_ago = NOON - minutes(30)
    world.know(make_deploy(id=only_deploy(world), at=long_ago, finished_at=long_ago))


def sick_before(world: World) -> None:
    world.know(make_deploy(id=only_deploy(world), healthy_before=False))


def health_before_is_not_known(world: World) -> None:
    world.know(make_deploy(id=only_deploy(world), healthy_before=None))


def on_its_way_down_before(world: World) -> None:
    world.fails(since=NOON - minutes(2))


def others_fail_too(world: World) -> None:
    world.circumstances = replace(world.circumstances, services=5)
    world.know(make_incident("cart", check="cart.health"), make_incident("pay", check="pay.health"))


def rolled_back_before(world: World) -> None:
    world.know(make_rollback(deploy_id=only_deploy(world)))


def twice_today(world: World) -> None:
    world.know(make_rollback("a"), make_rollback("b", started_at=NOON - timedelta(hours=23)))


def three_in_the_fleet(world: World) -> None:
    recent = NOON - minutes(40)
    world.know(
        *(make_rollback(name, service=name, started_at=recent, ended_at=recent) for name in "abc")
    )


def rolled_back_half_an_hour_ago(world: World) -> None:
    world.know(make_rollback(ended_at=NOON - minutes(28)))


def another_runs(world: World) -> None:
    world.policy = replace(
        make_policy(), limits=replace(make_policy().limits, cooldown=timedelta())
    )
    world.know(make_rollback(state=RollbackState.VERIFYING, ended_at=None))


def deploy_goes_on(world: World) -> None:
    world.know(make_deploy(id=only_deploy(world), state=DeployState.STARTED, finished_at=None))


def last_one_did_not_help(world: World) -> None:
    world.know(make_rollback(state=RollbackState.NOT_RECOVERED, ended_at=world.now))
    world.policy = replace(
        make_policy(), limits=replace(make_policy().limits, cooldown=timedelta())
    )


def only_deploy(world: World) -> str:
    (id,) = world.situation.deploys

    return id


TABLE: list[tuple[Blocked, Callable[[World], None]]] = [
    (Blocked.MODE, observe_only),
    (Blocked.MODE, only_high_is_automatic),
    (Blocked.MODE, no_steps),
    (Blocked.KILL_SWITCH, pull_the_kill_switch),
    (Blocked.WARMING_UP, just_started),
    (Blocked.BLIND, lose_sight),
    (Blocked.NO_DEPLOY, fail_the_deploy),
    (Blocked.NO_DEPLOY, only_a_baseline),
    (Blocked.OUTSIDE_WINDOW, deploy_long_ago),
    (Blocked.UNHEALTHY_BEFORE, sick_before),
    (Blocked.UNHEALTHY_BEFORE, health_before_is_not_known),
    (Blocked.UNHEALTHY_BEFORE, on_its_way_down_before),
    (Blocked.COMMON_CAUSE, others_fail_too),
    (Blocked.ALREADY_ROLLED_BACK, rolled_back_before),
    (Blocked.DAILY_LIMIT, twice_today),
    (Blocked.FLEET_LIMIT, three_in_the_fleet),
    (Blocked.COOLING_DOWN, rolled_back_half_an_hour_ago),
    (Blocked.DEPLOY_IN_PROGRESS, deploy_goes_on),
    (Blocked.LATCHED, last_one_did_not_help),
    (Blocked.STORE, break_the_store),
]


def said(case: tuple[Blocked, Callable[[World], None]]) -> str:
    return f"{case[1].__name__.replace('_', ' ')} -> {case[0]}"


def test_nothing_holds_a_plain_trip_back() -> None:
    world = tripped()

    world.decide()

    assert world.newest.state is RollbackState.EXECUTING
    assert world.allowed(world.newest) is None


@pytest.mark.parametrize("case", TABLE, ids=said)
def test_a_trip_is_blocked_with_its_reason(
    case: tuple[Blocked, Callable[[World], None]],
) -> None:
    reason, arrange = case
    world = tripped()
    arrange(world)

    world.decide()

    blocked = [one.blocked for one in world.situation.rollbacks.values() if one.blocked]
    assert blocked == [reason]
    assert not any(
        one.state is RollbackState.EXECUTING for one in world.situation.rollbacks.values()
    )


@pytest.mark.parametrize("case", TABLE, ids=said)
def test_the_same_reason_holds_a_decided_rollback_back_before_its_effect(
    case: tuple[Blocked, Callable[[World], None]],
) -> None:
    reason, arrange = case
    world = tripped()
    world.decide()
    decided = world.newest
    arrange(world)

    assert world.allowed(decided) is reason


def test_another_rollback_in_progress_holds_a_decided_one_back() -> None:
    world = tripped()
    world.decide()
    decided = world.newest
    another_runs(world)

    assert world.allowed(decided) is Blocked.IN_PROGRESS


def test_a_service_without_a_policy_is_never_rolled_back() -> None:
    world = tripped()
    world.decide()
    decided = world.newest
    world.policy = None

    assert world.allowed(decided) is Blocked.MODE
    assert not world.decide()


def test_the_guards_are_asked_in_the_order_of_their_reasons() -> None:
    assert [*(reason for reason, _ in GUARDS), Blocked.EXPIRED] == list(Blocked)


STACKABLE = [
    (reason, arrange)
    for reason, arrange in TABLE
    if arrange
    in (
        break_the_store,
        three_in_the_fleet,
        others_fail_too,
        sick_before,
        lose_sight,
        just_started,
        pull_the_kill_switch,
        observe_only,
    )
]


@pytest.mark.parametrize(
    ("earlier", "later"),
    list(pairwise(STACKABLE)),
    ids=lambda case: str(case[0]),
)
def test_the_first_reason_in_order_is_given(
    earlier: tuple[Blocked, Callable[[World], None]],
    later: tuple[Blocked, Callable[[World], None]],
) -> None:
    world = tripped()
    later[1](world)
    earlier[1](world)

    world.decide()

    blocked = [one.blocked for one in world.situation.rollbacks.values() if one.blocked]
    assert blocked == [earlier[0]]


@pytest.mark.parametrize(
    ("failing", "services", "common"),
    [
        pytest.param(2, 2, False, id="two of two are fewer than three"),
        pytest.param(3, 3, True, id="three of three"),
        pytest.param(3, 5, True, id="three of five are more than half"),
        pytest.param(3, 6, False, id="three of six are half, not more"),
        pytest.param(3, 0, True, id="three of an unknown number"),
    ],
)
def test_common_cause_is_more_than_half_and_at_least_three(
    failing: int, services: int, common: bool
) -> None:
    world = tripped()
    world.circumstances = replace(world.circumstances, services=services)
    world.know(*(make_incident(f"s{n}", check=f"s{n}.health") for n in range(failing - 1)))

    world.decide()

    assert (world.newest.blocked is Blocked.COMMON_CAUSE) is common


@pytest.mark.parametrize(
    ("began", "common"),
    [
        pytest.param((-8, -3), False, id="both were failing when it was deployed"),
        pytest.param((-3, 1), False, id="one of them was"),
        pytest.param((-0.5, 1), True, id="a marker may come a minute late"),
        pytest.param((1, 1), True, id="together"),
        pytest.param((1.5, 4), True, id="after it"),
    ],
)
def test_what_failed_before_the_deploy_is_no_common_cause(
    began: tuple[float, float], common: bool
) -> None:
    """The shop was well beside them until it was deployed."""
    world = tripped().later(4)
    world.circumstances = replace(world.circumstances, services=5)
    world.know(
        *(
            make_incident(f"s{n}", check=f"s{n}.health", at=NOON + minutes(since))
            for n, since in enumerate(began)
        )
    )

    world.decide()

    assert (world.newest.blocked is Blocked.COMMON_CAUSE) is common


@pytest.mark.parametrize(("ago", "common"), [(5, True), (6, False)])
def test_what_failed_long_before_the_trip_is_no_common_cause(ago: float, common: bool) -> None:
    world = World()
    world.circumstances = replace(world.circumstances, services=5)
    world.passes()
    world.deploy()
    world.later(20).fails()
    long_ago = world.now - minutes(ago)
    world.know(
        *(make_incident(f"s{n}", check=f"s{n}.health", at=long_ago) for n in range(2)),
    )

    world.decide()

    assert (world.newest.blocked is Blocked.COMMON_CAUSE) is common


def test_an_old_outage_that_grows_with_the_trip_is_a_common_cause() -> None:
    """It is open since yesterday for one check; another began to fail with the shop."""
    world = tripped()
    world.circumstances = replace(world.circumstances, services=5)
    for name in ("cart", "pay"):
        old = make_incident(name, check=f"{name}.old", at=NOON - timedelta(days=1))
        new = make_incident(name, check=f"{name}.new", at=world.now)
        world.know(replace(old, members=(*old.members, *new.members)))

    world.decide()

    assert world.newest.blocked is Blocked.COMMON_CAUSE


@pytest.mark.parametrize(
    ("seconds", "when"), [(-30, "a minute"), (45, "a minute"), (130, "3 min"), (180, "3 min")]
)
def test_a_common_cause_names_who_fails_as_well(seconds: int, when: str) -> None:
    world = tripped()
    world.later(4)
    world.circumstances = replace(world.circumstances, services=5)
    began = NOON + minutes(1)
    world.know(
        make_incident("search", check="search.health", at=began + timedelta(seconds=seconds)),
        make_incident("catalog", check="catalog.health", at=began),
        make_incident("mail", check="mail.health", at=NOON - timedelta(hours=1)),
    )

    world.decide()

    assert world.newest.detail == (
        f"catalog and search began to fail within {when} of it, so what they share is more likely "
        "to be the cause than the deploy"
    )


def test_a_new_planned_deploy_takes_the_latch_away() -> None:
    world = tripped()
    last_one_did_not_help(world)
    world.decide()
    assert world.newest.blocked is Blocked.LATCHED
    world.later(1).recovers()
    world.later(10).deploy("v3")
    world.later(1).fails()

    world.decide()

    assert world.newest.deploy_id.startswith("v3@")
    assert world.newest.state is RollbackState.EXECUTING


def test_a_deploy_that_came_during_a_blocked_trip_takes_its_latch_away() -> None:
    world = World()
    world.passes()
    world.later(3).deploy("v3")
    world.know(
        make_rollback(
            state=RollbackState.BLOCKED,
            blocked=Blocked.BLIND,
            started_at=None,
            tripped_at=NOON + minutes(1),
            ended_at=NOON + minutes(5),
        )
    )
    world.later(3).fails()

    world.decide()

    assert world.newest.state is RollbackState.EXECUTING


def test_a_deploy_begun_before_the_bad_end_takes_the_latch_away_once_it_is_finished() -> None:
    world = World()
    world.policy = replace(
        make_policy(), limits=replace(make_policy().limits, cooldown=timedelta())
    )
    world.passes()
    world.deploy("v3", DeployState.STARTED)
    world.later(1)
    world.know(make_rollback(state=RollbackState.FAILED, ended_at=world.now))
    world.later(1).announce("v3")
    world.later(1).fails()

    world.decide()

    assert world.newest.state is RollbackState.EXECUTING


def test_a_deploy_that_failed_leaves_the_latch() -> None:
    world = tripped()
    last_one_did_not_help(world)
    world.know(make_deploy("v3", at=world.now + minutes(1), state=DeployState.FAILED))
    world.later(2)

    world.decide()

    assert world.newest.blocked is Blocked.LATCHED


def test_a_rollback_of_ours_takes_no_latch_away() -> None:
    world = tripped()
    last_one_did_not_help(world)
    world.know(make_deploy("v1", at=world.now + minutes(1), kind=DeployKind.ROLLBACK))
    world.later(2)

    assert not world.decide()


@pytest.mark.parametrize(
    ("state", "blocked", "ended", "latches"),
    [
        (RollbackState.RECOVERED, None, True, False),
        (RollbackState.CANCELLED, None, True, False),
        (RollbackState.NOT_RECOVERED, None, True, True),
        (RollbackState.INCONCLUSIVE, None, True, True),
        (RollbackState.FAILED, None, True, True),
        (RollbackState.UNCERTAIN, None, True, True),
        (RollbackState.EXECUTING, None, False, False),
        (RollbackState.VERIFYING, None, False, False),
        (RollbackState.BLOCKED, Blocked.MODE, True, False),
        (RollbackState.BLOCKED, Blocked.BLIND, False, False),
        (RollbackState.BLOCKED, Blocked.BLIND, True, True),
        (RollbackState.BLOCKED, None, True, False),
    ],
)
def test_every_end_but_a_recovery_and_an_observed_trip_latches(
    state: RollbackState, blocked: Blocked | None, ended: bool, latches: bool
) -> None:
    rollback = make_rollback(state=state, blocked=blocked, ended_at=NOON if ended else None)

    assert rollback.latches is latches


def test_steps_that_follow_an_effect_have_a_window_of_their_own() -> None:
    world = tripped().later(28)
    world.decide()
    decided = world.newest
    world.later(5)

    assert world.allowed(decided) is Blocked.OUTSIDE_WINDOW

    (step,) = world.situation.steps_of(decided.id)
    world.keep(Changes(steps=(replace(step, state=StepState.DONE),)))

    assert world.allowed(decided) is None


def test_an_unknown_check_is_not_open() -> None:
    world = tripped()
    world.know(make_state(outcome=Outcome.UNKNOWN))

    assert not world.decide()
