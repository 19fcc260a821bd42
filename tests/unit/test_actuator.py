from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployState
from monitor.core.model.rollback import (
    Blocked,
    Effect,
    EffectOutcome,
    Mode,
    Rollback,
    RollbackState,
    StepState,
)
from monitor.core.model.service import Directory, StepPlan
from tests.support.acting import Crash, Disk, Faraway, Life, Recorder, Rememberer
from tests.support.logs import capture_logs
from tests.support.rolling import World, make_policy
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = StepPlan(number=1, kind="command")
WEBHOOK = StepPlan(number=1, kind="webhook")
REPEATABLE = StepPlan(number=1, kind="webhook", idempotent=True)
SECOND = StepPlan(number=2, kind="webhook")


def decided(*steps: StepPlan) -> World:
    """Give a world in which a rollback of these steps is decided."""
    world = World(policy=make_policy(steps=steps or (COMMAND,)))
    world.passes()
    world.deploy()
    world.later(1).fails()
    world.decide()
    assert world.newest.state is RollbackState.EXECUTING

    return world


def alive(world: World, *hooks: Recorder | Faraway) -> Life:
    disk = Disk()
    situation = world.situation
    disk.commit(
        Changes(
            states=tuple(situation.states.values()),
            incidents=tuple(situation.incidents.values()),
            deploys=tuple(situation.deploys.values()),
            rollbacks=tuple(situation.rollbacks.values()),
            steps=tuple(situation.steps.values()),
        )
    )

    return Life(world=world, disk=disk, hooks=list(hooks))


def reborn(life: Life) -> Life:
    """Start again from what the disk remembers."""
    world = World(policy=life.world.policy, now=life.world.now, situation=life.disk.load())

    for hook in life.hooks:
        hook.crashed = False

    return Life(world=world, disk=life.disk, hooks=life.hooks)


def journal_of(life: Life) -> list[StepState]:
    return [step.state for changes in life.written for step in changes.steps]


async def carry_out(life: Life) -> Rollback:
    async with life.run():
        await life.settle()

    return life.world.newest


@pytest.mark.parametrize(
    ("steps", "script", "state", "attempts"),
    [
        pytest.param([COMMAND], ["done"], "verifying", 1, id="done -> verifying"),
        pytest.param(
            [COMMAND], ["nothing_applied", "done"], "verifying", 2, id="75 is tried once more"
        ),
        pytest.param([COMMAND], ["nothing_applied"] * 2, "failed", 2, id="75 twice -> failed"),
        pytest.param([COMMAND], ["refused"], "failed", 1, id="refused -> failed"),
        pytest.param([COMMAND], ["uncertain"], "uncertain", 1, id="uncertain is not repeated"),
        pytest.param(
            [replace(COMMAND, idempotent=True)],
            ["uncertain"],
            "uncertain",
            1,
            id="a command is not repeated whatever it promises",
        ),
        pytest.param([WEBHOOK], ["uncertain"], "uncertain", 1, id="nor is a plain webhook"),
        pytest.param(
            [REPEATABLE], ["uncertain", "done"], "verifying", 2, id="an idempotent webhook is"
        ),
        pytest.param([REPEATABLE], ["uncertain"] * 2, "uncertain", 2, id="but only once more"),
        pytest.param(
            [REPEATABLE],
            ["uncertain", "refused"],
            "uncertain",
            2,
            id="a refusal does not make the first attempt certain",
        ),
    ],
)
async def test_an_outcome_leads_to_its_end(
    steps: list[StepPlan], script: list[str], state: str, attempts: int
) -> None:
    hook = Recorder([EffectOutcome(one) for one in script])
    life = alive(decided(*steps), hook)

    rollback = await carry_out(life)

    assert rollback.state == state
    assert [context.attempt for context in hook.told] == list(range(1, attempts + 1))
    assert len(hook.effects) == 1
    assert (rollback.ended_at is not None) is rollback.state.ended


