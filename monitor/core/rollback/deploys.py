"""Deploys: what a marker and a version seen in an answer make of them, and which one is good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.changes import Changes
from monitor.core.model.deploy import Deploy, DeployKind, DeployState
from monitor.core.model.rollback import RollbackKind
from monitor.core.model.verdict import Outcome
from monitor.core.rollback.guards import failing_before, lead_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.model.check_state import CheckState
    from monitor.core.model.rollback import Rollback
    from monitor.core.model.service import Service
    from monitor.core.situation import Situation

ONE_DEPLOY: Final = timedelta(minutes=10)
"""A marker and an observation of one version this close together are one deploy. For as long after
a change, both versions may answer, and after a rollback what changes is its effect."""

BEFORE: Final = timedelta(minutes=5)
"""How long the triggering checks must not have been failing before a deploy."""

_UNPROVEN: Final = timedelta(days=1)
"""So long after a deploy what is usual may still be what was usual before it."""

_LONGEST_VERSION: Final = 200
_REPLACED: Final = (DeployState.STARTED, DeployState.FINISHED, DeployState.CERTIFIED)


def announce(
    service: Service,
    *,
    version: str,
    kind: DeployKind,
    state: DeployState,
    at: datetime,
    id: str | None,
    commit: str | None,
    situation: Situation,
) -> Changes:
    """Take a marker: a deploy was started, finished, or has failed. The same twice is one deploy.

    A failure of what is not known changes nothing.
    """
    known = _find_announced(service.name, version, id, at, situation)
    if known is None and state is DeployState.FAILED:
        return Changes()
    if known is None:
        return _begin(
            service,
            Deploy(
                id=_free_id(id or _name(version, at), service.name, situation),
                service=service.name,
                version=version,
                kind=_kind_of(service.name, version, kind, at, situation),
                state=state,
                at=at,
                finished_at=at if state is DeployState.FINISHED else None,
                commit=commit,
                announced=True,
                marker_id=id,
            ),
            situation,
        )

    told = replace(
        known,
        announced=True,
        marker_id=known.marker_id or id,
        commit=known.commit or commit,
        kind=known.kind
        if known.announced
        else _kind_of(service.name, version, kind, known.at, situation),
    )
    match state, known.state:
        case DeployState.FAILED, DeployState.STARTED | DeployState.FINISHED | DeployState.CERTIFIED:
            told = replace(told, state=DeployState.FAILED, certified_at=None)
        case DeployState.STARTED, DeployState.FINISHED if not known.announced:
            told = replace(told, state=DeployState.STARTED)
        case DeployState.FINISHED, DeployState.STARTED | DeployState.FAILED:
            told = replace(told, state=DeployState.FINISHED, finished_at=at)
        case _:
            pass

    return _keep(told, known, situation)


def see_version(service: Service, version: str, *, situation: Situation, now: datetime) -> Changes:
    """Take note of the version in an answer: a change of it is a deploy.

    The first version ever seen is a baseline. While a change spreads, the version before it may
    still answer; what changes through our own rollback arms nothing.
    """
    version = version[:_LONGEST_VERSION]
    newest = situation.current_deploy(service.name)
    if newest is not None and newest.version == version:
        seen = replace(newest, observed=True)
        return Changes() if newest.observed else _keep(seen, newest, situation)

    known = [one for one in situation.deploys.values() if one.service == service.name]
    spreading = newest is not None and (
        newest.state is DeployState.STARTED or now - newest.live_at <= ONE_DEPLOY
    )
    if not any(one.observed for one in known):
        before = newest.at - timedelta(seconds=1) if newest is not None and spreading else now
        return _take_baseline(service, version, before, situation)

    own = _own_rollback(service.name, version, now, situation)
    if newest is None or own is None or own.deploy_id != newest.id:
        own = None
        same = _newest(one for one in known if one.version == version)
        if same is not None and (spreading or now - same.at <= ONE_DEPLOY):
            return Changes()

    return _begin(
        service,
        Deploy(
            id=_free_id(_name(version, now), service.name, situation),
            service=service.name,
            version=version,
            kind=DeployKind.ROLLBACK if own else DeployKind.PLANNED,
            state=DeployState.FINISHED,
            at=now,
            observed=True,
        ),
        situation,
    )


def certify(service: Service, *, situation: Situation, now: datetime) -> Changes:
    """Make the live deploy the last known good once it was healthy for long enough.

    Whatever is not a pass of every triggering check starts the time anew.
    """
    policy = service.rollback
    deploy = situation.current_deploy(service.name)
    if policy is None or deploy is None or deploy.state is not DeployState.FINISHED:
        return Changes()

    if not _healthy(policy.triggers, deploy.live_at, situation):
        ill = replace(deploy, healthy_since=None)
        return Changes(deploys=(ill,)) if deploy.healthy_since else Changes()
    if deploy.healthy_since is None:
        return Changes(deploys=(replace(deploy, healthy_since=now),))
    if now - deploy.healthy_since < policy.certify_after:
        return Changes()

    good = replace(deploy, state=DeployState.CERTIFIED, certified_at=now)

    return Changes(deploys=(good,))


def unproven_since(service: str, situation: Situation, at: datetime) -> datetime | None:
    """Say since when what is live is not known to be good: before that, nothing of it was seen.

    Deploys that replaced each other before one was certified are one time. After a day nobody
    certifies any more, and where nothing is rolled back nobody ever does.
    """
    began = None
    for deploy in reversed(situation.deploys_of(service)):
        if deploy.state is DeployState.FAILED:
            continue
        if deploy.baseline or deploy.certified_at is not None or at - deploy.at > _UNPROVEN:
            break
        began = deploy.at - lead_of(deploy)

    return began


def watch_anew(situation: Situation) -> Changes:
    """Let the healthy time of deploys that are not certified begin anew."""
    return Changes(
        deploys=tuple(
            replace(deploy, healthy_since=None)
            for deploy in situation.deploys.values()
            if deploy.state is DeployState.FINISHED and deploy.healthy_since is not None
        )
    )


def closed_before(deploy: Deploy, triggers: Sequence[str], situation: Situation) -> list[datetime]:
    """Give when triggering checks closed in the time before a deploy that has to be healthy."""
    return [
        member.closed_at
        for incident in situation.incidents.values()
        for member in incident.members
        if member.check in triggers
        and member.closed_at is not None
        and deploy.at - BEFORE < member.closed_at <= deploy.at
    ]


def _begin(service: Service, deploy: Deploy, situation: Situation) -> Changes:
    """Take up a new deploy: how healthy the service was before it is judged now, once."""
    health = _health_before(service, deploy, situation)

    return _keep(replace(deploy, healthy_before=health), None, situation)


def _keep(deploy: Deploy, before: Deploy | None, situation: Situation) -> Changes:
    """Write a deploy, and that it replaces those before it once it is live."""
    older: tuple[Deploy, ...] = ()
    live = deploy.state is DeployState.FINISHED or deploy.observed
    if live and deploy.state is not DeployState.FAILED:
        older = tuple(
            replace(one, state=DeployState.SUPERSEDED)
            for one in situation.deploys.values()
            if one.service == deploy.service
            and one.id != deploy.id
            and one.at <= deploy.at
            and one.state in _REPLACED
        )

    return Changes(deploys=(*older, deploy)) if older or deploy != before else Changes()


def _take_baseline(service: Service, version: str, at: datetime, situation: Situation) -> Changes:
    """Remember what was live when the service was first seen; a marker may have come before it."""
    baseline = Deploy(
        id=_free_id(_name(version, at), service.name, situation),
        service=service.name,
        version=version,
        kind=DeployKind.PLANNED,
        state=DeployState.FINISHED,
        at=at,
        observed=True,
        baseline=True,
    )

    return Changes(deploys=(baseline,))


def _find_announced(
    service: str, version: str, id: str | None, at: datetime, situation: Situation
) -> Deploy | None:
    """Find the deploy that a marker speaks of: by its id, else by its version and time.

    What was superseded, failed or was rolled back is deployed anew; an id that is not known may
    only name what is live and has none yet.
    """
    known = [one for one in situation.deploys.values() if one.service == service]
    if id is not None and (named := _newest(one for one in known if id in (one.id, one.marker_id))):
        return named

    live = situation.current_deploy(service)

    return _newest(
        one
        for one in known
        if one.version == version
        and not one.baseline
        and (one.state in _REPLACED or (one is live and not one.announced))
        and (id is None or (one is live and one.marker_id is None))
        and (
            one.state is DeployState.STARTED
            or abs(at - one.at) <= ONE_DEPLOY
            or abs(at - one.live_at) <= ONE_DEPLOY
        )
    )


def _kind_of(
    service: str, version: str, kind: DeployKind, at: datetime, situation: Situation
) -> DeployKind:
    """Give the kind of an announced deploy; a step of ours may announce what it restores."""
    if kind is not DeployKind.PLANNED:
        return kind

    own = _own_rollback(service, version, at, situation)
    if own is None or own.started_at is None:
        return kind

    restored = version == own.to_version or any(
        one.service == service and one.version == version and one.at < own.started_at
        for one in situation.deploys.values()
    )

    return DeployKind.ROLLBACK if restored else kind


def _own_rollback(
    service: str, version: str, at: datetime, situation: Situation
) -> Rollback | None:
    """Give the rollback of ours that a change to this version may be the effect of."""
    return next(
        (
            one
            for one in reversed(situation.rollbacks_of(service))
            if one.started_at is not None
            and one.kind is RollbackKind.ROLLBACK
            and one.from_version != version
            and at >= one.started_at
            and (one.ended_at is None or at - one.ended_at <= ONE_DEPLOY)
        ),
        None,
    )


def _health_before(service: Service, deploy: Deploy, situation: Situation) -> bool | None:
    """Say whether no triggering check was failing in the time before a deploy; None: not known."""
    triggers = service.rollback.triggers if service.rollback else ()
    if failing_before(deploy, triggers, situation) or closed_before(deploy, triggers, situation):
        return False

    states = situation.states_of(triggers)
    judged = [state for state in states if state.judged and not state.blind]
    waiting = [state for state in states if _only_waited(state)]

    return True if judged and len(judged) + len(waiting) == len(triggers) else None


def _healthy(triggers: Iterable[str], since: datetime, situation: Situation) -> bool:
    wanted = list(triggers)
    states = situation.states_of(wanted)
    telling = [one for one in states if not _only_waited(one)]

    return (
        bool(telling) and len(states) == len(wanted) and all(_passes(one, since) for one in telling)
    )


def _only_waited(state: CheckState) -> bool:
    """Whether nothing was ever said of a check but that it waits: a ping may be months away."""
    return state.last_outcome is None and not state.blind


def _passes(state: CheckState, since: datetime) -> bool:
    return (
        state.state is Outcome.PASS
        and state.last_outcome is Outcome.PASS
        and not state.blind
        and state.flapping is None
        and state.last_at is not None
        and state.last_at >= since
    )


def _newest(deploys: Iterable[Deploy]) -> Deploy | None:
    return max(deploys, key=lambda one: one.at, default=None)


def _name(version: str, at: datetime) -> str:
    return f"{version}@{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _free_id(id: str, service: str, situation: Situation) -> str:
    """Give an id that no deploy has yet: two services may be deployed by one run."""
    free, number = id, 1
    while free in situation.deploys:
        free = f"{service}/{id}" if number == 1 else f"{service}/{id}-{number}"
        number += 1

    return free
