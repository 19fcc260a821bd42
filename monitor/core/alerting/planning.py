"""Which turns of incidents and rollbacks are told, and to whom; the rest is only recorded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from monitor.core import wording
from monitor.core.alerting.causes import share_a_cause
from monitor.core.alerting.notices import describe, describe_unbound
from monitor.core.incidents import NewsKind
from monitor.core.model.incident import STORE_CHECK, IncidentClass
from monitor.core.model.notice import Delivery, NoticeEvent
from monitor.core.model.rollback import Blocked, RollbackState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.incidents import IncidentStep, News
    from monitor.core.model.notice import Notice
    from monitor.core.model.rollback import Rollback
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation


def plan(
    step: IncidentStep,
    directory: Directory,
    situation: Situation,
    now: datetime,
    *,
    turned: Sequence[Rollback] = (),
) -> tuple[Delivery, ...]:
    """Queue what became of incidents and rollbacks, for every notifier; it is applied already.

    What happened to one incident in one step is one notice, its rollback included, save that its
    end is always one of its own. Each has the same key whenever it is planned again.
    """
    alone = {rollback.id: rollback for rollback in turned}
    notices = []
    for turns in _by_notice(step.news):
        incident = turns[-1].incident
        rollback = next((one for one in alone.values() if one.incident == incident.id), None)
        if turns[0].kind is NewsKind.RESOLVED:
            rollback = None
        headline = _headline(turns, now)
        if rollback is not None:
            del alone[rollback.id]
            incident = situation.incidents[incident.id]
            if _is_told(rollback):
                headline = wording.with_rollback(headline, rollback)
        notices.append(
            describe(
                incident,
                _event(turns),
                headline,
                directory=directory,
                situation=situation,
                now=now,
                rollback=rollback,
                better=rollback is None and all(map(_is_better, turns)),
            )
        )

    return _deliver(notices, directory, now) + tuple(
        delivery
        for rollback in alone.values()
        for delivery in tell_rollback(rollback, directory, situation, now)
    )


def tell_rollback(
    rollback: Rollback, directory: Directory, situation: Situation, now: datetime
) -> tuple[Delivery, ...]:
    """Queue a turn of a rollback for every notifier; its incident has recorded it already."""
    if not _is_told(rollback):
        return ()

    incident = situation.incidents.get(rollback.incident)
    notice = (
        describe_unbound(rollback, directory=directory, now=now)
        if incident is None
        else describe(
            incident,
            NoticeEvent.ROLLBACK,
            wording.rollback_headline(rollback),
            directory=directory,
            situation=situation,
            now=now,
            rollback=rollback,
        )
    )

    return _deliver((notice,), directory, now)


def _is_told(rollback: Rollback) -> bool:
    """Whether people hear of where a rollback stands: of its beginning and of its end.

    What `observe` would have done is only recorded, and so is the way from the effect to its
    proof.
    """
    return rollback.state is not RollbackState.VERIFYING and rollback.blocked is not Blocked.MODE


def _by_notice(news: Iterable[News]) -> list[list[News]]:
    """Put together what is told together: the turns of one incident up to its end."""
    groups: dict[tuple[str, bool], list[News]] = {}
    for turn in news:
        over = turn.kind is NewsKind.RESOLVED
        groups.setdefault((turn.incident.id, over), []).append(turn)

    return [
        told
        for (id, over), turns in groups.items()
        if (told := [turn for turn in turns if _worth_telling(turn)])
        and (over or told[0].kind is NewsKind.OPENED or (id, True) not in groups)
    ]


def _worth_telling(turn: News) -> bool:
    """Whether a turn is told at all.

    When the monitor is blind it is so for many checks at once: who else is blind, or sees again,
    is in the list of checks and in the timeline, unless it is for a reason that no other has. Else
    one file that cannot be read would keep it quiet that the network is gone, and a database that
    is down that another is as well.
    """
    if turn.kind is NewsKind.SEVERITY_LOWERED:
        return False
    if turn.incident.klass is not IncidentClass.MONITOR or turn.check == STORE_CHECK:
        return True
    if turn.kind not in (NewsKind.JOINED, NewsKind.CHECK_CLOSED):
        return True

    others = (
        one
        for one in turn.incident.members
        if one.closed_at is None and one.check not in (turn.check, STORE_CHECK)
    )
    own = next(one for one in turn.incident.members if one.check == turn.check)

    return not any(share_a_cause(own, other) for other in others)


def _is_better(turn: News) -> bool:
    return turn.kind is NewsKind.CHECK_CLOSED


def _event(turns: Sequence[News]) -> NoticeEvent:
    match turns[0].kind, turns[0].incident.klass:
        case NewsKind.OPENED, IncidentClass.MONITOR:
            return NoticeEvent.BLIND
        case NewsKind.OPENED, _:
            return NoticeEvent.OPENED
        case NewsKind.RESOLVED, _:
            return NoticeEvent.RESOLVED
        case NewsKind.ACKNOWLEDGED, _:
            return NoticeEvent.ACKNOWLEDGED
        case _:
            return NoticeEvent.UPDATED


def _headline(turns: Sequence[News], now: datetime) -> str:
    match turns[0].kind:
        case NewsKind.OPENED:
            return wording.headline(turns[-1].incident, at=now)
        case NewsKind.RESOLVED:
            return turns[0].text
        case _:
            return wording.update(turns[-1].incident, [turn.text for turn in turns])


def _deliver(
    notices: Iterable[Notice], directory: Directory, now: datetime
) -> tuple[Delivery, ...]:
    return tuple(
        Delivery(id=key, key=key, notifier=notifier, notice=notice, queued_at=now)
        for notice in notices
        for notifier in directory.notifiers
        for key in (_key(notice, notifier),)
    )


def _key(notice: Notice, notifier: str) -> str:
    """Name a delivery by what it tells to whom, so that a repeat has the same name."""
    named = "\n".join((notice.incident, str(notice.sequence), notifier))

    return hashlib.sha256(named.encode()).hexdigest()[:32]