async def test_each_state_of_a_step_is_durable_before_the_next() -> None:
    life = alive(decided(), Recorder())

    await carry_out(life)

    assert journal_of(life) == [StepState.INTENT, StepState.STARTED, StepState.DONE]


async def test_a_deploy_is_a_bad_one_once_its_rollback_begins() -> None:
    world = decided()
    good = world.situation.deploys[world.newest.deploy_id]
    world.know(replace(good, state=DeployState.CERTIFIED, certified_at=world.now))

    rollback = await carry_out(alive(world, Recorder()))

    bad = world.situation.deploys[rollback.deploy_id]
    assert (bad.state, bad.certified_at) == (DeployState.BAD, None)


async def test_the_hook_is_told_what_tripped_and_where() -> None:
    hook = Recorder()
    world = decided()

    rollback = await carry_out(alive(world, hook))

    (context,) = hook.told
    assert context.step_key == f"{rollback.id}.1.1"
    assert (context.service, context.environment, context.level) == (
        "shop",
        "production",
        "rollback",
    )
    assert (context.from_version, context.to_version) == ("v2", "")
    assert context.reason == "api.health: status is 500, expected 2xx"
    assert context.incident_id == rollback.incident
    assert not context.dry_run


async def test_steps_are_taken_in_order_and_the_first_failure_ends_them() -> None:
    first, second = Recorder(), Recorder([EffectOutcome.REFUSED])
    third = Recorder()
    world = decided(COMMAND, SECOND, StepPlan(number=3, kind="command"))

    rollback = await carry_out(alive(world, first, second, third))

    assert rollback.state is RollbackState.FAILED
    assert "step 2 (webhook)" in rollback.detail
    assert [len(hook.told) for hook in (first, second, third)] == [1, 1, 0]


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (EffectOutcome.DONE, "done"),
        (EffectOutcome.REFUSED, "failed"),
        (EffectOutcome.UNCERTAIN, "uncertain"),
    ],
)
async def test_the_log_and_the_timeline_say_the_same_of_a_step(
    outcome: EffectOutcome, word: str
) -> None:
    with capture_logs() as logged:
        life = alive(decided(), Recorder([outcome]))
        await carry_out(life)

    (step,) = life.world.situation.steps.values()
    (ended,) = [one for one in logged if one["event"] == "rollback_step_ended"]
    assert ended["outcome"] == step.state.value == word
    assert ended["detail"] == step.detail
    assert ("all about it" in step.detail) is (word != "done")


async def test_a_hook_that_breaks_is_uncertain() -> None:
    life = alive(decided(), Recorder([ZeroDivisionError("division by zero")]))

    rollback = await carry_out(life)

    assert rollback.state is RollbackState.UNCERTAIN
    assert "ZeroDivisionError" in rollback.detail


async def test_a_step_without_a_hook_is_refused() -> None:
    rollback = await carry_out(alive(decided()))

    assert rollback.state is RollbackState.FAILED
    assert rollback.detail == "step 1 (command) is no longer configured"


async def test_what_a_hook_said_is_masked_and_bounded() -> None:
    life = alive(decided(), Recorder())
    life.mask = lambda text: text.replace("all", "***") + "x" * 100_000

    await carry_out(life)

    (step,) = life.world.situation.steps.values()
    assert len(step.output) == 64 * 1024
    assert len(step.detail) <= 500


@pytest.mark.parametrize("state", [StepState.INTENT, StepState.STARTED])
async def test_no_effect_happens_while_the_journal_cannot_be_written(state: StepState) -> None:
    hook = Recorder()
    life = alive(decided(), hook)
    life.refuse = lambda changes: any(step.state is state for step in changes.steps)

    rollback = await carry_out(life)

    assert hook.told == []
    assert (rollback.state, rollback.blocked) == (RollbackState.BLOCKED, Blocked.STORE)

    life.refuse = lambda _changes: False
    life.world.decide()

    assert (await carry_out(life)).state is RollbackState.VERIFYING
    assert len(hook.told) == 1


