"""The sentences about rollbacks: where one stands, why it is held back, what its steps did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.notice import RollbackSummary
from monitor.core.model.rollback import Blocked, RollbackKind, RollbackState, StepState
from monitor.core.wording.phrases import LONGEST_SENTENCE, as_sentence, one_line

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.notice import Notice
    from monitor.core.model.rollback import Rollback, Step

_LONGEST_TURN: Final = 400

_WHY_BLOCKED: Final = {
    Blocked.MODE: "its mode only observes",
    Blocked.KILL_SWITCH: "the kill switch is on",
    Blocked.MAINTENANCE: "there is maintenance",
    Blocked.WARMING_UP: "the monitor has only just started",
    Blocked.BLIND: "the monitor may be cut off, or a check that triggers is not known",
    Blocked.NO_DEPLOY: "no deploy is known, so there is nothing to undo",
    Blocked.OUTSIDE_WINDOW: "the last deploy was too long ago to be the cause",
    Blocked.UNHEALTHY_BEFORE: "it is not known to have been healthy before the deploy",
    Blocked.DEPENDENCY_DOWN: "what it depends on is down",
    Blocked.COMMON_CAUSE: "more than half of all services began to fail together",
    Blocked.ALREADY_ROLLED_BACK: "this deploy was rolled back already",
    Blocked.VETOED: "a person vetoed the rollback of this deploy",
    Blocked.DAILY_LIMIT: "the limit of rollbacks for one day is reached",
    Blocked.FLEET_LIMIT: "the limit of rollbacks for all services is reached",
    Blocked.COOLING_DOWN: "the last rollback was too short a time ago",
    Blocked.IN_PROGRESS: "another rollback is in progress",
    Blocked.DEPLOY_IN_PROGRESS: "a deploy is in progress",
    Blocked.LATCHED: "an earlier rollback did not help, and a person has to look first",
    Blocked.PLAN_CHANGED: "its steps were changed after the first of them",
    Blocked.STORE: "the store cannot be written",
    Blocked.EXPIRED: "nobody approved it in time",
}

_ROLLBACK_STATE: Final = {
    RollbackState.BLOCKED: "blocked",
    RollbackState.COUNTDOWN: "about to begin",
    RollbackState.AWAITING: "waits for approval",
    RollbackState.EXECUTING: "under way",
    RollbackState.UNCERTAIN: "uncertain, a person has to look",
    RollbackState.VERIFYING: "done, recovery is being verified",
    RollbackState.RECOVERED: "done, and it helped",
    RollbackState.NOT_RECOVERED: "done, but it did not help, a person has to act",
    RollbackState.INCONCLUSIVE: "done, but whether it helped is not known, a person has to look",
    RollbackState.FAILED: "failed, a person has to act",
    RollbackState.CANCELLED: "called off",
}

_ONCE_OVER: Final = {
    RollbackState.NOT_RECOVERED: "was done, and had not helped",
    RollbackState.INCONCLUSIVE: "was done, and was not seen to help",
    RollbackState.FAILED: "had failed",
}
"""Where a rollback stood when its incident ended by itself; one that is half done still is."""

_GOES_WELL: Final = (RollbackState.EXECUTING, RollbackState.VERIFYING, RollbackState.RECOVERED)
"""The states of a rollback for which there is no reason but what tripped it."""

_MISSES_A_VERSION: Final = (RollbackState.EXECUTING, RollbackState.FAILED, RollbackState.UNCERTAIN)
"""The states in which people should know that the steps were handed no version to restore."""

_STEP_STATE: Final = {
    StepState.INTENT: "is next",
    StepState.STARTED: "started",
    StepState.DONE: "done",
    StepState.FAILED: "failed",
    StepState.UNCERTAIN: "has an uncertain end",
}


def step_text(step: Step, kind: RollbackKind = RollbackKind.ROLLBACK) -> str:
    """Say on one line what became of one step of a rollback."""
    detail = f": {one_line(step.detail)}" if step.detail else ""
    again = f", attempt {step.attempt}" if step.attempt > 1 else ""

    level = f" of level {step.level}" if step.level > 1 else ""
    what = f"{step.name}, {step.kind}" if step.name else step.kind

    return f"{kind} step {step.number}{level} ({what}{again}) {_STEP_STATE[step.state]}{detail}"


def rollback_headline(rollback: Rollback) -> str:
    """Say in one sentence where the rollback of a service stands."""
    return as_sentence(f"{rollback.service}: {_phrase(summarize(rollback))}")


def with_rollback(sentence: str, rollback: Rollback) -> str:
    """Say as well where the rollback stands, for which there is always room."""
    more = f"; {_phrase(summarize(rollback))}"

    return as_sentence(one_line(sentence, max(LONGEST_SENTENCE - len(more), 1)) + more)


def without_rollback(notice: Notice) -> str:
    """Give the headline of a notice without where the rollback stood by then."""
    if notice.rollback is None:
        return notice.headline

    return notice.headline.removesuffix(f"; {rollback_phrase(notice.rollback)}")


def blocked_text(blocked: Blocked, why: str = "") -> str:
    """Give the code of what holds a rollback back, and what it means, or what is known of it."""
    return f"{blocked} ({why or _WHY_BLOCKED[blocked]})"


def rollback_reason(rollback: Rollback) -> str:
    """Say why a rollback is blocked, how it ended, or, while it runs, what tripped it."""
    if rollback.blocked is not None:
        return blocked_text(rollback.blocked, one_line(rollback.detail))

    return one_line(rollback.detail or rollback.reason)


def rollback_text(rollback: RollbackSummary, *, over: bool = False) -> str:
    """Say in one sentence whether a rollback is under way, and if it is blocked, why.

    Once the incident is over, nobody has to act any more for one that did not help.
    """
    said = _phrase(rollback, over=over)

    return f"{said[0].upper()}{said[1:]}."


def rollback_phrase(summary: RollbackSummary) -> str:
    """Say where a rollback stands in words that end a sentence."""
    return _phrase(summary)


def summarize(rollback: Rollback) -> RollbackSummary:
    """Give a rollback as a notice tells it."""
    return RollbackSummary(
        id=rollback.id,
        state=rollback.state.value,
        from_version=rollback.from_version,
        to_version=rollback.to_version,
        reason=rollback_reason(rollback),
        approvable=rollback.state is RollbackState.AWAITING,
        vetoable=rollback.waiting,
        due_at=rollback.due_at,
        kind=rollback.kind.value,
        level=rollback.level,
        by=rollback.approved_by or rollback.started_by,
    )


def _phrase(rollback: RollbackSummary, *, over: bool = False) -> str:
    """Say where a rollback stands; what tripped it is said elsewhere, and past once it helped."""
    state = RollbackState(rollback.state)
    how = _ROLLBACK_STATE[state]
    if over:
        how = _ONCE_OVER.get(state, how)
    further = state is RollbackState.EXECUTING and rollback.level > 1
    if further:
        how = f"goes on with level {rollback.level}"
    elif rollback.due_at is not None:
        how += _by_when(state, rollback.due_at)
    elif state is RollbackState.EXECUTING and rollback.by:
        how += f", as {rollback.by} decided"
    telling = state not in _GOES_WELL or further
    why = f": {rollback.reason}" if rollback.reason and telling else ""

    return one_line(f"{_subject(rollback, state)} {how}{why}", _LONGEST_TURN)


def _by_when(state: RollbackState, due_at: datetime) -> str:
    """Say until when a person may do something about it."""
    at = f"{due_at:%H:%M:%S} UTC"

    return f", until {at}" if state is RollbackState.AWAITING else f" at {at} unless it is vetoed"


def _subject(rollback: RollbackSummary, state: RollbackState) -> str:
    """Say what it is; a remedy leaves the version as it is."""
    before, after = rollback.from_version, rollback.to_version
    if rollback.kind == RollbackKind.REMEDY:
        return RollbackKind.REMEDY.value

    return f"rollback{_versions(before, after)}{_target(state, before, after)}"


def _versions(before: str | None, after: str | None) -> str:
    if before and after:
        return f" from {before} to {after}"
    if before:
        return f" of {before}"

    return ""


def _target(state: RollbackState, before: str | None, after: str | None) -> str:
    """Say where it matters that no version is known to which one could go back."""
    unknown = before and not after and state in _MISSES_A_VERSION

    return " (no version is known to be good)" if unknown else ""
