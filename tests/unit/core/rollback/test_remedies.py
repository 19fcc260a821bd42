"""Remedies: what is tried without a deploy, before one is undone, level by level."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.conditions import Conditions
from monitor.core.model.deploy import DeployKind
from monitor.core.model.endpoint import Severity
from monitor.core.model.rollback import Blocked, EffectOutcome, Mode, RollbackKind, RollbackState
from monitor.core.model.service import LevelPlan, StepPlan
from monitor.core.rollback import Circumstances, acts
from monitor.core.rollback.rows import remedy_id
from tests.support.deciding import Shop, Witness, remedy
from tests.support.rolling import NOON, World, make_policy, make_rollback

if TYPE_CHECKING:
    from monitor.core.model.rollback import Rollback

RETRY = LevelPlan(
    steps=(StepPlan(number=1, kind="command", name="escrow.retry"),),
    name="retry",
    recover_within=timedelta(minutes=2),
)
UNDO = LevelPlan(
    steps=(StepPlan(number=1, kind="command", name="escrow.rollback"),),
    name="roll the escrow back",
    first_hook=1,
)


def shop_with(*hooks: Witness, rollback: bool = False, **more: Any) -> Shop:
    """Give a shop that is well, whose remedy has a level for each hook but the last of a deploy."""
    levels = (RETRY, UNDO)[: len(hooks) - rollback]
    policy = make_policy() if rollback else None
    if policy is not None:
        (plain,) = policy.levels
        policy = replace(policy, levels=(replace(plain, first_hook=len(hooks) - 1),))

    return Shop(rollback=policy, remedy=remedy(*levels, **more), hooks=list(hooks))


def tried(shop: Shop) -> Rollback:
    (one,) = [one for one in shop.known if one.kind is RollbackKind.REMEDY]

    return one


async def test_a_remedy_needs_no_deploy_and_is_proven_like_a_rollback() -> None:
    async with shop_with(Witness()) as shop:
        await shop.sees(200, 200, 500, 500, 500)
        running = tried(shop)
        await shop.sees(200, 200, 200)

        assert running.state is RollbackState.VERIFYING
        assert running.deploy_id == ""
        assert running.id == remedy_id("shop", running.incident)
        assert tried(shop).state is RollbackState.RECOVERED
        assert list(shop.effects.values()) == [1]


async def test_the_next_level_follows_where_one_does_not_help_and_each_is_tried_once() -> None:
    first, second = Witness(), Witness()
    async with shop_with(first, second) as shop:
        await shop.sees(200, 200, 500, 500, 500)
        only_first = (first.effects.total(), second.effects.total())
        await shop.sees(*[500] * 5)
        both = (first.effects.total(), second.effects.total())
        await shop.sees(200, 200, 200)

        assert only_first == (1, 0)
        assert both == (1, 1)
        assert tried(shop).state is RollbackState.RECOVERED
        assert [one.level for one in (*first.told, *second.told)] == [
            "retry",
            "roll the escrow back",
        ]
        assert [one.step_key[-3:] for one in (*first.told, *second.told)] == ["1.1", "2.1"]


async def test_a_step_that_fails_leads_to_the_next_level_at_once() -> None:
    first, second = Witness(script=[EffectOutcome.REFUSED]), Witness()
    async with shop_with(first, second) as shop:
        await shop.sees(200, 200, 500, 500, 500)

        assert (first.effects.total(), second.effects.total()) == (1, 1)
        assert tried(shop).level == 2


async def test_a_step_of_unknown_end_leads_to_nothing_further() -> None:
    first, second = Witness(script=[EffectOutcome.UNCERTAIN]), Witness()
    async with shop_with(first, second) as shop:
        await shop.sees(200, 200, *[500] * 12)

        assert (first.effects.total(), second.effects.total()) == (1, 0)
        assert tried(shop).state is RollbackState.UNCERTAIN


async def test_after_the_last_level_people_have_to_act_and_nothing_is_repeated() -> None:
    first, second = Witness(), Witness()
    async with shop_with(first, second) as shop:
        await shop.sees(200, 200, *[500] * 40)

        assert (first.effects.total(), second.effects.total()) == (1, 1)
        assert tried(shop).state is RollbackState.NOT_RECOVERED
        assert tried(shop).latches


async def test_what_recovers_between_two_levels_has_recovered() -> None:
    first, second = Witness(), Witness()
    async with shop_with(first, second) as shop:
        await shop.sees(200, 200, 500, 500, 500, 500)
        await shop.sees(200, 200, 200)

        assert (first.effects.total(), second.effects.total()) == (1, 0)
        assert tried(shop).state is RollbackState.RECOVERED


async def test_a_level_that_is_held_back_until_all_is_well_is_not_tried() -> None:
    first, second = Witness(script=[EffectOutcome.DONE]), Witness()
    async with shop_with(first, second) as shop:
        await shop.sees(200, 200, *[500] * 7)
        shop.conditions = Conditions(sees=False)
        shop.story.sees(500)  # nothing is carried out meanwhile: it is blind
        waiting = tried(shop)
        shop.story.sees(200, 200, 200)
        shop.conditions = None
        await shop.settle()

        assert (waiting.state, waiting.level) == (RollbackState.EXECUTING, 2)
        assert (first.effects.total(), second.effects.total()) == (1, 0)
        assert tried(shop).state is RollbackState.RECOVERED


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_level_that_waits_for_the_monitor_itself_goes_on_with_that_level(
    restarts: bool,
) -> None:
    first, second = Witness(script=[EffectOutcome.REFUSED]), Witness()
    async with shop_with(first, second) as shop:
        await blinded_after_the_first_level(shop)
        if restarts:
            await shop.restarts(settled=False)
        waiting = tried(shop)
        shop.conditions = None
        shop.story.sees(500, 500)  # after a start it takes three to know enough
        await shop.sees(500)

        assert (waiting.state, waiting.level) == (RollbackState.EXECUTING, 2)
        assert (first.effects.total(), second.effects.total()) == (1, 1)
        assert tried(shop).state is RollbackState.VERIFYING


async def test_what_recovers_after_a_level_was_refused_is_called_off_and_not_tried_again() -> None:
    first, second = Witness(script=[EffectOutcome.REFUSED]), Witness()
    async with shop_with(first, second) as shop:
        await blinded_after_the_first_level(shop)
        shop.story.sees(200, 200, 200)
        shop.conditions = None
        await shop.settle()
        ended = tried(shop)

        assert ended.state is RollbackState.CANCELLED
        assert ended.started_at is not None
        assert (first.effects.total(), second.effects.total()) == (1, 0)


async def blinded_after_the_first_level(shop: Shop) -> None:
    """Let the first level be refused, while the monitor loses sight of everything."""

    shop.hooks[0].gate = asyncio.Event()
    await shop.sees(200, 200, 500, 500)
    shop.story.sees(500)
    shop.actuator.wake()
    await shop.hooks[0].entered.wait()
    shop.conditions = Conditions(sees=False)
    shop.hooks[0].gate.set()
    async with asyncio.timeout(30):
        while tried(shop).level == 1:
            await asyncio.sleep(0.001)


async def test_the_timeline_names_what_was_done_with_its_facts() -> None:
    async with shop_with(Witness(), Witness()) as shop:
        await shop.sees(200, 200, *[500] * 9, 200, 200, 200)
        entries = [one for lines in shop.situation.timelines.values() for one in lines]
        done = [one for one in entries if one.event == "escrow.rollback"]
        facts = dict(done[-1].details)

        assert [dict(one.details)["step_state"] for one in done] == ["started", "done"]
        assert facts["remedy_id"] == tried(shop).id
        assert facts["step"] == f"{tried(shop).id}.2.1"
        assert (facts["attempt"], facts["step_kind"], facts["level"]) == ("1", "command", "2")
        assert facts["outcome"] == "said done"


async def test_a_second_incident_has_its_own_remedy_after_the_pause() -> None:
    pause = replace(make_policy().limits, cooldown=timedelta(minutes=5))
    async with shop_with(Witness(), limits=pause) as shop:
        await shop.sees(200, 200, 500, 500, 500, 200, 200, 200)
        await shop.sees(500, 500, 500)
        held = shop.newest.blocked
        await shop.waits(300)
        await shop.sees(500)

        assert held is Blocked.COOLING_DOWN
        assert shop.effects.total() == 2


async def test_a_deploy_is_undone_once_the_remedy_has_not_helped() -> None:
    quick, undo = Witness(), Witness()
    async with shop_with(quick, undo, rollback=True) as shop:
        await shop.sees(*[200] * 30)
        await shop.deploys()
        await shop.sees(500, 500, 500)
        at_first = (quick.effects.total(), undo.effects.total())
        await shop.sees(*[500] * 5)
        in_the_end = (quick.effects.total(), undo.effects.total())
        await shop.sees(200, 200, 200)

        assert at_first == (1, 0)
        assert in_the_end == (1, 1)
        assert [(one.kind.value, one.state.value) for one in shop.known] == [
            ("remedy", "not_recovered"),
            ("rollback", "recovered"),
        ]


async def test_nothing_is_undone_where_nobody_knows_what_the_remedy_did() -> None:
    quick, undo = Witness(script=[EffectOutcome.UNCERTAIN]), Witness()
    async with shop_with(quick, undo, rollback=True) as shop:
        await shop.sees(*[200] * 30)
        await shop.deploys()
        await shop.sees(*[500] * 8)

        assert undo.effects.total() == 0
        assert shop.newest.blocked is Blocked.LATCHED


async def test_a_remedy_that_only_observes_holds_no_rollback_back() -> None:
    quick, undo = Witness(), Witness()
    async with shop_with(quick, undo, rollback=True, mode=Mode.OBSERVE) as shop:
        await shop.sees(*[200] * 30)
        await shop.deploys()
        await shop.sees(500, 500, 500)

        assert (quick.effects.total(), undo.effects.total()) == (0, 1)


def trip(mode: Mode = Mode.AUTOMATIC) -> World:
    world = World(policy=None, remedy=remedy(mode=mode))
    world.passes()
    world.later(60).fails()

    return world


@pytest.mark.parametrize(
    ("circumstances", "reason"),
    [
        (Circumstances(kill_switch=True), Blocked.KILL_SWITCH),
        (Circumstances(maintenance="maintenance 1"), Blocked.MAINTENANCE),
        (Circumstances(warming_up=True), Blocked.WARMING_UP),
        (Circumstances(blind=True), Blocked.BLIND),
        (Circumstances(dependency="database"), Blocked.DEPENDENCY_DOWN),
        (Circumstances(store_ok=False), Blocked.STORE),
    ],
)
def test_what_holds_a_rollback_back_holds_a_remedy_back(
    circumstances: Circumstances, reason: Blocked
) -> None:
    world = trip()
    world.circumstances = circumstances
    world.decide()
    held = world.newest.blocked
    world.circumstances = Circumstances(services=5)
    world.decide()

    assert held is reason
    assert world.newest.state is RollbackState.EXECUTING


def test_a_day_has_so_many_remedies_whatever_was_rolled_back() -> None:
    world = trip()
    for number, kind in enumerate((RollbackKind.ROLLBACK, RollbackKind.REMEDY)):
        done = world.now - timedelta(hours=2)
        world.know(make_rollback(f"r{number}", kind=kind, started_at=done, ended_at=done))
    world.decide()
    assert world.newest.state is RollbackState.EXECUTING

    world = trip()
    for number in range(2):
        done = world.now - timedelta(hours=2)
        world.know(
            make_rollback(f"r{number}", kind=RollbackKind.REMEDY, started_at=done, ended_at=done)
        )
    world.decide()
    assert world.newest.blocked is Blocked.DAILY_LIMIT


def test_a_rollback_under_way_comes_before_a_remedy() -> None:
    world = trip()
    world.know(make_rollback(state=RollbackState.VERIFYING, ended_at=None))

    assert not world.decide()


def test_a_rollback_that_did_not_help_latches_the_remedy_as_well() -> None:
    world = trip()
    world.know(make_rollback(state=RollbackState.NOT_RECOVERED))
    world.decide()

    assert world.newest.blocked is Blocked.LATCHED


def test_the_severity_of_an_incident_may_decide_how_long_people_have() -> None:
    policy = make_policy(
        Mode.APPROVE,
        modes={Severity.HIGH: Mode.COUNTDOWN},
        waits={Severity.HIGH: timedelta(seconds=5)},
        wait=timedelta(minutes=3),
    )

    assert policy.wait_of(Severity.HIGH) == timedelta(seconds=5)
    assert policy.wait_of(Severity.LOW) == timedelta(minutes=3)


def test_what_was_tried_in_an_incident_is_remembered_however_long_that_lasts() -> None:
    world = trip()
    world.decide()
    remedied = world.newest
    ended = replace(remedied, state=RollbackState.RECOVERED, ended_at=world.now)
    later = make_rollback("by hand", tripped_at=NOON + timedelta(days=1), started_by="ann")
    world.know(ended, later)
    world.situation.forget_deploys(NOON + timedelta(days=100))

    assert remedied.id in world.situation.rollbacks


def test_a_version_that_people_put_back_after_a_remedy_is_their_deploy() -> None:
    world = trip()
    world.announce("v1")
    world.later(1).announce("v2")
    done = make_rollback(
        "r", kind=RollbackKind.REMEDY, from_version="v2", started_at=world.now, ended_at=world.now
    )
    world.know(done)
    world.later(1).announce("v1")

    live = world.situation.current_deploy("shop")
    assert live is not None
    assert live.kind is DeployKind.PLANNED


def test_a_veto_of_what_no_deploy_explains_is_not_asked_again() -> None:
    world = World(policy=make_policy(Mode.APPROVE))
    world.passes()
    world.later(60).fails()
    world.decide()
    world.keep(acts.veto(world.newest, "ann", "", world.now))

    assert not world.later(1).decide()
    assert len(world.situation.rollbacks) == 1


def test_what_a_person_started_and_a_guard_stopped_latches_nothing() -> None:
    stopped = make_rollback(
        state=RollbackState.BLOCKED, blocked=Blocked.KILL_SWITCH, started_by="ann"
    )

    assert not stopped.latches