async def test_a_store_that_fails_after_an_effect_does_not_repeat_it() -> None:
    hook = Recorder()
    life = alive(decided(), hook)
    life.refuse = lambda changes: any(step.state is StepState.DONE for step in changes.steps)

    rollback = await carry_out(life)

    assert len(hook.told) == 1
    assert rollback.state is RollbackState.VERIFYING


@pytest.mark.parametrize("asked", [1, 2], ids=["before it is begun", "right before the effect"])
async def test_a_guard_that_falls_at_the_last_moment_holds_the_effect_back(asked: int) -> None:
    hook = Recorder()
    life = alive(decided(), hook)
    questions = 0

    def allowed(_rollback: Rollback) -> Blocked | None:
        nonlocal questions
        questions += 1

        return Blocked.KILL_SWITCH if questions >= asked else None

    life.allowed = allowed
    rollback = await carry_out(life)

    assert hook.told == []
    assert (rollback.state, rollback.blocked) == (RollbackState.BLOCKED, Blocked.KILL_SWITCH)
    (step,) = life.world.situation.steps.values()
    assert step.state is StepState.INTENT


async def test_a_trip_that_is_over_before_the_effect_is_called_off() -> None:
    hook = Recorder()
    world = decided()
    world.recovers()

    rollback = await carry_out(alive(world, hook))

    assert hook.told == []
    assert (rollback.state, rollback.blocked) == (RollbackState.CANCELLED, None)
    assert rollback.ended_at is not None
    assert not rollback.latches


async def test_after_one_that_was_called_off_the_same_deploy_can_be_rolled_back() -> None:
    hook = Recorder()
    world = decided()
    world.recovers()
    life = alive(world, hook)
    called_off = await carry_out(life)
    world.later(1).fails()
    world.decide()

    rollback = await carry_out(life)

    assert len(hook.told) == 1
    assert (rollback.id, rollback.state) == (called_off.id, RollbackState.VERIFYING)


async def test_a_half_done_rollback_waits_for_what_passes_by_itself() -> None:
    first, second = Recorder(), Recorder()
    world = decided(COMMAND, SECOND)
    life = alive(world, first, second)
    asked = 0

    def allowed(_rollback: Rollback) -> Blocked | None:
        nonlocal asked
        asked += bool(first.told)

        return Blocked.BLIND if 1 <= asked <= 3 else None

    life.allowed = allowed
    rollback = await carry_out(life)

    assert rollback.state is RollbackState.VERIFYING
    assert [len(first.told), len(second.told)] == [1, 1]


async def test_a_half_done_rollback_fails_for_any_other_reason() -> None:
    first, second = Recorder(), Recorder()
    life = alive(decided(COMMAND, SECOND), first, second)
    life.allowed = lambda _rollback: Blocked.KILL_SWITCH if first.told else None

    rollback = await carry_out(life)

    assert rollback.state is RollbackState.FAILED
    assert rollback.detail == "held back half-way: KILL_SWITCH (the kill switch is on)"
    assert second.told == []


async def test_a_request_that_may_have_arrived_is_not_called_failed_when_held_back() -> None:
    hook = Recorder([EffectOutcome.UNCERTAIN])
    life = alive(decided(REPEATABLE), hook)
    life.allowed = lambda _rollback: Blocked.KILL_SWITCH if hook.told else None

    rollback = await carry_out(life)

    assert rollback.state is RollbackState.UNCERTAIN
    assert len(hook.told) == 1


async def test_a_half_done_rollback_goes_on_although_the_checks_recovered() -> None:
    first, second = Recorder(), Recorder()
    world = decided(COMMAND, SECOND)
    life = alive(world, first, second)
    first.gate = asyncio.Event()
    async with life.run():
        await first.entered.wait()
        world.recovers()
        first.gate.set()
        await life.settle()

    assert len(second.told) == 1


async def test_a_policy_that_a_reload_removed_stops_what_was_not_begun() -> None:
    hook = Recorder()
    world = decided()
    world.policy = None

    rollback = await carry_out(alive(world, hook))

    assert hook.told == []
    assert rollback.blocked is Blocked.MODE


