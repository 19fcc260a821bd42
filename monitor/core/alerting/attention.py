"""What the clock does about an incident that goes on: reminders, escalation, missed targets.

    nobody has acknowledged it for `remind_every`     -> its route is reminded, again and again
    nobody has acknowledged it when a step is due     -> the step's people are told, once
    it is not acknowledged or resolved by its target  -> all who know are told, once

The clock begins when people are told, and stands still while an incident is withheld.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monitor.core import wording
from monitor.core.alerting.notices import as_it_stands, describe
from monitor.core.alerting.planning import deliver
from monitor.core.alerting.routing import find_receivers, find_routes, find_told
from monitor.core.alerting.targets import Target, find_target
from monitor.core.model.changes import NOTHING, Changes
from monitor.core.model.incident import Reminder
from monitor.core.model.notice import NoticeEvent
from monitor.core.timeline import MONITOR, record
from monitor.core.withholding import SETTLING, fails_since
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from monitor.core.model.incident import Attention, Incident, TimelineEntry
    from monitor.core.model.notice import Delivery
    from monitor.core.model.service import Directory, Escalation, Route
    from monitor.core.situation import Situation

REMINDED, ESCALATED, BREACHED = "reminded", "escalated", "breached"
"""The lines in the timeline of an incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One thing that time brought: its line in the timeline, what to say of it, and to whom."""

    event: str
    text: str
    told: str
    receivers: tuple[str, ...]
    details: tuple[tuple[str, str], ...] = ()


def attend(
    directory: Directory,
    situation: Situation,
    now: datetime,
    *,
    looks_since: datetime | None = None,
) -> Changes:
    """Give what time alone brings to the open incidents of which people know.

    `looks_since` is since when this process looks: of what began before, a sample is awaited that
    shows that it goes on, for a while.
    """
    incidents = situation.open_incidents()
    if not incidents or not directory.notifiers:
        return NOTHING

    return Changes.merge(
        changes
        for incident in incidents
        if incident.attention.told_at is not None and incident.attention.hold is None
        if (changes := _attend(incident, directory, situation, now))
        if _goes_on(incident, looks_since, situation, now)
    )


def _goes_on(
    incident: Incident, looks_since: datetime | None, situation: Situation, now: datetime
) -> bool:
    """Whether an incident is known to go on: it may have ended while nobody looked."""
    if looks_since is None or now - looks_since >= SETTLING:
        return True

    return fails_since(looks_since, incident, situation)


def name_of(step: Escalation) -> str:
    """Name a step of an escalation by what it does: the same step of another route is no other."""
    return f"{', '.join(step.notify)} after {format_duration(step.after)}"


def _attend(
    incident: Incident, directory: Directory, situation: Situation, now: datetime
) -> Changes:
    lasted = incident.attention.lasted(now)
    turns: list[_Turn] = []
    attention = incident.attention
    if incident.acknowledgement is None:
        routes = find_routes(incident, directory)
        attention = _escalate(routes, attention, lasted, turns)
        attention = _remind(routes, attention, lasted, turns)
    for target, within in _missed(incident, lasted, directory):
        attention = replace(attention, breached=(*attention.breached, target.value))
        turns.append(_breach(incident, target, within, directory, situation))
    if not turns:
        return NOTHING

    timeline: list[TimelineEntry] = []
    incident = replace(incident, attention=attention)
    for turn in turns:
        incident, entry = record(incident, now, MONITOR, turn.event, turn.text, turn.details)
        timeline.append(entry)

    return Changes(
        incidents=(incident,),
        timeline=tuple(timeline),
        deliveries=tuple(_tell(incident, turns, directory, situation, now)),
    )


def _escalate(
    routes: Sequence[Route], attention: Attention, lasted: timedelta, turns: list[_Turn]
) -> Attention:
    """Take the steps that are due, each once."""
    for route in routes:
        for step in route.escalate:
            name = name_of(step)
            if lasted < step.after or name in attention.escalated:
                continue
            attention = replace(attention, escalated=(*attention.escalated, name))
            turns.append(
                _Turn(
                    event=ESCALATED,
                    text=wording.escalated(step.notify, lasted),
                    told=wording.unanswered(lasted),
                    receivers=step.notify,
                    details=(("step", name), ("told", ", ".join(step.notify))),
                )
            )

    return attention


def _remind(
    routes: Sequence[Route], attention: Attention, lasted: timedelta, turns: list[_Turn]
) -> Attention:
    """Remind the people of each route whose time has come, and those it was escalated to."""
    before = {one.route: one.after for one in attention.reminded}
    reminded, receivers = dict(before), dict[str, None]()
    for route in routes:
        since = lasted - before[route.name] if route.name in before else lasted
        if route.remind_every is None or since < route.remind_every:
            continue
        reminded[route.name] = lasted
        receivers |= dict.fromkeys(find_reminded(route, attention))
    if not receivers:
        return attention

    names = tuple(receivers)
    turns.append(
        _Turn(
            event=REMINDED,
            text=wording.reminded(names, lasted),
            told=wording.unanswered(lasted),
            receivers=names,
        )
    )
    kept = tuple(Reminder(route=name, after=after) for name, after in reminded.items())

    return replace(attention, reminded=kept)


def find_reminded(route: Route, attention: Attention) -> tuple[str, ...]:
    """Name who is reminded by a route: whom it told, at once and by the steps that were taken."""
    steps = (step for step in route.escalate if name_of(step) in attention.escalated)

    return tuple(dict.fromkeys((*route.notify, *(name for step in steps for name in step.notify))))


def _missed(
    incident: Incident, lasted: timedelta, directory: Directory
) -> Iterator[tuple[Target, timedelta]]:
    """Give the targets that are missed by now and were not yet, with what they are."""
    told_at = incident.attention.told_at
    assert told_at is not None
    service = directory.service(incident.service)
    for target in Target:
        if target in incident.attention.breached:
            continue
        if target is Target.ACKNOWLEDGE and incident.acknowledgement is not None:
            continue
        within = find_target(target, incident.severity, service, told_at)
        if within is not None and lasted >= within:
            yield target, within


def _breach(
    incident: Incident,
    target: Target,
    within: timedelta,
    directory: Directory,
    situation: Situation,
) -> _Turn:
    text = (
        wording.not_acknowledged(within)
        if target is Target.ACKNOWLEDGE
        else wording.not_resolved(within, incident.acknowledgement)
    )

    return _Turn(
        event=BREACHED,
        text=text,
        told=text,
        receivers=find_told(incident.id, directory, situation)
        or find_receivers(incident, directory),
        details=(("target", target.value), ("within", format_duration(within))),
    )


def _tell(
    incident: Incident,
    turns: Sequence[_Turn],
    directory: Directory,
    situation: Situation,
    now: datetime,
) -> Iterator[Delivery]:
    """Queue one notice for each receiver: of all that is told to it, the strongest counts."""
    groups: dict[tuple[NoticeEvent, tuple[str, ...]], list[str]] = {}
    for name in dict.fromkeys(name for turn in turns for name in turn.receivers):
        own = [turn for turn in turns if name in turn.receivers]
        strong = [turn for turn in own if turn.event != REMINDED]
        event = NoticeEvent.ESCALATED if strong else NoticeEvent.REMINDER
        texts = tuple(dict.fromkeys(turn.told for turn in strong or own))
        groups.setdefault((event, texts), []).append(name)

    headline = wording.headline(as_it_stands(incident, situation), at=now)
    for (event, texts), receivers in groups.items():
        notice = describe(
            incident,
            event,
            wording.goes_on(headline, texts),
            directory=directory,
            situation=situation,
            now=now,
        )
        yield from deliver(notice, receivers, now)
