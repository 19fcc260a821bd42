"""Withholding: of which incidents people are not told for now, why, and what is told after it.

    an outage of what the service depends on -> DEPENDENCY    of outages alone, never of findings
    a window of maintenance                  -> MAINTENANCE
    a silence                                -> SILENCE       the strongest reason holds

What is withheld is measured, recorded and resolved as ever. When nothing withholds an incident any
more, the next sample says whether it still fails; where none comes, it is told after `SETTLING`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import maintenance, wording
from monitor.core.incidents import NO_STEP, IncidentStep, News, NewsKind
from monitor.core.model.changes import Changes
from monitor.core.model.incident import (
    STORE_CHECK,
    Hold,
    Incident,
    IncidentClass,
    Withheld,
)
from monitor.core.model.verdict import Outcome
from monitor.core.timeline import MONITOR, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from monitor.core.model.incident import TimelineEntry
    from monitor.core.model.service import Directory, Maintenance
    from monitor.core.model.silence import Silence
    from monitor.core.situation import Situation

_NO_TIME: Final = timedelta()
SETTLING: Final = timedelta(minutes=2)
"""How long a sample is awaited once nothing withholds an incident any more."""

WITHHELD: Final = "withheld"
"""The line in the timeline of an incident of which people are not told."""
AFFECTS: Final = "affects"
"""The line in the timeline of the dependency's incident; its details name the `service`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reason:
    """Why an incident is withheld, in the terms of `Hold`; `text` says it to people."""

    why: Withheld
    by: str
    text: str
    until: datetime | None = None


def review(
    directory: Directory,
    situation: Situation,
    now: datetime,
    *,
    after: IncidentStep | None = None,
) -> IncidentStep:
    """Withhold what there is reason for, and tell what still fails when the reason is gone.

    `after` limits this to what can have changed by a step, which is applied already; without it
    every open incident is looked at, since time alone begins and ends things.
    """
    concerned = (
        situation.open_incidents() if after is None else _concerned(after, directory, situation)
    )
    if not concerned:
        return NO_STEP

    draft = _Draft(directory, situation, now)
    for incident in concerned:
        draft.review(incident.id)

    return draft.step()


def together(step: IncidentStep, reviewed: IncidentStep, situation: Situation) -> IncidentStep:
    """Give the news of a step and of its review, each with what is withheld by now."""
    return replace(
        step,
        news=tuple(
            replace(turn, incident=replace(turn.incident, attention=known.attention))
            if (known := situation.incidents.get(turn.incident.id)) is not None
            else turn
            for turn in (*step.news, *reviewed.news)
        ),
    )


def down_dependency(
    service: str, directory: Directory, situation: Situation, silences: Sequence[Silence] = ()
) -> Incident | None:
    """Give the open outage beneath a service: the first of those that have no other beneath.

    Some check has to see it: what a person has only declared ends by a word of theirs, and would
    keep everything above it quiet until then. What is covered by `silences` is left out.
    """
    down = {
        name: incident
        for name in directory.beneath.get(service, ())
        if (incident := situation.open_incident(name, IncidentClass.OUTAGE)) is not None
        and any(member.closed_at is None for member in incident.members)
        and not any(silence.covers(incident) for silence in silences)
    }
    roots = [
        incident
        for name, incident in down.items()
        if not any(other in down and other != name for other in directory.beneath.get(name, ()))
    ]

    return min(roots or down.values(), key=lambda one: (one.opened_at, one.id), default=None)


def in_maintenance(service: str, directory: Directory, now: datetime) -> Maintenance | None:
    """Give the maintenance in which a service is now; of several the one that lasts longest."""
    found = _maintenance(service, _open_windows(directory, now))

    return found[0] if found else None


def affected(incident: Incident, situation: Situation) -> tuple[str, ...]:
    """Name the services that failed because of an incident, the first first."""
    return affected_by(situation.timelines.get(incident.id, ()))


def affected_by(lines: Iterable[TimelineEntry]) -> tuple[str, ...]:
    """Name the services that failed because of an incident by the lines of its timeline."""
    names = (dict(line.details).get("service", "") for line in lines if line.event == AFFECTS)

    return tuple(dict.fromkeys(name for name in names if name))