async def test_a_reload_reaches_the_next_step() -> None:
    first, second, newer = Recorder(), Recorder(), Recorder()
    first.gate = asyncio.Event()
    world = decided(COMMAND, SECOND)
    life = alive(world, first, second)
    async with life.run() as actuator:
        await first.entered.wait()
        await actuator.replace({"shop": [first, newer]}, world.directory)
        first.gate.set()
        await life.settle()

    assert (len(second.told), len(newer.told)) == (0, 1)


async def test_steps_that_a_reload_took_away_end_a_half_done_rollback() -> None:
    first = Recorder()
    first.gate = asyncio.Event()
    world = decided(COMMAND, SECOND)
    life = alive(world, first, Recorder())
    async with life.run() as actuator:
        await first.entered.wait()
        world.policy = make_policy(steps=(SECOND,))
        await actuator.replace({}, Directory(services={}))
        first.gate.set()
        await life.settle()

    assert life.world.newest.state is RollbackState.FAILED


async def test_steps_that_a_reload_changed_end_a_half_done_rollback_and_none_is_taken_twice() -> (
    None
):
    first, newest = Recorder(), Recorder()
    first.gate = asyncio.Event()
    world = planned("one", COMMAND, SECOND)
    life = alive(world, first, Recorder())
    async with life.run() as actuator:
        await first.entered.wait()
        world.policy = make_policy(steps=(WEBHOOK, replace(COMMAND, number=2)), plan="two")
        await actuator.replace({"shop": [newest, first]}, world.directory)
        first.gate.set()
        await life.settle()

    assert (len(first.told), len(newest.told)) == (1, 0)
    assert life.world.newest.state is RollbackState.FAILED
    assert "its steps were changed" in life.world.newest.detail


async def test_steps_that_were_changed_before_a_restart_are_not_gone_on_with() -> None:
    first, second = Recorder(), Recorder()
    second.gate = asyncio.Event()
    life = alive(planned("one", COMMAND, SECOND), first, second)
    life.allowed = lambda _rollback: Blocked.BLIND if first.told else None
    async with life.run():
        await until(lambda: StepState.DONE in journal_of(life))
    again = reborn(life)
    again.world.policy = make_policy(steps=(replace(SECOND, number=1),), plan="two")
    again.hooks = [second]

    rollback = await carry_out(again)

    assert (len(first.told), len(second.told)) == (1, 0)
    assert rollback.state is RollbackState.FAILED


async def test_a_plan_of_which_nothing_was_begun_may_change() -> None:
    first, second = Recorder(), Recorder()
    world = planned("one", COMMAND)
    world.policy = make_policy(steps=(WEBHOOK, SECOND), plan="two")

    rollback = await carry_out(alive(world, first, second))

    assert (len(first.told), len(second.told)) == (1, 1)
    assert (rollback.state, rollback.plan) == (RollbackState.VERIFYING, "two")
    assert [step.kind for step in world.situation.steps_of(rollback.id)] == ["webhook", "webhook"]


async def test_an_interrupted_request_is_not_issued_again_in_the_place_of_another() -> None:
    hook = Recorder()
    hook.gate = asyncio.Event()
    life = alive(planned("one", REPEATABLE), hook)
    async with life.run():
        await hook.entered.wait()
    again = reborn(life)
    again.world.policy = make_policy(steps=(REPEATABLE,), plan="two")
    other = Recorder()
    again.hooks = [other]

    rollback = await carry_out(again)

    assert other.told == []
    assert rollback.state is RollbackState.UNCERTAIN


def planned(plan: str, *steps: StepPlan) -> World:
    """Give a world in which a rollback by a plan of this name is decided."""
    world = World(policy=make_policy(steps=steps, plan=plan))
    world.passes()
    world.deploy()
    world.later(1).fails()
    world.decide()

    return world


