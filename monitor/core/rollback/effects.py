"""The journal of effects: intent, started, result, and what each of them makes of a rollback."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.model.changes import Changes
from monitor.core.model.deploy import DeployState
from monitor.core.model.rollback import (
    Blocked,
    EffectContext,
    EffectOutcome,
    RollbackState,
    Step,
    StepState,
)

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.deploy import Deploy
    from monitor.core.model.rollback import Effect, Rollback
    from monitor.core.model.service import Directory, RollbackPolicy, StepPlan
    from monitor.core.situation import Situation

ATTEMPTS: Final = 2
"""A definite "nothing applied" is tried once more, and so is an uncertain idempotent request."""

_LONGEST_LINE: Final = 200
_LONGEST_DETAIL: Final = 500

PASSING: Final = frozenset({Blocked.WARMING_UP, Blocked.BLIND, Blocked.STORE})
"""Reasons of the monitor's own: a rollback that is half done waits for them to pass."""


def next_step(rollback: Rollback, policy: RollbackPolicy, situation: Situation) -> StepPlan | None:
    """Give the first step of the level that is not done."""
    level = policy.level(rollback.level)
    done = _done(rollback, situation)

    return next((plan for plan in level.steps if plan.number not in done), None) if level else None


def applied(rollback: Rollback, situation: Situation) -> bool:
    """Whether any step may have changed something."""
    return any(step.may_have_effect for step in situation.steps_of(rollback.id))


def half_done(rollback: Rollback, situation: Situation) -> bool:
    """Whether it cannot be as if it had never begun: a level was tried, or a step had an effect."""
    return rollback.level > 1 or applied(rollback, situation)


def between_levels(rollback: Rollback, situation: Situation) -> bool:
    """Whether a level did not help, and nothing of the next has begun."""
    return rollback.level > 1 and not any(
        step.may_have_effect and step.level == rollback.level
        for step in situation.steps_of(rollback.id)
    )


def plan_changed(rollback: Rollback, policy: RollbackPolicy, situation: Situation) -> bool:
    """Whether the steps are no longer those that were begun.

    Steps are known by their places. Where they were changed meanwhile, one might be carried out a
    second time under another key, or left out.
    """
    return rollback.plan not in ("", policy.plan) and half_done(rollback, situation)


def find_intent(rollback: Rollback, plan: StepPlan, situation: Situation) -> Step | None:
    """Give the journal's row of a step if it says that the step is next."""
    step = situation.steps.get(_key(rollback, plan.number))

    return step if step is not None and step.state is StepState.INTENT else None


def find_begun(rollback: Rollback, situation: Situation) -> Step | None:
    """Give the step that was begun and has no result yet."""
    return next(
        (step for step in situation.steps_of(rollback.id) if step.state is StepState.STARTED), None
    )


def intend(
    rollback: Rollback, policy: RollbackPolicy, situation: Situation, now: datetime
) -> Changes:
    """Write that the next step is going to be tried; an intent that stands is written again."""
    plan = next_step(rollback, policy, situation)
    if plan is None:
        return Changes()

    step = situation.steps.get(_key(rollback, plan.number))
    if step is not None and step.state is not StepState.INTENT:
        return Changes()
    if step is not None and (step.kind, step.name) != (plan.kind, plan.name):
        step = None  # it was to be another, and nothing of it was done
    if step is None:
        step = Step(
            key=_key(rollback, plan.number),
            rollback=rollback.id,
            level=rollback.level,
            number=plan.number,
            kind=plan.kind,
            state=StepState.INTENT,
            attempt=1,
            at=now,
            name=plan.name,
        )

    return Changes(steps=(step,))


def begin(
    rollback: Rollback, step: Step, policy: RollbackPolicy, situation: Situation, now: datetime
) -> Changes:
    """Write that a step starts now, by which plan; its deploy is a bad one from here on."""
    deploy = situation.deploys.get(rollback.deploy_id)
    bad: tuple[Deploy, ...] = ()
    if deploy is not None and deploy.state is not DeployState.BAD:
        bad = (replace(deploy, state=DeployState.BAD, certified_at=None),)

    planned = () if rollback.plan == policy.plan else (replace(rollback, plan=policy.plan),)

    return Changes(
        rollbacks=planned, steps=(replace(step, state=StepState.STARTED, at=now),), deploys=bad
    )