class _Draft:
    """What becomes of incidents in one review, over a situation that stays."""

    def __init__(self, directory: Directory, situation: Situation, now: datetime) -> None:
        self._directory = directory
        self._situation = situation
        self._now = now
        self._windows = _open_windows(directory, now)
        self._silences = [one for one in situation.silences.values() if one.active(now)]
        self._affected: dict[str, set[str]] = {}
        self._changed: dict[str, Incident] = {}
        self._timeline: list[TimelineEntry] = []
        self._news: list[News] = []

    def step(self) -> IncidentStep:
        """Give what has become of the incidents."""
        if not self._changed:
            return NO_STEP

        changes = Changes(incidents=tuple(self._changed.values()), timeline=tuple(self._timeline))

        return IncidentStep(changes=changes, news=tuple(self._news))

    def review(self, id: str) -> None:
        """Withhold an incident, go on with that, or tell of it."""
        incident = self._changed.get(id) or self._situation.incidents[id]
        hold, reason = incident.attention.hold, self._reason(incident)
        if reason is None:
            if hold is not None:
                self._let_go(incident, hold)
            return

        anew = Hold(
            why=reason.why,
            by=reason.by,
            since=hold.since if hold else self._now,
            until=reason.until,
        )
        if anew == hold:
            return

        incident = _with_hold(incident, anew)
        self._changed[id] = incident
        if hold is None or (hold.why, hold.by) != (anew.why, anew.by):
            self._write(incident, WITHHELD, wording.withheld(reason.text))
            if reason.why is Withheld.DEPENDENCY:
                self._list_under(reason.by, incident)

    def _let_go(self, incident: Incident, hold: Hold) -> None:
        """Wait for what shows whether it still fails; tell of it where it does."""
        if hold.ended_at is None:
            hold = replace(hold, ended_at=self._now)
            incident = _with_hold(incident, hold)
            self._changed[incident.id] = incident

        assert hold.ended_at is not None
        waited = self._now - hold.ended_at
        if waited < SETTLING and not fails_since(hold.ended_at, incident, self._situation):
            return

        told, lasted = incident.attention.told_at, self._now - hold.since
        standing = self._now - max(hold.since, told) if told else timedelta()
        attention = replace(
            incident.attention, hold=None, held=incident.attention.held + max(standing, _NO_TIME)
        )
        rose = told is not None and self._rose_since(hold.since, incident)
        incident = replace(incident, attention=attention)
        text = wording.released(self._what_is_over(hold), lasted)
        incident = self._write(incident, NewsKind.RELEASED, text)
        kind = NewsKind.OPENED if told is None else NewsKind.RELEASED
        if rose:
            kind = NewsKind.SEVERITY_RAISED
        self._news.append(News(kind=kind, incident=incident, text=text))

    def _list_under(self, id: str, dependent: Incident) -> None:
        """Write in the incident of a dependency whom it affects.

        People are told of the first at once, and then each time that they are twice as many.
        """
        self.review(id)  # it may be withheld itself, and then its news are
        incident = self._changed.get(id) or self._situation.incidents[id]
        names = self._affected.setdefault(id, {*affected(incident, self._situation)})
        if dependent.service in names:
            return
        names.add(dependent.service)

        text = wording.affects(dependent)
        incident = self._write(
            incident,
            AFFECTS,
            text,
            details=(("service", dependent.service), ("incident", dependent.id)),
        )
        if len(names) & (len(names) - 1) == 0:
            self._news.append(News(kind=NewsKind.AFFECTS, incident=incident, text=text))

    def _reason(self, incident: Incident) -> _Reason | None:
        """Give the strongest reason not to tell of an incident now."""
        outage = incident.klass is IncidentClass.OUTAGE and not incident.title
        if outage and (down := self._dependency(incident.service)):
            return _Reason(why=Withheld.DEPENDENCY, by=down.id, text=wording.by_dependency(down))
        if not incident.title and (found := self._maintenance(incident)):
            window, until = found
            text = wording.by_maintenance(window, until)
            return _Reason(why=Withheld.MAINTENANCE, by=window.name, text=text, until=until)

        silences = [one for one in self._silences if one.covers(incident)]
        if not silences:
            return None

        silence = max(silences, key=lambda one: (one.ends_at, one.id))

        return _Reason(
            why=Withheld.SILENCE,
            by=silence.id,
            text=wording.by_silence(silence),
            until=silence.ends_at,
        )

    def _dependency(self, service: str) -> Incident | None:
        """Give the outage beneath a service of which people hear.

        Who silenced what it depends on did not ask to be left alone about what is above.
        """
        return down_dependency(service, self._directory, self._situation, silences=self._silences)

    def _maintenance(self, incident: Incident) -> tuple[Maintenance, datetime] | None:
        """Give the maintenance in which an incident is expected.

        The monitor's own trouble is so where it is only about services that are in maintenance.
        """
        if not self._windows:
            return None
        if incident.klass is not IncidentClass.MONITOR:
            return _maintenance(incident.service, self._windows)

        still = [one for one in incident.members if one.closed_at is None]
        found = [
            _maintenance(one.service, self._windows) if one.check != STORE_CHECK else None
            for one in still
        ]
        known = [one for one in found if one is not None]
        if not known or len(known) < len(found):
            return None

        return min(known, key=lambda one: one[1])

    def _rose_since(self, moment: datetime, incident: Incident) -> bool:
        lines = self._situation.timelines.get(incident.id, ())

        return any(line.event == NewsKind.SEVERITY_RAISED and line.at >= moment for line in lines)

    def _what_is_over(self, hold: Hold) -> str:
        """Say what was the reason, as far as that is known still."""
        match hold.why:
            case Withheld.DEPENDENCY:
                down = self._situation.incidents.get(hold.by)
                if down is not None and down.open:
                    return f"it does not depend on {down.service} any more"
                return f"{down.service if down else 'what it depends on'} has recovered"
            case Withheld.MAINTENANCE:
                windows = self._directory.maintenance
                window = next((one for one in windows if one.name == hold.by), None)
                return f"{wording.maintenance(window) if window else hold.by} is over"
            case Withheld.SILENCE:
                silence = self._situation.silences.get(hold.by)
                still = silence is not None and silence.active(self._now)
                return f"the silence {'is not about it any more' if still else 'is over'}"

    def _write(
        self,
        incident: Incident,
        event: str,
        text: str,
        details: tuple[tuple[str, str], ...] = (),
    ) -> Incident:
        incident, entry = record(incident, self._now, MONITOR, event, text)
        self._changed[incident.id] = incident
        self._timeline.append(replace(entry, details=details))

        return incident