async def test_two_services_are_rolled_back_beside_each_other() -> None:
    world = decided()
    shop, cart = Recorder(), Recorder()
    shop.gate = asyncio.Event()
    life = alive(world, shop)
    other = replace(world.newest, id="cart-rollback", service="cart", deploy_id="cart@noon")
    world.know(other)
    life.allowed = lambda _rollback: None
    async with life.run() as actuator:
        directory = Directory(
            services={"shop": world.service, "cart": replace(world.service, name="cart")}
        )
        await actuator.replace({"shop": [shop], "cart": [cart]}, directory)
        await shop.entered.wait()
        await asyncio.wait_for(cart.entered.wait(), 5)

        assert world.situation.rollbacks["cart-rollback"].ended_at is None
        shop.gate.set()
        await life.settle()


async def test_waking_it_again_starts_nothing_twice() -> None:
    hook = Recorder()
    hook.gate = asyncio.Event()
    life = alive(decided(), hook)
    async with life.run() as actuator:
        await hook.entered.wait()
        for _ in range(5):
            actuator.wake()
            await asyncio.sleep(0.005)
        hook.gate.set()
        await life.settle()

    assert len(hook.told) == 1
    assert journal_of(life) == [StepState.INTENT, StepState.STARTED, StepState.DONE]


async def test_stopping_waits_for_a_running_hook() -> None:
    hook, second = Recorder(), Recorder()
    hook.gate = asyncio.Event()
    life = alive(decided(COMMAND, SECOND), hook, second)
    async with life.run() as actuator:
        await hook.entered.wait()
        asyncio.get_running_loop().call_later(0.05, hook.gate.set)
        await actuator.stop(timedelta(seconds=5))

    states = [step.state for step in life.disk.load().steps_of(life.world.newest.id)]
    assert states == [StepState.DONE]
    assert second.told == []


async def test_a_hook_that_outlives_the_grace_is_uncertain_after_the_restart() -> None:
    hook = Recorder()
    hook.gate = asyncio.Event()
    life = alive(decided(), hook)
    async with life.run() as actuator:
        await hook.entered.wait()
        await actuator.stop(timedelta(seconds=0.01))

    again = reborn(life)
    (step,) = again.world.situation.steps.values()
    assert step.state is StepState.STARTED

    rollback = await carry_out(again)

    assert rollback.state is RollbackState.UNCERTAIN
    assert "not known" in rollback.detail
    assert len(hook.told) == 1


async def test_what_was_only_intended_is_done_after_a_restart() -> None:
    hook = Recorder()
    life = reborn(alive(decided(), hook))

    rollback = await carry_out(life)

    assert rollback.state is RollbackState.VERIFYING


async def test_an_interrupted_idempotent_webhook_is_issued_once_more_with_its_key() -> None:
    hook = Recorder([Crash()])
    life = alive(decided(REPEATABLE), hook)
    async with life.run():
        await hook.entered.wait()

    rollback = await carry_out(reborn(life))

    assert rollback.state is RollbackState.VERIFYING
    assert [(one.step_key, one.attempt) for one in hook.told] == [
        (f"{rollback.id}.1.1", 1),
        (f"{rollback.id}.1.1", 2),
    ]


async def test_a_step_whose_task_died_is_settled_when_it_is_looked_at_again() -> None:
    hook = Recorder([Crash()])
    life = alive(decided(), hook)
    async with life.run() as actuator:
        await hook.entered.wait()
        await asyncio.sleep(0.01)
        hook.crashed = False
        actuator.wake()
        await life.settle()

    assert life.world.newest.state is RollbackState.UNCERTAIN
    assert len(hook.told) == 1


