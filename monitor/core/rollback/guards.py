"""The guards: what holds a rollback back, each with its reason, in the order of asking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.common_cause import TOGETHER, failing_since, is_common
from monitor.core.model.deploy import DeployState
from monitor.core.model.rollback import Blocked, RollbackKind, RollbackState
from monitor.core.rollback.effects import plan_changed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from monitor.core.model.deploy import Deploy
    from monitor.core.model.endpoint import Severity
    from monitor.core.model.rollback import Mode, Rollback
    from monitor.core.model.service import RollbackPolicy, Service
    from monitor.core.rollback import Circumstances
    from monitor.core.situation import Situation

LEAD: Final = timedelta(minutes=1)
"""How long before a deploy is known its effects may be seen already: a marker that comes at the
end, or the first answer with a new version, is late by this much. A `started` marker is not."""

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """What the guards are asked about: one trip of one service, which may be `rollback` by id.

    `decided_at` is when it was decided, once it waits for a person or for the remedy that is tried
    first, or once one of its effects may have happened. `by_hand` is what a person started.
    """

    service: Service
    policy: RollbackPolicy
    severity: Severity
    rollback: str
    deploy: Deploy | None
    situation: Situation
    circumstances: Circumstances
    now: datetime
    decided_at: datetime | None = None
    by_hand: bool = False

    @property
    def others(self) -> list[Rollback]:
        """The other rollbacks, remedies and blocked trips of the service."""
        known = self.situation.rollbacks_of(self.service.name)

        return [one for one in known if one.id != self.rollback]

    @property
    def alike(self) -> list[Rollback]:
        """Those of the same kind: a remedy that was tried does not use up the rollback."""
        return [one for one in self.others if one.kind is self.policy.kind]


def ask(trip: Trip) -> Blocked | None:
    """Give the first reason to hold back, or None: then it may go ahead, now."""
    skipped: frozenset[Blocked] = frozenset()
    if trip.policy.kind is RollbackKind.REMEDY:
        skipped |= _OF_DEPLOYS
    if trip.by_hand:
        skipped |= _OF_AUTOMATICS

    return next(
        (reason for reason, blocks in GUARDS if reason not in skipped and blocks(trip)), None
    )


def mode_of(policy: RollbackPolicy, severity: Severity) -> Mode:
    """Give the mode for an incident of this severity."""
    return policy.modes.get(severity, policy.mode)


def lead_of(deploy: Deploy) -> timedelta:
    """Give how long before `deploy.at` its own effects may have begun."""
    was_begun = deploy.finished_at is not None and deploy.finished_at != deploy.at

    return timedelta() if was_begun or deploy.state is DeployState.STARTED else LEAD


def failing_before(deploy: Deploy, triggers: Iterable[str], situation: Situation) -> bool:
    """Whether a triggering check has been failing, or flapping, since before a deploy."""
    began = deploy.at - lead_of(deploy)

    return any(
        (state.open and state.failing_since is not None and state.failing_since < began)
        or (state.flapping is not None and state.flapping.since < began)
        for state in situation.states_of(triggers)
    )


def began_to_fail(trip: Trip) -> datetime:
    """Give the first failing sample of what tripped."""
    triggers = trip.situation.states_of(trip.policy.triggers)
    known = (state.failing_since for state in triggers if state.open)

    return min((since for since in known if since is not None), default=trip.now)


def failing_together(trip: Trip) -> dict[str, datetime]:
    """Give the other services that began to fail with what tripped, or after it, and when.

    What was failing when the deploy came, beside a service that was well until then, is something
    else.
    """
    since = began_to_fail(trip) - TOGETHER
    if trip.deploy is not None:
        since = max(since, trip.deploy.at - LEAD)

    return failing_since(since, trip.situation, but=trip.service.name)


def _mode(trip: Trip) -> bool:
    """Whether nothing may be done; where there are no steps, nothing can."""
    return not mode_of(trip.policy, trip.severity).acts or not trip.policy.acts


def _kill_switch(trip: Trip) -> bool:
    return trip.circumstances.kill_switch


def _maintenance(trip: Trip) -> bool:
    return bool(trip.circumstances.maintenance)


def _warming_up(trip: Trip) -> bool:
    return trip.circumstances.warming_up


def _blind(trip: Trip) -> bool:
    return trip.circumstances.blind


def _no_deploy(trip: Trip) -> bool:
    return trip.deploy is None or not trip.deploy.arms


def _outside_window(trip: Trip) -> bool:
    """A rollback that was decided in time may begin, and finish, within another window."""
    assert trip.deploy is not None
    since = trip.decided_at or trip.deploy.live_at

    return trip.now - since > trip.policy.within


def _unhealthy_before(trip: Trip) -> bool:
    """Also what is not known to have been healthy, and what was on its way down already."""
    assert trip.deploy is not None

    return trip.deploy.healthy_before is not True or failing_before(
        trip.deploy, trip.policy.triggers, trip.situation
    )


def _dependency_down(trip: Trip) -> bool:
    return bool(trip.circumstances.dependency)


def _common_cause(trip: Trip) -> bool:
    return is_common(1 + len(failing_together(trip)), trip.circumstances.services)


def _already_rolled_back(trip: Trip) -> bool:
    assert trip.deploy is not None
    done = [
        one for one in trip.alike if one.started_at is not None and one.deploy_id == trip.deploy.id
    ]

    return len(done) >= trip.policy.limits.per_deploy


def _vetoed(trip: Trip) -> bool:
    assert trip.deploy is not None

    return any(one.vetoed_by and one.deploy_id == trip.deploy.id for one in trip.alike)


def _daily_limit(trip: Trip) -> bool:
    return _started_within(_DAY, trip.alike, trip.now) >= trip.policy.limits.per_day


def _fleet_limit(trip: Trip) -> bool:
    others = [
        one
        for one in trip.situation.rollbacks.values()
        if one.id != trip.rollback and one.kind is trip.policy.kind
    ]

    return _started_within(_HOUR, others, trip.now) >= trip.policy.limits.fleet_per_hour


def _cooling_down(trip: Trip) -> bool:
    ends = [
        one.ended_at or one.effect_done_at or one.started_at
        for one in trip.alike
        if one.started_at is not None
    ]

    return any(trip.now - end < trip.policy.limits.cooldown for end in ends)


def _in_progress(trip: Trip) -> bool:
    return any(one.running for one in trip.others)


def _deploy_in_progress(trip: Trip) -> bool:
    """Also one that has come since: what is live now is not what tripped."""
    mine = trip.deploy
    if mine is None or trip.policy.kind is RollbackKind.REMEDY:
        deploys = trip.situation.deploys_of(trip.service.name)
        return any(one.state is DeployState.STARTED and one.arms for one in deploys)

    return mine.state is DeployState.STARTED or any(
        one.service == trip.service.name
        and one.id != mine.id
        and one.arms
        and (one.at > mine.at or one.state is DeployState.STARTED)
        for one in trip.situation.deploys.values()
    )


def _latched(trip: Trip) -> bool:
    return any(
        one.latches and _latches(one, trip.policy.kind) and not _unlatched(one, trip.situation)
        for one in trip.others
    )


def _latches(ended: Rollback, kind: RollbackKind) -> bool:
    """Whether the end of one holds back what is of a kind.

    A remedy that did not help, or was held back, is what a rollback is for; but where nobody knows
    what came of it, a person has to look first.
    """
    if ended.kind is kind:
        return True
    if kind is RollbackKind.ROLLBACK:
        return ended.state in (RollbackState.UNCERTAIN, RollbackState.INCONCLUSIVE)

    return ended.started_at is not None


def _plan_changed(trip: Trip) -> bool:
    known = trip.situation.rollbacks.get(trip.rollback)

    return known is not None and plan_changed(known, trip.policy, trip.situation)


def _store(trip: Trip) -> bool:
    return not trip.circumstances.store_ok


def _unlatched(rollback: Rollback, situation: Situation) -> bool:
    """Whether a person or a deploy came after a rollback ended, or after a blocked trip began."""
    since = rollback.ended_at if rollback.started_at else rollback.tripped_at
    incident = situation.incidents.get(rollback.incident)
    taken_on = incident.acknowledgement if incident is not None else None
    if taken_on is not None and since is not None and taken_on.at > since:
        return True

    return any(
        deploy.service == rollback.service
        and deploy.id != rollback.deploy_id
        and deploy.arms
        and since is not None
        and deploy.live_at > since
        for deploy in situation.deploys.values()
    )


def _started_within(period: timedelta, rollbacks: list[Rollback], now: datetime) -> int:
    return sum(one.started_at is not None and now - one.started_at < period for one in rollbacks)


GUARDS: Final[tuple[tuple[Blocked, Callable[[Trip], bool]], ...]] = (
    (Blocked.MODE, _mode),
    (Blocked.KILL_SWITCH, _kill_switch),
    (Blocked.MAINTENANCE, _maintenance),
    (Blocked.WARMING_UP, _warming_up),
    (Blocked.BLIND, _blind),
    (Blocked.NO_DEPLOY, _no_deploy),
    (Blocked.OUTSIDE_WINDOW, _outside_window),
    (Blocked.UNHEALTHY_BEFORE, _unhealthy_before),
    (Blocked.DEPENDENCY_DOWN, _dependency_down),
    (Blocked.COMMON_CAUSE, _common_cause),
    (Blocked.ALREADY_ROLLED_BACK, _already_rolled_back),
    (Blocked.VETOED, _vetoed),
    (Blocked.DAILY_LIMIT, _daily_limit),
    (Blocked.FLEET_LIMIT, _fleet_limit),
    (Blocked.COOLING_DOWN, _cooling_down),
    (Blocked.IN_PROGRESS, _in_progress),
    (Blocked.DEPLOY_IN_PROGRESS, _deploy_in_progress),
    (Blocked.LATCHED, _latched),
    (Blocked.PLAN_CHANGED, _plan_changed),
    (Blocked.STORE, _store),
)
"""Every reason with its guard, but `EXPIRED`, which is none."""

_OF_DEPLOYS: Final = frozenset(
    {
        Blocked.NO_DEPLOY,
        Blocked.OUTSIDE_WINDOW,
        Blocked.UNHEALTHY_BEFORE,
        Blocked.ALREADY_ROLLED_BACK,
        Blocked.VETOED,
    }
)
"""What is not asked of a remedy: it needs no deploy."""

_OF_AUTOMATICS: Final = _OF_DEPLOYS | {
    Blocked.MODE,
    Blocked.WARMING_UP,
    Blocked.COOLING_DOWN,
    Blocked.LATCHED,
}
"""What is not asked where a person has decided."""
