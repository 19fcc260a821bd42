"""Small services to watch, and an engine over them, for tests of what follows from verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from monitor.core.model.changes import Changes
from monitor.core.model.endpoint import (
    CertificateRule,
    Check,
    Endpoint,
    FailureThreshold,
    HealthRule,
    InARow,
    LatencyRule,
    OnInsufficient,
    Rule,
    Severity,
    Signal,
)
from monitor.core.model.notice import Contact, Link
from monitor.core.model.observation import Certificate, Code, Fault, Observation
from monitor.core.model.service import Directory, Service
from monitor.core.model.verdict import Reason
from monitor.core.situation import Situation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from monitor.core.engine import Conditions, Engine
    from monitor.core.model.incident import Incident
    from monitor.core.model.notice import Delivery

START = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
EVERY = timedelta(seconds=30)

_NAMES = {
    Signal.HEALTH: "health",
    Signal.HEADERS: "headers",
    Signal.LATENCY: "latency.p95",
    Signal.CERTIFICATE: "certificate",
}
_RULES: Mapping[Signal, Rule] = {
    Signal.HEALTH: HealthRule(expectations=()),
    Signal.CERTIFICATE: CertificateRule(expires_in=timedelta(days=14), inclusive=False),
    Signal.LATENCY: LatencyRule(
        percentile=95,
        limit=timedelta(milliseconds=400),
        inclusive=False,
        window=timedelta(minutes=5),
        min_samples=5,
        on_insufficient=OnInsufficient.HOLD,
    ),
    Signal.HEADERS: HealthRule(expectations=()),
}


def at(seconds: float) -> datetime:
    """Give the moment so many seconds after the start of a story."""
    return START + timedelta(seconds=seconds)


def make_check(
    signal: Signal = Signal.HEALTH,
    *,
    endpoint: str = "api",
    service: str = "shop",
    severity: Severity = Severity.HIGH,
    opens: FailureThreshold | None = None,
    closes: int = 2,
    fingerprint: str = "one",
) -> Check:
    """Make one check; by default it opens at three fails in a row and closes at two passes."""
    return Check(
        id=f"{endpoint}.{_NAMES[signal]}",
        endpoint=endpoint,
        service=service,
        signal=signal,
        rule=_RULES[signal],
        severity=severity,
        failure_threshold=opens or InARow(count=3),
        success_threshold=closes,
        fingerprint=fingerprint,
    )


def make_endpoint(*checks: Check, name: str = "api", service: str = "shop") -> Endpoint:
    """Make an endpoint with these checks, or with one of health."""
    return Endpoint(
        name=name,
        service=service,
        kind="url",
        target=f"http://{name}.test/",
        every=EVERY,
        retry_every=timedelta(seconds=10),
        timeout=timedelta(seconds=10),
        checks=checks or (make_check(endpoint=name, service=service),),
    )


def make_reason(message: str = "status is 500, expected 2xx") -> Reason:
    """Make a reason of a wrong status."""
    return Reason(code=Code.STATUS, message=message, expected="2xx", found="500")


def make_directory(*services: Service, notifiers: tuple[str, ...] = ("slack",)) -> Directory:
    """Make a directory with one well described service, and these."""
    shop = Service(
        name="shop",
        description="Public shop",
        contacts=(Contact(role="on_call", name="@web"),),
        links=(Link(name="runbook", url="https://wiki.test/shop"),),
    )

    return Directory(
        environment="production",
        location="eu-west",
        services={one.name: one for one in (shop, *services)},
        notifiers=notifiers,
        public_url="https://status.test",
    )


def answer(status: int = 200, *, seconds: float = 0, took: float = 0.05) -> Observation:
    """Give an answer of a target, its certificate good for 90 days."""
    moment = at(seconds)

    return Observation(
        at=moment,
        duration=timedelta(seconds=took),
        url="https://api.test/",
        status=status,
        body=b"answered",
        tls_version="TLSv1.3",
        certificate=_certificate(moment + timedelta(days=90)),
    )


def expiring(seconds: float = 0) -> Observation:
    """Give a good answer whose certificate is good for one more day."""
    moment = at(seconds)

    return Observation(
        at=moment,
        duration=timedelta(milliseconds=50),
        status=200,
        tls_version="TLSv1.3",
        certificate=_certificate(moment + timedelta(days=1)),
    )


def own_fault(seconds: float = 0) -> Observation:
    """Give what is seen while no witness answers either."""
    return Observation(
        at=at(seconds),
        duration=timedelta(seconds=2),
        fault=Fault(code=Code.WITNESS, message="no witness answered either", own=True),
    )


def _certificate(until: datetime) -> Certificate:
    return Certificate(
        subject="CN=api.test",
        issuer="CN=authority",
        subject_alternative_names=("api.test",),
        serial_number="1",
        fingerprint_sha256="00",
        not_before=until - timedelta(days=365),
        not_after=until,
        earliest_not_after=until,
        verified=True,
    )


@dataclass
class Story:
    """An engine whose probes are told one after the other, and all that it has said so far."""

    engine: Engine
    seconds: float = 0
    said: list[Changes] = field(default_factory=list)

    def sees(self, *statuses: int | str, endpoint: str = "api") -> Changes:
        """Probe once an interval: a number is a status, `?` our own fault, `cert` a bad one."""
        changes = Changes()
        for status in statuses:
            match status:
                case int():
                    observation = answer(status, seconds=self.seconds)
                case "cert":
                    observation = expiring(self.seconds)
                case _:
                    observation = own_fault(self.seconds)
            changes += self.takes(observation, endpoint=endpoint)
            self.seconds += EVERY.total_seconds()

        return changes

    def takes(
        self, observation: Observation, *, endpoint: str = "api", scheduled: bool = True
    ) -> Changes:
        """Probe once, whatever the time."""
        changes = self.engine.take(
            self.engine.endpoints[endpoint],
            observation,
            scheduled=scheduled,
            now=observation.at + observation.duration,
        )
        self.said.append(changes)

        return changes

    @property
    def now(self) -> datetime:
        """The time of the next probe."""
        return at(self.seconds)

    @property
    def open(self) -> list[Incident]:
        """The incidents that are open."""
        return self.engine.situation.open_incidents()

    @property
    def told(self) -> list[Delivery]:
        """All deliveries, in the order in which they were queued."""
        return [delivery for changes in self.said for delivery in changes.deliveries]

    @property
    def events(self) -> list[str]:
        """What the notices were about, in order."""
        return [delivery.notice.event.value for delivery in self.told]


def make_story(
    *endpoints: Endpoint,
    directory: Directory | None = None,
    situation: Situation | None = None,
    conditions: Callable[[], Conditions] | None = None,
    mask: Callable[[str], str] = str,
) -> Story:
    """Start an engine over these endpoints, by default one with a check of health."""
    from monitor.core.engine import Conditions, Engine

    watched: Iterable[Endpoint] = endpoints or (make_endpoint(),)

    return Story(
        engine=Engine(
            endpoints=watched,
            directory=directory or make_directory(),
            situation=situation or Situation(),
            mask=mask,
            conditions=conditions or Conditions,
        )
    )
