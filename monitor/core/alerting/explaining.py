"""Who would be told of an incident, and when: the routes, steps and targets in reading order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core import maintenance
from monitor.core.alerting.routing import EVERYBODY, find_receivers, find_routes
from monitor.core.alerting.targets import Target, find_target
from monitor.core.model.incident import Incident, IncidentClass, IncidentPhase
from monitor.core.wording import duration_text, time_text
from monitor.core.wording import maintenance as name_maintenance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from monitor.core.model.endpoint import Severity
    from monitor.core.model.service import Directory, Route

Row = tuple[str, str]
"""When, and what happens then."""

UNANSWERED = "if nobody has acknowledged it by then"


def explain(
    service: str, severity: Severity, klass: IncidentClass, directory: Directory, now: datetime
) -> tuple[Row, ...]:
    """Say who would be told of an incident that opened now; silences are not known here."""
    incident = Incident(
        id="",
        service=service,
        klass=klass,
        severity=severity,
        phase=IncidentPhase.INVESTIGATING,
        since=now,
        opened_at=now,
        members=(),
    )
    routes = find_routes(incident, directory)
    told = find_receivers(incident, directory)
    if not told:
        return (("never", "nobody is told: no notifiers are configured"),)

    by = ", ".join(route.name for route in routes)
    why = "no route is for it" if by == EVERYBODY else by
    if not directory.routes:
        why = "there are no routes"
    later = sorted([*_steps(routes), *_targets(incident, directory, now)], key=lambda row: row[0])

    return (
        *_withheld(incident, directory, now),
        ("at once", f"{', '.join(told)} ({why})"),
        *((f"after {_exact(after)}", text) for after, text in later),
        *_reminders(routes),
        *_fallbacks(routes),
        ("at the end", "all who were told of it"),
    )


def _withheld(incident: Incident, directory: Directory, now: datetime) -> Iterator[Row]:
    """Say why nobody would be told for now, and when else that is so."""
    monitor = incident.klass is IncidentClass.MONITOR
    for window in () if monitor else directory.maintenance:
        if window.concerns(incident.service) and (span := maintenance.active(window, now)):
            yield (
                "for now",
                f"nobody is told until {time_text(span[1])}: {name_maintenance(window)}",
            )
    beneath = directory.beneath.get(incident.service, ())
    if beneath and incident.klass is IncidentClass.OUTAGE:
        yield "not while", f"there is an outage of {' or '.join(beneath)}, on which it depends"


def _steps(routes: tuple[Route, ...]) -> Iterator[tuple[timedelta, str]]:
    for route in routes:
        for step in route.escalate:
            yield step.after, f"{', '.join(step.notify)}, {UNANSWERED} ({route.name})"


def _targets(
    incident: Incident, directory: Directory, now: datetime
) -> Iterator[tuple[timedelta, str]]:
    service = directory.service(incident.service)
    usual = incident.severity not in service.targets.acknowledge
    for target in Target:
        within = find_target(target, incident.severity, service, now)
        if within is None:
            continue
        if target is Target.ACKNOWLEDGE:
            whose = "usual target" if usual else "target"
            yield within, f"all who were told, {UNANSWERED} (the {whose})"
        else:
            yield within, "all who were told, if it is not resolved by then (the target)"


def _reminders(routes: tuple[Route, ...]) -> Iterator[Row]:
    for route in routes:
        if route.remind_every is not None:
            names = ", ".join(route.notify)
            also = ", and whom it was escalated to" if route.escalate else ""
            yield (
                f"every {_exact(route.remind_every)}",
                f"{names}{also}, until somebody acknowledges it ({route.name})",
            )


def _fallbacks(routes: tuple[Route, ...]) -> Iterator[Row]:
    for route in routes:
        if route.fallback is not None:
            yield "instead", f"{route.fallback}, where one of {route.name} cannot be told"


def _exact(span: timedelta) -> str:
    """Write how long a step waits, to the second: `90 s` are no `2 min`."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    if minutes and seconds:
        return f"{minutes} min {seconds} s"

    return "1 min" if minutes == 1 else duration_text(span)
