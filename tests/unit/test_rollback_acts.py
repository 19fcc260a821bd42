"""Rollbacks that wait for people: approved, vetoed, expired, and never begun without one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import operations
from monitor.core.engine import Conditions
from monitor.core.model.deploy import DeployState
from monitor.core.model.rollback import Blocked, Mode, RollbackState
from monitor.core.rollback import Circumstances
from monitor.core.rollback.guards import GUARDS, Trip
from monitor.operations import NotFound, OperationError
from monitor.operations.desk import LONGEST_REASON
from tests.support.deciding import EXPIRES, Shop, waiting_policy
from tests.support.rolling import make_policy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.model.rollback import Rollback


async def tripped(mode: Mode) -> Shop:
    """Give a shop with a bad deploy, whose rollback waits."""
    shop = Shop(rollback=waiting_policy(mode))
    await shop.__aenter__()
    await shop.sees(*[200] * 30)
    await shop.deploys()
    await shop.sees(500, 500, 500)

    return shop


async def test_a_rollback_waits_for_approval_and_is_begun_once_by_it() -> None:
    async with await tripped(Mode.APPROVE) as shop:
        waiting = shop.newest
        await shop.waits(60)
        before = shop.effects.total()
        told = await shop.approve("ann")
        again = await shop.approve("bob")

        assert waiting.state is RollbackState.AWAITING
        assert waiting.due_at is not None
        assert before == 0
        assert (told["state"], told["approved_by"]) == ("executing", "ann")
        assert (again["id"], again["approved_by"]) == (told["id"], "ann")
        assert list(shop.effects.values()) == [1]
        assert "rollback_executing by ann" in shop.lines


async def test_who_is_told_that_it_waits_is_told_until_when_and_what_may_be_done() -> None:
    async with await tripped(Mode.APPROVE) as shop:
        (opened,) = [one.notice for one in shop.story.told]

        assert opened.rollback is not None
        assert (opened.rollback.state, opened.rollback.due_at) == (
            "awaiting",
            shop.newest.due_at,
        )
        assert opened.rollback.approvable
        assert opened.rollback.vetoable
        assert "waits for approval, until 12:26:" in opened.headline


async def test_a_countdown_begins_by_itself_when_it_is_due() -> None:
    async with await tripped(Mode.COUNTDOWN) as shop:
        due = shop.newest.due_at
        await shop.waits(30)
        early = shop.effects.total()
        await shop.waits(90)

        assert due is not None
        assert early == 0
        assert shop.effects.total() == 1
        assert shop.newest.state is RollbackState.VERIFYING


async def test_a_veto_ends_it_names_who_and_it_is_not_tried_again() -> None:
    async with await tripped(Mode.COUNTDOWN) as shop:
        told = await shop.veto("bob", "expected during the move")
        again = await shop.veto("eve")
        await shop.waits(900)
        await shop.sees(500, 500)

        assert (told["state"], told["vetoed_by"]) == ("cancelled", "bob")
        assert told["detail"] == "vetoed by bob: expected during the move"
        assert again["vetoed_by"] == "bob"
        assert shop.effects.total() == 0
        assert len(shop.known) == 1
        assert "rollback_cancelled by bob" in shop.lines


async def test_an_act_is_not_refused_for_a_name_and_a_reason_has_the_length_of_all_acts() -> None:
    async with await tripped(Mode.APPROVE) as shop:
        told = await shop.veto("\n a\tn\u200bn", "y" * LONGEST_REASON)

    assert told["vetoed_by"] == "a n n"


async def test_a_veto_latches_nothing_for_the_next_deploy() -> None:
    async with await tripped(Mode.COUNTDOWN) as shop:
        await shop.veto()
        await shop.sees(*[200] * 30)
        await shop.deploys()
        await shop.sees(500, 500, 500)

        assert shop.newest.state is RollbackState.COUNTDOWN


async def test_another_trip_of_a_vetoed_deploy_says_why_nothing_is_done() -> None:
    async with await tripped(Mode.COUNTDOWN) as shop:
        await shop.veto()
        await shop.sees(*[200] * 4)
        await shop.sees(500, 500, 500)

        assert shop.newest.blocked is Blocked.VETOED
        assert not shop.newest.latches


async def test_what_nobody_approves_in_time_is_blocked_and_latches() -> None:
    async with await tripped(Mode.APPROVE) as shop:
        await shop.waits(EXPIRES.total_seconds())
        expired = shop.newest
        with pytest.raises(OperationError, match="nobody approved it in time"):
            await shop.approve()
        await shop.waits(600)

        assert (expired.state, expired.blocked) == (RollbackState.BLOCKED, Blocked.EXPIRED)
        assert expired.latches
        assert shop.newest == expired
        assert shop.effects.total() == 0
        assert any(
            one.notice.headline.endswith("EXPIRED (nobody approved it in time)")
            for one in shop.story.told
        )


@pytest.mark.parametrize("mode", [Mode.APPROVE, Mode.COUNTDOWN])
async def test_what_recovers_while_it_waits_is_called_off(mode: Mode) -> None:
    async with await tripped(mode) as shop:
        await shop.sees(200, 200)
        ended = shop.newest
        await shop.waits(900)

        assert ended.state is RollbackState.CANCELLED
        assert ended.due_at is None
        assert shop.effects.total() == 0


@pytest.mark.parametrize("mode", [Mode.APPROVE, Mode.COUNTDOWN])
async def test_a_new_deploy_ends_the_waiting_for_the_old_one(mode: Mode) -> None:
    async with await tripped(mode) as shop:
        first = shop.newest.id
        await shop.deploys(DeployState.STARTED)
        await shop.waits(900)

        assert shop.situation.rollbacks[first].blocked is Blocked.DEPLOY_IN_PROGRESS
        assert shop.effects.total() == 0
        with pytest.raises(OperationError):
            await operations.approve(first, "ann", shop.desk)


@pytest.mark.parametrize("mode", [Mode.APPROVE, Mode.COUNTDOWN])
async def test_a_restart_goes_on_with_the_same_time(mode: Mode) -> None:
    async with await tripped(mode) as shop:
        before = shop.newest
        await shop.waits(20)
        await shop.restarts()

        assert shop.newest == before
        await shop.sees(500, 500, 500)  # enough to judge by after a start
        if mode is Mode.APPROVE:
            await shop.approve()

        assert shop.effects.total() == 1


async def test_a_countdown_that_is_due_waits_until_enough_was_seen_after_a_restart() -> None:
    async with await tripped(Mode.COUNTDOWN) as shop:
        await shop.restarts()
        await shop.waits(600)
        waiting = shop.newest.state, shop.effects.total()
        await shop.sees(500, 500, 500)

        assert waiting == (RollbackState.COUNTDOWN, 0)
        assert shop.effects.total() == 1


async def test_a_guard_that_objects_keeps_an_approval_from_beginning_and_it_waits_on() -> None:
    async with await tripped(Mode.APPROVE) as shop:
        shop.conditions = Conditions(kill_switch=True)
        await shop.restarts()
        await shop.sees(500, 500, 500)
        with pytest.raises(OperationError, match="not begun: KILL_SWITCH"):
            await shop.approve()

        assert shop.newest.state is RollbackState.AWAITING
        assert shop.effects.total() == 0


async def test_a_guard_that_objects_when_a_countdown_is_due_blocks_it_and_it_is_counted_anew() -> (
    None
):
    async with await tripped(Mode.COUNTDOWN) as shop:
        shop.conditions = Conditions(sees=False)
        await shop.restarts()
        await shop.sees(500, 500, 500, 500)
        held = shop.newest.blocked
        shop.conditions = None
        await shop.restarts()
        await shop.sees(500, 500, 500)

        assert held is Blocked.BLIND
        assert shop.newest.state is RollbackState.COUNTDOWN
        assert shop.newest.due_at is not None
        assert shop.newest.due_at > shop.story.now
        assert shop.effects.total() == 0


async def test_what_has_begun_cannot_be_vetoed() -> None:
    async with await tripped(Mode.APPROVE) as shop:
        await shop.approve()
        with pytest.raises(OperationError, match="It has begun: the kill switch keeps it"):
            await shop.veto()


async def test_what_is_held_back_may_be_vetoed_before_it_begins_by_itself() -> None:
    async with await tripped(Mode.APPROVE) as shop:
        shop.conditions = Conditions(sees=False)
        await shop.restarts()
        await shop.sees(500)
        await shop.waits(1)

        told = await shop.veto("bob")

        assert told["vetoed_by"] == "bob"


async def test_a_person_starts_one_whatever_the_mode_and_the_time() -> None:
    async with Shop(rollback=make_policy(Mode.OBSERVE)) as shop:
        await shop.sees(*[200] * 30)
        await shop.deploys()
        await shop.waits(7200)
        told = await operations.start("shop", "ann", "orders are lost", "v1", shop.desk)
        await shop.settle()
        await shop.sees(200, 200)

        assert (told["started_by"], told["to"], told["from"]) == ("ann", "v1", "v2")
        assert shop.effects.total() == 1
        assert shop.hooks[0].told[0].reason == "orders are lost"
        assert shop.newest.state is RollbackState.RECOVERED


async def test_the_same_request_twice_starts_one() -> None:
    async with Shop(rollback=make_policy()) as shop:
        await shop.sees(*[200] * 30)
        for _ in range(2):
            await operations.start("shop", "ann", "now", None, shop.desk, request="click-1")
            await shop.settle()
        await shop.sees(200, 200)
        await operations.start("shop", "ann", "now", None, shop.desk, request="click-1")
        await shop.settle()

        assert shop.effects.total() == 1


async def test_one_at_a_time_and_the_kill_switch_hold_for_people_as_well() -> None:
    async with Shop(rollback=make_policy()) as shop:
        await shop.sees(*[200] * 30)
        await operations.start("shop", "ann", "now", None, shop.desk)
        with pytest.raises(OperationError, match="IN_PROGRESS"):
            await operations.start("shop", "ann", "now", None, shop.desk)
        await shop.settle()
        await shop.sees(200, 200)
        shop.conditions = Conditions(kill_switch=True)
        await shop.restarts()
        with pytest.raises(OperationError, match="KILL_SWITCH"):
            await operations.start("shop", "ann", "now", None, shop.desk)

        assert shop.effects.total() == 1


async def test_what_is_not_known_is_said() -> None:
    async with Shop(rollback=make_policy(Mode.OBSERVE, steps=())) as shop:
        with pytest.raises(NotFound, match="there is no rollback and no service 'nobody'"):
            await operations.approve("nobody", "ann", shop.desk)
        with pytest.raises(NotFound, match="shop was never rolled back"):
            await operations.veto("shop", "ann", "", shop.desk)
        with pytest.raises(NotFound, match="no service 'shopp'"):
            await operations.start("shopp", "ann", "now", None, shop.desk)
        with pytest.raises(OperationError, match="shop has no steps of a rollback"):
            await operations.start("shop", "ann", "now", None, shop.desk)


async def test_taking_the_incident_on_after_a_bad_end_unlatches_and_before_it_does_not() -> None:
    policy = make_policy(Mode.AUTOMATIC)
    policy = replace(policy, limits=replace(policy.limits, cooldown=timedelta()))
    async with Shop(rollback=policy) as shop:
        await shop.sees(*[200] * 30)
        await shop.deploys()
        await shop.sees(500, 500, 500)
        (incident,) = shop.story.open
        await operations.acknowledge(incident.id, "ann", shop.desk)
        await shop.sees(*[500] * 12)
        ended, (unheeded,) = shop.newest, shop.story.open
        held = what_blocks(shop, ended)
        await operations.acknowledge(incident.id, "ann", shop.desk)

        assert ended.state is RollbackState.NOT_RECOVERED
        assert unheeded.acknowledgement is None  # nobody has taken on that it did not help
        assert Blocked.LATCHED in held
        assert Blocked.LATCHED not in what_blocks(shop, ended)


def what_blocks(shop: Shop, ended: Rollback) -> list[Blocked]:
    """Say which guards object to another trip of the same service, after one that ended."""
    service = shop.story.engine.directory.service("shop")
    assert service.rollback is not None
    trip = Trip(
        service=service,
        policy=service.rollback,
        severity=ended.severity,
        rollback="later",
        deploy=shop.situation.deploys[ended.deploy_id],
        situation=shop.situation,
        circumstances=Circumstances(),
        now=shop.story.now,
    )

    return [reason for reason, blocks in GUARDS if blocks(trip)]


ACTS = ("fail", "pass", "approve", "veto", "wait", "expire", "restart", "deploy", "tick")


@settings(max_examples=100, deadline=None)
@given(
    mode=st.sampled_from([Mode.APPROVE, Mode.COUNTDOWN, Mode.AUTOMATIC]),
    acts=st.lists(st.sampled_from(ACTS), min_size=2, max_size=16),
)
def test_whatever_happens_nothing_runs_twice_unapproved_or_vetoed(
    mode: Mode, acts: Sequence[str]
) -> None:
    asyncio.run(live_through(mode, acts))


async def live_through(mode: Mode, acts: Sequence[str]) -> None:
    vetoed: set[str] = set()
    policy = waiting_policy(mode)
    policy = replace(policy, limits=replace(policy.limits, cooldown=timedelta(minutes=1)))
    async with Shop(rollback=policy) as shop:
        await shop.sees(*[200] * 12)
        await shop.deploys()
        await shop.sees(500, 500, 500)
        for act in acts:
            await do(act, shop, vetoed)

        assert all(count == 1 for count in shop.effects.values()), shop.effects
        assert len(shop.effects) == len({key.partition(".")[0] for key in shop.effects})
        for seen in shop.hooks[0].seen:
            assert mode is not Mode.APPROVE or seen.approved_by
            assert seen.started_at is not None
            waited = seen.started_at - seen.tripped_at
            assert (
                mode is not Mode.COUNTDOWN
                or seen.approved_by
                or waited >= policy.wait_of(seen.severity)
            )
        assert not vetoed & {one.id for one in shop.hooks[0].seen}


async def do(act: str, shop: Shop, vetoed: set[str]) -> None:
    match act:
        case "fail":
            await shop.sees(500, 500, 500)
        case "pass":
            await shop.sees(200, 200)
        case "approve" | "veto":
            try:
                told = await (shop.approve() if act == "approve" else shop.veto())
                await (shop.approve() if act == "approve" else shop.veto())
            except OperationError:
                return
            if act == "veto":
                vetoed.add(told["id"])
        case "wait":
            await shop.waits(60)
        case "expire":
            await shop.waits(600)
        case "restart":
            await shop.restarts()
        case "deploy":
            await shop.deploys()
        case _:
            await shop.waits(1)
