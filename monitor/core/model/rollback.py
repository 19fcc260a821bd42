"""Rollbacks: at most one per bad deploy, each effect journalled before and after."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from monitor.core.model.endpoint import Severity


class RollbackKind(StrEnum):
    """What is tried: an earlier version, or a remedy that needs no deploy to have been the cause.

    Both are decided, journalled, carried out and proven in the same way.
    """

    ROLLBACK = "rollback"
    REMEDY = "remedy"


class Mode(StrEnum):
    """What a trip does: `countdown` begins unless a person objects, `approve` if one agrees."""

    OFF = "off"
    OBSERVE = "observe"
    APPROVE = "approve"
    COUNTDOWN = "countdown"
    AUTOMATIC = "automatic"

    @property
    def acts(self) -> bool:
        """Whether anything may come of a trip."""
        return self not in (Mode.OFF, Mode.OBSERVE)


class RollbackState(StrEnum):
    """Where a rollback stands; before it there is only the deploy that is watched.

    `countdown` begins by itself, and `awaiting` needs the approval of a person, both by a time.
    `uncertain`: an effect was begun and nobody knows what came of it; a person has to look.
    `cancelled`: the checks recovered before any effect, or a person vetoed it.
    """

    BLOCKED = "blocked"
    COUNTDOWN = "countdown"
    AWAITING = "awaiting"
    EXECUTING = "executing"
    UNCERTAIN = "uncertain"
    VERIFYING = "verifying"
    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing further happens by itself."""
        return self in _ENDED


_ENDED = frozenset(
    {
        RollbackState.UNCERTAIN,
        RollbackState.RECOVERED,
        RollbackState.NOT_RECOVERED,
        RollbackState.INCONCLUSIVE,
        RollbackState.FAILED,
        RollbackState.CANCELLED,
    }
)

_HARMLESS = (RollbackState.RECOVERED, RollbackState.CANCELLED)


class Blocked(StrEnum):
    """Why a trip has no effect, in the order in which the guards are asked."""

    MODE = "MODE"
    KILL_SWITCH = "KILL_SWITCH"
    MAINTENANCE = "MAINTENANCE"
    WARMING_UP = "WARMING_UP"
    BLIND = "BLIND"
    NO_DEPLOY = "NO_DEPLOY"
    OUTSIDE_WINDOW = "OUTSIDE_WINDOW"
    UNHEALTHY_BEFORE = "UNHEALTHY_BEFORE"
    DEPENDENCY_DOWN = "DEPENDENCY_DOWN"
    COMMON_CAUSE = "COMMON_CAUSE"
    ALREADY_ROLLED_BACK = "ALREADY_ROLLED_BACK"
    VETOED = "VETOED"
    DAILY_LIMIT = "DAILY_LIMIT"
    FLEET_LIMIT = "FLEET_LIMIT"
    COOLING_DOWN = "COOLING_DOWN"
    IN_PROGRESS = "IN_PROGRESS"
    DEPLOY_IN_PROGRESS = "DEPLOY_IN_PROGRESS"
    LATCHED = "LATCHED"
    PLAN_CHANGED = "PLAN_CHANGED"
    STORE = "STORE"
    EXPIRED = "EXPIRED"


_LATCH_NOTHING = frozenset({None, Blocked.MODE, Blocked.VETOED})


class StepState(StrEnum):
    """The journal of one step: committed before the effect, and after it."""

    INTENT = "intent"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One effect of a rollback. `key` is `rollback_id.level.step`, the same on each attempt.

    `maybe_applied` says that an earlier attempt may have had its effect. `name` is what the
    configuration calls it, if anything.
    """

    key: str
    rollback: str
    level: int
    number: int
    kind: str
    state: StepState
    attempt: int
    at: datetime
    detail: str = ""
    output: str = ""
    maybe_applied: bool = False
    name: str = ""

    @property
    def may_have_effect(self) -> bool:
        """Whether anything may have been changed by it."""
        return self.maybe_applied or self.state in (
            StepState.STARTED,
            StepState.DONE,
            StepState.UNCERTAIN,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """One rollback of one service, or one remedy, or a trip that was blocked.

    `id` is a UUIDv5 of service and deploy id, of a remedy that of service and incident, so that
    restarts and duplicates are one row; what a person started has one of its own.
    `triggers` are the checks that tripped it and that verify it. `effect_done_at` is when the last
    effect was complete: verification counts only samples after it. `blocked` says why nothing was
    done; a blocked trip that is over has `ended_at`. `mode` and `severity` are those of the trip.
    `started_at` is set once effects were decided. `level` is the one that is tried, or was last.
    `due_at` is when a countdown ends, or an approval expires. Who did what to it: `started_by`,
    `approved_by`, `vetoed_by`. `plan` is `RollbackPolicy.plan` as it was when its steps began.
    """

    id: str
    service: str
    deploy_id: str
    incident: str
    state: RollbackState
    mode: Mode
    severity: Severity
    reason: str
    triggers: tuple[str, ...]
    tripped_at: datetime
    verify_within: timedelta
    from_version: str | None = None
    to_version: str | None = None
    blocked: Blocked | None = None
    started_at: datetime | None = None
    effect_done_at: datetime | None = None
    ended_at: datetime | None = None
    detail: str = ""
    kind: RollbackKind = RollbackKind.ROLLBACK
    level: int = 1
    due_at: datetime | None = None
    started_by: str = ""
    approved_by: str = ""
    vetoed_by: str = ""
    plan: str = ""

    @property
    def running(self) -> bool:
        """Whether effects or their verification are under way."""
        return self.state in (RollbackState.EXECUTING, RollbackState.VERIFYING)

    @property
    def waiting(self) -> bool:
        """Whether it has been decided, and may still be vetoed."""
        return self.state in (RollbackState.COUNTDOWN, RollbackState.AWAITING)

    @property
    def lasts(self) -> bool:
        """Whether it is a trip of which nothing came yet: it is held back, or waits."""
        return self.waiting or (self.state is RollbackState.BLOCKED and self.ended_at is None)

    @property
    def latches(self) -> bool:
        """Whether nothing automatic may follow until a person or a new planned deploy comes."""
        if self.state is RollbackState.BLOCKED:
            over = self.ended_at is not None or self.blocked is Blocked.EXPIRED
            return over and self.blocked not in _LATCH_NOTHING and not self.started_by

        return self.state.ended and self.state not in _HARMLESS


class EffectOutcome(StrEnum):
    """What is known of an effect after it was tried."""

    DONE = "done"
    NOTHING_APPLIED = "nothing_applied"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The result of one attempt at a step; `output` is bounded and redacted."""

    outcome: EffectOutcome
    detail: str
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectContext:
    """What a hook is told: the values behind `MONITOR_*` and the JSON on standard input."""

    rollback_id: str
    step_key: str
    service: str
    environment: str
    level: str
    reason: str
    severity: str
    from_version: str
    to_version: str
    deploy_id: str
    incident_id: str
    attempt: int
    dry_run: bool = False
