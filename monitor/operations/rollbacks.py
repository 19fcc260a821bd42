"""What people do about rollbacks and remedies: start one, approve one, veto one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from monitor.config.suggest import suggest
from monitor.core import wording
from monitor.core.model.rollback import RollbackKind, RollbackState
from monitor.core.report import rollback_json
from monitor.core.rollback import acts
from monitor.core.rollback.rows import id_by_hand
from monitor.operations.desk import LONGEST_REASON, NotFound, OperationError, clean_name, clean_text

if TYPE_CHECKING:
    from monitor.core.model.rollback import Rollback
    from monitor.operations.desk import Desk

_LONGEST_VERSION: Final = 200
_RECENT: Final = 20


async def approve(name: str, who: str, desk: Desk) -> dict[str, Any]:
    """Begin what waits for a person, or for its countdown; gives it as JSON once that is durable.

    What was approved already is not begun again: the answer says where it stands. All guards are
    asked; where one objects nothing happens, and it waits on. Raises OperationError, or StoreError
    if it could not be written.
    """
    rollback = _find(name, desk, waiting_first=True)
    if rollback.started_at is not None:
        await desk.be_sure()
        return _tell(rollback, desk)
    if not rollback.waiting:
        raise OperationError(_why_not(rollback, "approve"))

    engine, now = desk.engine, desk.clock()
    if rollback.due_at is not None and now >= rollback.due_at and not _counts_down(rollback):
        raise OperationError("nobody approved it in time, so it is not begun any more")
    if blocked := engine.still_allowed(rollback, now):
        raise OperationError(f"not begun: {wording.blocked_text(blocked)}; it waits on")

    policy = engine.directory.service(rollback.service).policy(rollback.kind)
    assert policy is not None  # else a guard would have said so
    changes = acts.approve(rollback, clean_name(who), policy, engine.situation, now)
    await desk.settle(engine.absorb(changes, now))

    return _tell(rollback, desk)


async def veto(name: str, who: str, reason: str, desk: Desk) -> dict[str, Any]:
    """End what waits, or is held back, for good: it is not tried again by itself.

    What was vetoed already stays vetoed by whom it was. Raises OperationError for what has begun.
    """
    rollback = _find(name, desk, waiting_first=True)
    if rollback.vetoed_by:
        await desk.be_sure()
        return _tell(rollback, desk)
    if not rollback.lasts:
        raise OperationError(_why_not(rollback, "veto"))

    now = desk.clock()
    why = _said("reason", reason, desk) if reason else ""
    changes = acts.veto(rollback, clean_name(who), why, now)
    await desk.settle(desk.engine.absorb(changes, now))

    return _tell(rollback, desk)


async def start(
    service: str,
    who: str,
    reason: str,
    to: str | None,
    desk: Desk,
    *,
    kind: RollbackKind = RollbackKind.ROLLBACK,
    request: str | None = None,
) -> dict[str, Any]:
    """Roll a service back, or try its remedy, because a person says so.

    Neither its mode nor the window, health before the deploy, warm-up, cooldown or latch hold it
    back; all other guards do. Asking twice by the same `request` is asking once.
    """
    engine, now = desk.engine, desk.clock()
    services = engine.directory.services
    if service not in services:
        raise NotFound(f"there is no service {service!r:.200}{suggest(service, services)}")
    known = services[service]
    policy = known.policy(kind)
    if policy is None or not policy.acts:
        raise OperationError(f"{service} has no steps of a {kind} in the configuration")

    id = id_by_hand(service, request or str(uuid4()))
    if (before := engine.situation.rollbacks.get(id)) is not None:
        await desk.be_sure()
        return _tell(before, desk)

    version = clean_text("to", to, _LONGEST_VERSION) if to else None
    changes = acts.start_by_hand(
        known,
        policy,
        id=id,
        who=clean_name(who),
        reason=_said("reason", reason, desk),
        to=version,
        situation=engine.situation,
        now=now,
    )
    if blocked := engine.still_allowed(changes.rollbacks[0], now):
        raise OperationError(f"not begun: {wording.blocked_text(blocked)}")

    await desk.settle(engine.absorb(changes, now))

    return _tell(changes.rollbacks[0], desk)


def report_rollback(name: str, desk: Desk) -> dict[str, Any]:
    """Give one by its id or the beginning of it, or the newest of a service."""
    return _tell(_find(name, desk), desk)


def report_rollbacks(desk: Desk, service: str | None = None) -> dict[str, Any]:
    """Give the newest of all services, or of one, the newest first."""
    known = [
        one
        for one in desk.engine.situation.rollbacks.values()
        if service is None or one.service == service
    ]
    newest = sorted(known, key=lambda one: one.tripped_at, reverse=True)[:_RECENT]

    return {"rollbacks": [rollback_json(one, desk.engine.situation) for one in newest]}


def _find(name: str, desk: Desk, *, waiting_first: bool = False) -> Rollback:
    """Find one by its id, the beginning of it, or its service, of which what waits comes first."""
    situation = desk.engine.situation
    if name in situation.rollbacks:
        return situation.rollbacks[name]

    of_service = situation.rollbacks_of(name)
    if waiting_first:
        lasting = [one for one in of_service if one.waiting] or [
            one for one in of_service if one.lasts
        ]
        of_service = lasting or of_service
    if of_service:
        return of_service[-1]

    found = [one for id, one in situation.rollbacks.items() if name and id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise OperationError(f"{name:.200} may be any of {len(found)} rollbacks")
    if name in desk.engine.directory.services:
        raise NotFound(f"{name} was never rolled back, and nothing waits to be")

    raise NotFound(f"there is no rollback and no service {name!r:.200}")


def _why_not(rollback: Rollback, act: str) -> str:
    """Say why there is nothing to approve or to veto any more."""
    stands = wording.rollback_headline(rollback)
    if act == "veto" and rollback.running:
        return f"{stands}. It has begun: the kill switch keeps it from a further step"

    return f"{stands}. There is nothing to {act}"


def _counts_down(rollback: Rollback) -> bool:
    return rollback.state is RollbackState.COUNTDOWN


def _tell(rollback: Rollback, desk: Desk) -> dict[str, Any]:
    situation = desk.engine.situation

    return rollback_json(situation.rollbacks.get(rollback.id, rollback), situation)


def _said(what: str, text: str, desk: Desk) -> str:
    """Give one line that a person wrote, without secrets."""
    return desk.engine.mask(clean_text(what, text, LONGEST_REASON))