def finish(
    rollback: Rollback,
    step: Step,
    effect: Effect,
    policy: RollbackPolicy,
    situation: Situation,
    now: datetime,
) -> Changes:
    """Write what came of a step, and what follows: the next, another attempt, or an end."""
    detail = _explain(effect)
    result = replace(step, at=now, detail=detail, output=effect.output)
    said = f"step {step.number} ({step.kind}) {detail}"
    match effect.outcome:
        case EffectOutcome.DONE:
            result = replace(result, state=StepState.DONE)
            return Changes(steps=(result,)) + _go_on(rollback, result, policy, situation, now)
        case EffectOutcome.NOTHING_APPLIED if step.attempt < ATTEMPTS:
            return _again(replace(result, state=StepState.FAILED), now)
        case EffectOutcome.UNCERTAIN:
            result = replace(result, state=StepState.UNCERTAIN)
            if _repeatable(rollback, step, policy):
                return _again(result, now)
            return _end(rollback, RollbackState.UNCERTAIN, result, said, now)
        case _:
            result = replace(result, state=StepState.FAILED)
            if step.maybe_applied:  # what an earlier attempt did is still not known
                return _end(rollback, RollbackState.UNCERTAIN, result, said, now)
            if following := next_level(rollback, policy, said):
                return Changes(rollbacks=(following,), steps=(result,))
            return _end(rollback, RollbackState.FAILED, result, said, now)


def next_level(rollback: Rollback, policy: RollbackPolicy, why: str) -> Rollback | None:
    """Give what goes on with the next level, since this one did not help; None after the last."""
    if policy.level(rollback.level + 1) is None:
        return None

    return replace(rollback, state=RollbackState.EXECUTING, level=rollback.level + 1, detail=why)


def interrupt(
    rollback: Rollback, policy: RollbackPolicy | None, situation: Situation, now: datetime
) -> Changes:
    """Settle what an earlier process left of a rollback: a step that started has no known end.

    Such a step is never run again by itself, but for a webhook that promises to be idempotent.
    """
    step = find_begun(rollback, situation)
    if step is None:
        return Changes()

    detail = "the monitor ended while it ran, so its outcome is not known"
    result = replace(step, state=StepState.UNCERTAIN, at=now, detail=detail)
    if policy is not None and _repeatable(rollback, step, policy):
        return _again(result, now)
    said = f"step {step.number} ({step.kind}): {detail}"

    return _end(rollback, RollbackState.UNCERTAIN, result, said, now)


def take_back(step: Step, now: datetime) -> Changes:
    """Write that a step which was marked as started did not start after all."""
    return Changes(steps=(replace(step, state=StepState.INTENT, at=now),))


def hold(rollback: Rollback, reason: Blocked, situation: Situation, now: datetime) -> Changes:
    """Hold a rollback back before its next effect.

    Nothing was changed yet: the trip is blocked, and goes on once the reason passes. Half done, it
    waits for what passes by itself, and ends for any other reason.
    """
    if not half_done(rollback, situation):
        held = replace(rollback, state=RollbackState.BLOCKED, blocked=reason, started_at=None)
        return Changes(rollbacks=(held,))
    if reason in PASSING:
        return Changes()

    open_end = any(
        step.maybe_applied and step.state is StepState.INTENT
        for step in situation.steps_of(rollback.id)
    )
    failed = replace(
        rollback,
        state=RollbackState.UNCERTAIN if open_end else RollbackState.FAILED,
        ended_at=now,
        detail=f"held back half-way: {wording.blocked_text(reason)}",
    )

    return Changes(rollbacks=(failed,))


def call_off(rollback: Rollback, now: datetime) -> Rollback:
    """Give a rollback of which nothing was done, because its checks recovered meanwhile.

    A level that was refused was tried all the same, and is not tried again.
    """
    return replace(
        rollback,
        state=RollbackState.CANCELLED,
        started_at=rollback.started_at if rollback.level > 1 else None,
        due_at=None,
        ended_at=now,
        detail=f"the checks recovered before level {rollback.level} was begun"
        if rollback.level > 1
        else "the checks recovered before anything was done",
    )


