"""Silences: what people do not want to be told of for a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor.core.incidents import IncidentStep
from monitor.core.model.changes import Changes
from monitor.core.model.silence import Silence
from monitor.core.report_incidents import silence_json
from monitor.operations.desk import (
    LONGEST_REASON,
    NotFound,
    OperationError,
    check_service,
    clean_name,
    clean_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.model.endpoint import Severity
    from monitor.operations.desk import Desk

LONGEST_SILENCE: Final = timedelta(days=30)
_MOST_SILENCES: Final = 200
_MOST_SERVICES: Final = 100


async def add_silence(
    services: Sequence[str],
    until: datetime,
    who: str,
    desk: Desk,
    *,
    severities: Sequence[Severity] = (),
    reason: str = "",
) -> dict[str, Any]:
    """Withhold what becomes of these services, or of all, until a time; gives the silence as JSON.

    The same silence again is the same one. Raises OperationError where it ends too late or not at
    all, or a service is not known.
    """
    now, engine = desk.clock(), desk.engine
    if not now < until <= now + LONGEST_SILENCE:
        raise OperationError(
            f"expected a silence that ends within {LONGEST_SILENCE.days} days,"
            f" found the end {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
    if len(services) > _MOST_SERVICES:
        raise OperationError(f"expected at most {_MOST_SERVICES} services, found {len(services)}")
    for service in services:
        check_service(service, desk)

    active = [one for one in engine.situation.silences.values() if one.ends_at > now]
    wanted = Silence(
        id=_new_id(desk, now),
        services=tuple(dict.fromkeys(services)),
        severities=tuple(dict.fromkeys(severities)),
        starts_at=now,
        ends_at=until,
        by=clean_name(who),
        reason=engine.mask(clean_text("reason", reason, LONGEST_REASON)) if reason else "",
    )
    for known in active:
        if replace(known, id=wanted.id, starts_at=now) == wanted:
            await desk.be_sure()
            return silence_json(known)
    if len(active) >= _MOST_SILENCES:
        raise OperationError(f"there are {len(active)} silences already, remove one first")

    await desk.settle(engine.act(IncidentStep(changes=Changes(silences=(wanted,))), now))

    return silence_json(wanted)


async def remove_silence(id: str, who: str, desk: Desk) -> dict[str, Any]:
    """End a silence now; one that has ended stays as it is."""
    now, situation = desk.clock(), desk.engine.situation
    silence = situation.silences.get(id)
    if silence is None:
        raise NotFound(f"there is no silence {id!r:.200}")

    if silence.ends_at > now:
        silence = replace(silence, ends_at=now, removed_by=clean_name(who))
        await desk.settle(desk.engine.act(IncidentStep(changes=Changes(silences=(silence,))), now))
    else:
        await desk.be_sure()

    return silence_json(silence)


def list_silences(desk: Desk) -> dict[str, Any]:
    """Give the silences that hold, the first to end first."""
    now = desk.clock()
    known = sorted(
        (one for one in desk.engine.situation.silences.values() if one.ends_at > now),
        key=lambda one: (one.ends_at, one.id),
    )

    return {"silences": [silence_json(one) for one in known]}


def _new_id(desk: Desk, now: datetime) -> str:
    """Give a short id by the time; one of the same second gets a number behind it."""
    base = f"silence-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    number, id = 1, base
    while id in desk.engine.situation.silences:
        number += 1
        id = f"{base}-{number}"

    return id