async def interrupted(hook: Rememberer) -> Life:
    """Begin a step, and die while its effect goes on elsewhere."""
    hook.script = [Crash()]
    life = alive(decided(), hook)
    async with life.run():
        await hook.entered.wait()

    return reborn(life)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        pytest.param(EffectOutcome.DONE, RollbackState.VERIFYING, id="done"),
        pytest.param(EffectOutcome.REFUSED, RollbackState.FAILED, id="failed"),
        pytest.param(EffectOutcome.UNCERTAIN, RollbackState.UNCERTAIN, id="not known there either"),
    ],
)
async def test_after_a_restart_a_hook_that_remembers_says_what_came_of_its_step(
    outcome: EffectOutcome, state: RollbackState
) -> None:
    hook = Rememberer(known=Effect(outcome=outcome, detail="said later", output="hunter2"))
    life = await interrupted(hook)
    life.mask = lambda text: text.replace("hunter2", "***")

    rollback = await carry_out(life)

    (step,) = life.world.situation.steps_of(rollback.id)
    assert rollback.state is state
    assert (step.detail, step.output) == ("said later", "***")
    assert hook.asked == hook.told
    assert len(hook.told) == 1


async def test_a_step_that_never_reached_whoever_runs_it_is_run_now() -> None:
    hook = Rememberer(known=None)
    life = await interrupted(hook)

    rollback = await carry_out(life)

    assert rollback.state is RollbackState.VERIFYING
    assert [context.attempt for context in hook.told] == [1, 1]
    assert len(hook.effects) == 1


async def test_a_step_that_was_never_run_passes_the_guards_again() -> None:
    hook = Rememberer(known=None)
    life = await interrupted(hook)
    life.allowed = lambda _rollback: Blocked.KILL_SWITCH

    rollback = await carry_out(life)

    assert rollback.blocked is Blocked.KILL_SWITCH
    assert len(hook.told) == 1


async def test_asking_what_came_of_a_step_holds_up_no_start() -> None:
    hook = Rememberer(known=Effect(outcome=EffectOutcome.DONE, detail="exit 0"))
    life = await interrupted(hook)
    hook.gate = asyncio.Event()
    async with life.run():
        at_first = life.world.newest.state
        hook.gate.set()
        await life.settle()

    assert at_first is RollbackState.EXECUTING
    assert life.world.newest.state is RollbackState.VERIFYING


async def test_stopping_waits_for_no_hook_that_remembers() -> None:
    hook = Rememberer(known=Effect(outcome=EffectOutcome.DONE, detail="exit 0"))
    hook.gate = asyncio.Event()
    life = alive(decided(), hook)
    async with life.run() as actuator, asyncio.timeout(5):
        await hook.entered.wait()
        await actuator.stop(timedelta(hours=1))
    next_life = reborn(life)
    async with next_life.run() as actuator, asyncio.timeout(5):
        while not hook.asked:
            await asyncio.sleep(0)
        await actuator.stop(timedelta(hours=1))
    hook.gate.set()

    assert (await carry_out(reborn(next_life))).state is RollbackState.VERIFYING
    assert len(hook.told) == 1


async def test_a_memory_that_breaks_leaves_the_outcome_unknown() -> None:
    life = await interrupted(Rememberer(known=RuntimeError("no idea")))

    assert (await carry_out(life)).state is RollbackState.UNCERTAIN


async def test_nobody_is_asked_for_a_step_that_is_configured_no_more() -> None:
    hook = Rememberer()
    life = await interrupted(hook)
    life.hooks = []

    assert (await carry_out(life)).state is RollbackState.UNCERTAIN
    assert hook.asked == []


async def test_without_a_policy_nobody_is_asked_either() -> None:
    hook = Rememberer()
    life = await interrupted(hook)
    life.world.policy = None

    assert (await carry_out(life)).state is RollbackState.UNCERTAIN
    assert hook.asked == []


MOMENTS = st.one_of(
    st.just("decide"),
    st.just("fail"),
    st.just("recover"),
    st.just("deploy"),
    st.just("see v1"),
    st.just("see v2"),
    st.just("later"),
    st.just("restart"),
    st.tuples(st.just("crash"), st.integers(1, 8), st.booleans()),
    st.tuples(st.just("store fails"), st.integers(1, 4)),
)
OUTCOMES = st.lists(st.sampled_from([*EffectOutcome, "crash"]), max_size=4)


