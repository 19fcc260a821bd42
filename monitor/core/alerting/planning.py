"""Which turns of incidents and rollbacks are told, and to whom; the rest is only recorded."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.alerting.causes import share_a_cause
from monitor.core.alerting.notices import as_it_stands, describe, describe_unbound
from monitor.core.alerting.routing import find_receivers, find_told
from monitor.core.incidents import NewsKind
from monitor.core.model.changes import Changes
from monitor.core.model.incident import STORE_CHECK, Attention, IncidentClass
from monitor.core.model.notice import Delivery, NoticeEvent
from monitor.core.model.rollback import Blocked, RollbackState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.incidents import IncidentStep, News
    from monitor.core.model.incident import Incident
    from monitor.core.model.notice import Notice
    from monitor.core.model.rollback import Rollback
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation

_TO_THOSE_WHO_KNOW: Final = (NewsKind.RESOLVED, NewsKind.ACKNOWLEDGED)
"""What is told only to those who were told before, whatever withholds the incident now."""


def plan(
    step: IncidentStep,
    directory: Directory,
    situation: Situation,
    now: datetime,
    *,
    turned: Sequence[Rollback] = (),
) -> Changes:
    """Queue what became of incidents and rollbacks; it is applied already.

    What happened to one incident in one step is one notice, its rollback included, save that its
    end is always one of its own. Each has the same key whenever it is planned again. Gives as well
    the incidents whose clock begins thereby.
    """
    alone = {rollback.id: rollback for rollback in turned}
    planned = _Plan(directory, situation, now)
    for turns in _by_notice(step.news):
        incident = turns[-1].incident
        over = turns[0].kind is NewsKind.RESOLVED
        rollback = next((one for one in alone.values() if one.incident == incident.id), None)
        if over or (rollback and _is_withheld(turns)):
            rollback = None
        if rollback is not None:
            del alone[rollback.id]
        if not _is_withheld(turns):
            planned.tell(turns, rollback)

    for rollback in alone.values():
        planned.tell_rollback(rollback)

    return planned.changes()


def tell_rollback(
    rollback: Rollback, directory: Directory, situation: Situation, now: datetime
) -> Changes:
    """Queue a turn of a rollback; its incident has recorded it already."""
    planned = _Plan(directory, situation, now)
    planned.tell_rollback(rollback)

    return planned.changes()


def tell_beginning(
    incident: Incident,
    receivers: Iterable[str],
    directory: Directory,
    situation: Situation,
    now: datetime,
) -> list[Delivery]:
    """Queue the beginning of an open incident, as it stands, for some who do not know of it.

    Its clock goes on as it does: others know, or were to.
    """
    headline = wording.headline(as_it_stands(incident, situation), at=now)
    notice = describe(
        incident,
        _beginning(incident),
        headline,
        directory=directory,
        situation=situation,
        now=now,
    )

    return deliver(notice, receivers, now)


class _Plan:
    """The notices of one moment, with whom each is for."""

    def __init__(self, directory: Directory, situation: Situation, now: datetime) -> None:
        self._directory = directory
        self._situation = situation
        self._now = now
        self._deliveries: list[Delivery] = []
        self._begun: dict[str, Incident] = {}

    def changes(self) -> Changes:
        """Give what is queued, and the incidents of which people know from now on."""
        return Changes(deliveries=tuple(self._deliveries), incidents=tuple(self._begun.values()))

    def tell(self, turns: Sequence[News], rollback: Rollback | None) -> None:
        """Queue the turns of one incident, with its rollback where that turned as well.

        Its end goes to those who were told of it, and to nobody else. Whoever is told for the
        first time is told of the beginning, as things stand.
        """
        kinds = {turn.kind for turn in turns}
        incident = turns[-1].incident
        told = self._told(incident.id)
        receivers = find_receivers(incident, self._directory)
        if not kinds.isdisjoint(_TO_THOSE_WHO_KNOW):
            forgotten = not told and incident.attention.told_at is not None
            whom = receivers if forgotten else told
            self._deliver(self._describe(turns, _event(turns), rollback), whom)
            return

        new = [name for name in receivers if name not in told]
        if NewsKind.OPENED in kinds:
            told, new = (), [*told, *new]
        if told:
            self._deliver(self._describe(turns, _event(turns), rollback), told)
        if new:
            self._deliver(self._describe(turns, _beginning(incident), rollback), new)
        if (told or new) and (_begins_anew(kinds) or incident.attention.told_at is None):
            self._begin(incident.id)

    def tell_rollback(self, rollback: Rollback) -> None:
        """Queue a turn of a rollback by itself, for those who know and those who should."""
        if not _is_told(rollback):
            return

        incident = self._situation.incidents.get(rollback.incident)
        if incident is None:
            notice = describe_unbound(rollback, directory=self._directory, now=self._now)
            receivers = find_receivers(notice, self._directory)
        elif incident.attention.hold is not None and not _is_told_at_any_time(rollback):
            return
        else:
            headline = wording.rollback_headline(rollback)
            notice = self._write(incident, NoticeEvent.ROLLBACK, headline, rollback)
            receivers = find_receivers(incident, self._directory)
        self._deliver(notice, dict.fromkeys((*self._told(notice.incident), *receivers)))

    def _describe(
        self, turns: Sequence[News], event: NoticeEvent, rollback: Rollback | None
    ) -> Notice:
        incident = turns[-1].incident
        begins = event in (NoticeEvent.OPENED, NoticeEvent.BLIND)
        headline = (
            wording.headline(incident, at=self._now) if begins else _headline(turns, self._now)
        )
        if rollback is not None:
            incident = self._situation.incidents[incident.id]
            if _is_told(rollback):
                headline = wording.with_rollback(headline, rollback)

        better = not begins and rollback is None and all(map(_is_better, turns))

        return self._write(incident, event, headline, rollback, better=better)

    def _write(
        self,
        incident: Incident,
        event: NoticeEvent,
        headline: str,
        rollback: Rollback | None,
        *,
        better: bool = False,
    ) -> Notice:
        return describe(
            incident,
            event,
            headline,
            directory=self._directory,
            situation=self._situation,
            now=self._now,
            rollback=rollback,
            better=better,
        )

    def _begin(self, incident: str) -> None:
        """Let the clock of an incident begin: people are told of it now, or of how bad it is."""
        known = self._situation.incidents[incident]
        self._begun[incident] = replace(known, attention=Attention(told_at=self._now))

    def _told(self, incident: str) -> tuple[str, ...]:
        """Name who knows of an incident already, as far as they are notifiers still."""
        known = find_told(incident, self._directory, self._situation)
        queued = (row.notifier for row in self._deliveries if row.notice.incident == incident)

        return tuple(dict.fromkeys((*known, *queued)))

    def _deliver(self, notice: Notice, receivers: Iterable[str]) -> None:
        self._deliveries += deliver(notice, receivers, self._now)


def deliver(notice: Notice, receivers: Iterable[str], now: datetime) -> list[Delivery]:
    """Queue a notice for each of its receivers."""
    return [
        Delivery(id=key, key=key, notifier=notifier, notice=notice, queued_at=now)
        for notifier in receivers
        for key in (_key(notice, notifier),)
    ]


def _is_withheld(turns: Sequence[News]) -> bool:
    """Whether people are not to be told; the end and who has taken it on wake nobody anew."""
    if any(turn.kind in _TO_THOSE_WHO_KNOW for turn in turns):
        return False

    return turns[-1].incident.attention.hold is not None


def _begins_anew(kinds: set[NewsKind]) -> bool:
    return not kinds.isdisjoint({NewsKind.OPENED, NewsKind.SEVERITY_RAISED})


def _beginning(incident: Incident) -> NoticeEvent:
    return NoticeEvent.BLIND if incident.klass is IncidentClass.MONITOR else NoticeEvent.OPENED


def _is_told_at_any_time(rollback: Rollback) -> bool:
    """Whether a turn is told even of an incident that is withheld: how it ended, and a question.

    Whoever may approve or veto has to hear of it.
    """
    waits = rollback.state in (RollbackState.COUNTDOWN, RollbackState.AWAITING)

    return waits or rollback.state.ended


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
        case NewsKind.OPENED, _:
            return _beginning(turns[0].incident)
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


def _key(notice: Notice, notifier: str) -> str:
    """Name a delivery by what it tells to whom, so that a repeat has the same name."""
    named = "\n".join((notice.incident, str(notice.sequence), notifier))

    return hashlib.sha256(named.encode()).hexdigest()[:32]
