"""What people are told of what holds a rollback back, where its code alone does not say it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.core import wording
from monitor.core.model.deploy import DeployState
from monitor.core.model.rollback import Blocked
from tests.support.rolling import NOON, World, make_deploy, make_incident, minutes


def told(world: World) -> str:
    world.decide()
    assert world.newest.blocked is not None

    return wording.rollback_headline(world.newest)


def test_what_was_failing_when_it_was_deployed_is_told_as_such() -> None:
    world = World()
    world.fails(since=NOON - minutes(5))
    world.deploy("1.0.9")
    world.later(1)

    assert told(world) == (
        "shop: rollback of 1.0.9 blocked: UNHEALTHY_BEFORE "
        "(it was failing already when 1.0.9 was deployed)"
    )


def test_what_was_failing_then_and_has_passed_since_is_told_so_too() -> None:
    world = World()
    world.fails(since=NOON - minutes(5))
    world.deploy("1.0.9")
    world.later(1).recovers()
    world.later(1).fails()

    assert "(it was failing already when 1.0.9 was deployed)" in told(world)


def test_what_had_only_just_recovered_is_told_with_the_time_that_counts() -> None:
    world = World()
    world.passes()
    world.know(make_incident(at=NOON - minutes(30), closed_at=NOON - minutes(0.63)))
    world.deploy("1.0.9")
    world.later(1).fails()

    assert "(it had recovered only 38 s before 1.0.9 was deployed, and 5 min are needed)" in told(
        world
    )


def test_what_is_not_known_to_have_been_healthy_is_not_said_to_have_failed() -> None:
    world = World()
    world.deploy("1.0.9")
    world.later(1).fails()

    assert "(it is not known to have been healthy before 1.0.9 was deployed)" in told(world)


def test_where_nothing_was_deployed_there_is_nothing_to_undo() -> None:
    world = World()
    world.see("1.0.0")
    world.know(
        replace(
            next(iter(world.situation.deploys.values())),
            state=DeployState.CERTIFIED,
            certified_at=NOON,
        )
    )
    world.later(60).fails()

    assert told(world) == (
        "shop: rollback blocked: NO_DEPLOY "
        "(no deploy since the monitor first saw 1.0.0, so there is nothing to undo)"
    )
    assert (world.newest.from_version, world.newest.to_version) == (None, None)


@pytest.mark.parametrize("deployed", [False, True])
def test_where_no_deploy_counts_none_is_known(deployed: bool) -> None:
    world = World()
    if deployed:
        world.know(make_deploy("1.0.9", state=DeployState.SUPERSEDED))
    world.later(1).fails()

    assert "NO_DEPLOY (no deploy is known, so there is nothing to undo)" in told(world)


def test_another_reason_is_told_in_its_own_words() -> None:
    world = World()
    world.passes()
    world.deploy()
    world.circumstances = replace(world.circumstances, kill_switch=True)
    world.later(1).fails()

    assert told(world).endswith("KILL_SWITCH (the kill switch is on)")
    assert world.newest.blocked is Blocked.KILL_SWITCH