def tell_hook(
    rollback: Rollback, step: Step, policy: RollbackPolicy, directory: Directory
) -> EffectContext:
    """Give what a hook is told of the step that it carries out."""
    return EffectContext(
        rollback_id=rollback.id,
        step_key=step.key,
        service=rollback.service,
        environment=directory.environment,
        level=level.name if (level := policy.level(rollback.level)) else "",
        reason=rollback.reason,
        severity=rollback.severity.value,
        from_version=rollback.from_version or "",
        to_version=rollback.to_version or "",
        deploy_id=rollback.deploy_id,
        incident_id=rollback.incident,
        attempt=step.attempt,
    )


def _explain(effect: Effect) -> str:
    """Say what came of an effect; unless it is done, with the last thing that was said of it.

    A line of a page, or one of brackets alone, says nothing.
    """
    if effect.outcome is EffectOutcome.DONE:
        return effect.detail

    said = next(
        (
            line
            for line in map(_printable, reversed(effect.output.splitlines()))
            if not line.startswith("<") and any(map(str.isalnum, line))
        ),
        "",
    )

    return f"{effect.detail}: {said}"[:_LONGEST_DETAIL] if said else effect.detail


def _printable(line: str) -> str:
    words = "".join(char if char.isprintable() else " " for char in line).split()

    return " ".join(words)[:_LONGEST_LINE]


def _key(rollback: Rollback, number: int) -> str:
    return f"{rollback.id}.{rollback.level}.{number}"


def _done(rollback: Rollback, situation: Situation) -> set[int]:
    """Give the numbers of the steps of the level that are done."""
    return {
        step.number
        for step in situation.steps_of(rollback.id)
        if step.level == rollback.level and step.state is StepState.DONE
    }


def _repeatable(rollback: Rollback, step: Step, policy: RollbackPolicy) -> bool:
    """Whether a step of unknown outcome may be issued once more, under the same key.

    A command may not, whatever it promises: nothing can read what the first run did. Nor may what
    has another step in its place by now.
    """
    if rollback.plan not in ("", policy.plan):
        return False

    level = policy.level(step.level)
    steps = level.steps if level else ()
    plan = next((plan for plan in steps if plan.number == step.number), None)

    return (
        plan is not None
        and plan.idempotent
        and plan.kind == step.kind == "webhook"
        and step.attempt < ATTEMPTS
    )


def _again(result: Step, now: datetime) -> Changes:
    """Write the result of an attempt, and that there will be another."""
    intent = replace(
        result,
        state=StepState.INTENT,
        attempt=result.attempt + 1,
        at=now,
        detail="",
        output="",
        maybe_applied=result.may_have_effect,
    )

    return Changes(steps=(result, intent))


def _go_on(
    rollback: Rollback, result: Step, policy: RollbackPolicy, situation: Situation, now: datetime
) -> Changes:
    """After the last step, verify: from here on the passes of what proves it are counted anew."""
    if rollback.plan not in ("", policy.plan):  # what is left of it is not known: it is held back
        return Changes()

    level = policy.level(rollback.level)
    done = _done(rollback, situation) | {result.number}
    if level is not None and any(plan.number not in done for plan in level.steps):
        return Changes()

    within = (level.recover_within if level else None) or policy.verify_within
    verifying = replace(
        rollback, state=RollbackState.VERIFYING, effect_done_at=now, verify_within=within
    )
    states = tuple(
        replace(state, consecutive_passes=0)
        for state in situation.states_of(policy.verifying(rollback.triggers))
        if state.consecutive_passes
    )

    return Changes(rollbacks=(verifying,), states=states)


def _end(
    rollback: Rollback, state: RollbackState, result: Step, detail: str, now: datetime
) -> Changes:
    ended = replace(rollback, state=state, ended_at=now, detail=detail)

    return Changes(rollbacks=(ended,), steps=(result,))