@settings(max_examples=150, deadline=None)
@given(
    story=st.lists(MOMENTS, min_size=3, max_size=14),
    outcomes=OUTCOMES,
    steps=st.sampled_from([(COMMAND,), (WEBHOOK,), (COMMAND, SECOND)]),
)
def test_whatever_happens_in_any_order_an_effect_happens_at_most_once(
    story: list[str | tuple[str, int] | tuple[str, int, bool]],
    outcomes: list[EffectOutcome | str],
    steps: tuple[StepPlan, ...],
) -> None:
    hooks = [
        Recorder([Crash() if one == "crash" else EffectOutcome(one) for one in outcomes])
        for _ in steps
    ]
    life = alive(decided(*steps), *hooks)
    with capture_logs():
        asyncio.run(_live_through(life, story))

    for hook in hooks:
        applied = [one for one in hook.told if one.attempt == 1]
        assert len({one.step_key for one in applied}) == len(applied)
        repeats = {one.step_key for one in hook.told if one.attempt > 1}
        assert not repeats or EffectOutcome.NOTHING_APPLIED in outcomes
        assert all(count <= 2 for count in hook.effects.values())
    begun = [one for one in life.disk.load().rollbacks.values() if one.started_at is not None]
    assert len({one.deploy_id for one in begun}) == len(begun)


@settings(max_examples=150, deadline=None)
@given(
    story=st.lists(MOMENTS, min_size=3, max_size=14),
    script=st.lists(
        st.sampled_from([*EffectOutcome, "lost", "crash", "killed"]),
        min_size=1,
        max_size=4,
    ),
)
def test_nor_where_its_hook_outlives_the_process_and_is_asked_afterwards(
    story: list[str | tuple[str, int] | tuple[str, int, bool]],
    script: list[EffectOutcome | str],
) -> None:
    hook = Faraway(script)
    life = alive(decided(), hook)
    with capture_logs():
        asyncio.run(_live_through(life, story))

    assert all(count == 1 for count in hook.effects.values())
    journalled = life.disk.load().steps
    for (key, attempt), effect in hook.kept.items():
        step = journalled[key]
        if step.attempt == attempt and effect.outcome is EffectOutcome.DONE:
            assert step.state is StepState.DONE  # what is known is not called uncertain


async def _live_through(
    life: Life, story: list[str | tuple[str, int] | tuple[str, int, bool]]
) -> None:
    acts: dict[str, Callable[[World], object]] = {
        "fail": lambda world: world.fails(),
        "recover": lambda world: world.recovers(),
        "deploy": lambda world: world.announce(f"v{world.now:%H%M}"),
        "see v1": lambda world: world.see("v1"),
        "see v2": lambda world: world.see("v2"),
        "later": lambda world: world.later(7),
    }
    current, disk = life, life.disk
    for moment in [*story, "restart", "decide"]:
        crash_at, durable, failing = None, True, 0
        match moment:
            case "restart":
                current = reborn(current)
            case ("crash", int(number), bool(first)):
                crash_at, durable = number, first
            case ("store fails", int(number)):
                failing = number
            case str(name) if name in acts:
                acts[name](current.world)
        current = Life(
            world=current.world,
            disk=disk,
            hooks=current.hooks,
            crash_at=crash_at,
            durable_first=durable,
            waiting=current.waiting,
        )
        broken = iter([True] * failing)
        current.refuse = lambda _changes, broken=broken: next(broken, False)  # type: ignore[misc]  # a default binds it
        current.world.later(0.1)
        current.commit(current.world.decide() + current.world.verify())
        async with current.run():
            await current.settle()
        if current.over:
            current = reborn(current)


async def test_observe_never_has_an_effect() -> None:
    hook = Recorder()
    world = World(policy=make_policy(Mode.OBSERVE))
    world.passes()
    world.deploy()
    world.later(1).fails()
    world.decide()

    rollback = await carry_out(alive(world, hook))

    assert rollback.blocked is Blocked.MODE
    assert hook.told == []