def _concerned(step: IncidentStep, directory: Directory, situation: Situation) -> list[Incident]:
    """Give the open incidents that a step is about, and those of services above them."""
    found: dict[str, Incident] = {}
    for touched in step.changes.incidents:
        known = situation.incidents.get(touched.id, touched)
        if known.open:
            found[known.id] = known
        if known.klass is not IncidentClass.OUTAGE:
            continue
        for service in directory.above.get(known.service, ()):
            other = situation.open_incident(service, IncidentClass.OUTAGE)
            if other is not None:
                found[other.id] = other

    return list(found.values())


def _open_windows(directory: Directory, now: datetime) -> list[tuple[Maintenance, datetime]]:
    """Give the windows that are open now and until when, the longest first."""
    spans = ((window, maintenance.active(window, now)) for window in directory.maintenance)
    found = [(window, span[1]) for window, span in spans if span is not None]

    return sorted(found, key=lambda one: one[1], reverse=True)


def _maintenance(
    service: str, windows: Iterable[tuple[Maintenance, datetime]]
) -> tuple[Maintenance, datetime] | None:
    return next((one for one in windows if one[0].concerns(service)), None)


def _with_hold(incident: Incident, hold: Hold) -> Incident:
    return replace(incident, attention=replace(incident.attention, hold=hold))


def fails_since(moment: datetime, incident: Incident, situation: Situation) -> bool:
    """Whether a sample since a moment shows that an incident goes on; without checks it does."""
    still = [one.check for one in incident.members if one.closed_at is None]
    if not still or STORE_CHECK in still:
        return True

    blind = incident.klass is IncidentClass.MONITOR
    for state in situation.states_of(still):
        goes_on = state.blind if blind else state.last_outcome is Outcome.FAIL
        if goes_on and state.last_at is not None and state.last_at >= moment:
            return True

    return False
