"""Incidents over which time passes: who is told of them, by routes, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import acts, alerting, clock_set, incidents
from monitor.core.incidents import IncidentStep, News, NewsKind
from monitor.core.model.changes import Changes
from monitor.core.model.check_state import Change, CheckEvent
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import Hold, Incident, IncidentClass, Withheld
from monitor.core.model.service import Directory, Escalation, Route, Service, Targets
from monitor.core.situation import Situation
from monitor.store.codec import decode, encode
from tests.support.watching import at, make_check, make_reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from monitor.core.model.endpoint import Check
    from monitor.core.model.notice import Delivery

Told = tuple[float, str, str]
"""When, in seconds by a clock that was never set; to whom; and the event."""

NO_TARGETS: Final = Targets(acknowledge=dict.fromkeys(Severity))


def make_route(
    *notify: str,
    number: int = 1,
    severities: tuple[Severity, ...] = (),
    services: tuple[str, ...] = (),
    classes: tuple[IncidentClass, ...] = (),
    go_on: bool = False,
    remind_every: float | None = None,
    escalate: Mapping[float, tuple[str, ...]] | None = None,
) -> Route:
    """Make a route; times are in seconds."""
    return Route(
        name=f"route {number}",
        notify=notify,
        severities=frozenset(severities),
        services=frozenset(services),
        classes=frozenset(classes),
        go_on=go_on,
        remind_every=timedelta(seconds=remind_every) if remind_every else None,
        escalate=tuple(
            Escalation(after=timedelta(seconds=after), notify=names)
            for after, names in (escalate or {}).items()
        ),
    )


class Watch:
    """Services whose checks open and close at will, one check of each severity in each."""

    def __init__(
        self,
        *routes: Route,
        notifiers: tuple[str, ...] = ("a", "b", "c", "d"),
        targets: Targets = NO_TARGETS,
        services: tuple[str, ...] = ("shop",),
    ) -> None:
        self.directory = Directory(
            services={name: Service(name=name, targets=targets) for name in services},
            notifiers=notifiers,
            routes=routes,
        )
        self.situation = Situation()
        self.checks: dict[str, Check] = {}
        for service in services:
            for severity in Severity:
                check = make_check(
                    endpoint=f"{service}-{severity}", service=service, severity=severity
                )
                self.checks[check.id] = check
        self.seconds = 0.0
        self.offset = timedelta()
        self.told: list[Delivery] = []
        self.heard: list[Told] = []

    @property
    def now(self) -> datetime:
        """What the clock shows."""
        return at(self.seconds) + self.offset

    def incident(self, service: str = "shop") -> Incident | None:
        """Give the open outage of a service."""
        return self.situation.open_incident(service, IncidentClass.OUTAGE)

    def fail(
        self, severity: Severity = Severity.HIGH, service: str = "shop", *, held: bool = False
    ) -> None:
        """Let a check open; `held` withholds what it opens before anybody is told."""
        before = self.incident(service)
        step = self._file(Change.OPENED, severity, service)
        if held and before is None:
            step = self._hold(step, service)
        self._tell(step)

    def recover(self, severity: Severity = Severity.HIGH, service: str = "shop") -> None:
        """Let a check close."""
        self._tell(self._file(Change.CLOSED, severity, service))

    def acknowledge(self, service: str = "shop") -> None:
        """Let a person take the incident on."""
        incident = self.incident(service)
        assert incident is not None
        step = acts.acknowledge(incident, "ana", self.now)
        self.situation.apply(step.changes)
        self._tell(step)

    def hold(self, service: str = "shop") -> None:
        """Withhold the open incident from now on."""
        self._hold(IncidentStep(), service)

    def release(self, service: str = "shop", *, rose: bool = False) -> None:
        """Let nothing withhold it any more: what still fails is told."""
        incident = self.incident(service)
        assert incident is not None
        attention = incident.attention
        hold, told_at = attention.hold, attention.told_at
        assert hold is not None
        stood = self.now - max(hold.since, told_at) if told_at else timedelta()
        incident = replace(
            incident,
            sequence=incident.sequence + 1,
            attention=replace(attention, hold=None, held=attention.held + stood),
        )
        kind = NewsKind.SEVERITY_RAISED if rose else NewsKind.RELEASED
        news = News(
            kind=kind if told_at else NewsKind.OPENED, incident=incident, text="it still fails"
        )
        self.situation.apply(Changes(incidents=(incident,)))
        self._tell(IncidentStep(news=(news,)))

    def wait(self, seconds: float) -> None:
        """Let time pass, and tick once at its end."""
        self.seconds += seconds
        self.tick()

    def tick(self) -> None:
        """Do what time alone does."""
        self._take(alerting.attend(self.directory, self.situation, self.now))

    def restart(self) -> None:
        """Begin again with what a store has kept."""
        kept, known = Situation(), self.situation.everything()
        kept.apply(
            Changes(
                incidents=tuple(decode(Incident, encode(one)) for one in known.incidents),
                deliveries=tuple(decode(type(one), encode(one)) for one in known.deliveries),
                timeline=known.timeline,
            )
        )
        self.situation = kept
        self._take(alerting.tell_missed(self.directory, self.situation, self.now))

    def set_clock(self, seconds: float) -> None:
        """Let the clock show something else from now on."""
        by = timedelta(seconds=seconds)
        self.offset += by
        self.situation.apply(clock_set.move(self.situation, by, self.now))

    def _file(self, change: Change, severity: Severity, service: str) -> IncidentStep:
        event = CheckEvent(
            change=change,
            check=f"{service}-{severity}.health",
            at=self.now,
            since=self.now,
            failures=3,
            reasons=(make_reason(),),
        )
        step = incidents.apply([event], self.checks, self.situation, self.now)
        self.situation.apply(step.changes)
        incident = self.incident(service)
        attention = incident.attention if incident else None

        return replace(
            step,
            news=tuple(
                replace(turn, incident=replace(turn.incident, attention=attention))
                if attention
                else turn
                for turn in step.news
            ),
        )

    def _hold(self, step: IncidentStep, service: str) -> IncidentStep:
        incident = self.incident(service)
        assert incident is not None
        hold = Hold(why=Withheld.MAINTENANCE, by="maintenance 1", since=self.now)
        attention = replace(incident.attention, hold=hold)
        self.situation.apply(Changes(incidents=(replace(incident, attention=attention),)))

        return replace(
            step,
            news=tuple(
                replace(turn, incident=replace(turn.incident, attention=attention))
                for turn in step.news
            ),
        )

    def _tell(self, step: IncidentStep) -> None:
        self._take(alerting.plan(step, self.directory, self.situation, self.now))

    def _take(self, changes: Changes) -> None:
        self.situation.apply(changes)
        self.told += changes.deliveries
        self.heard += [
            (self.seconds, row.notifier, row.notice.event.value) for row in changes.deliveries
        ]
