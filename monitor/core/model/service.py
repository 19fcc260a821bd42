"""Services: who is called for them, how their version is read, and when they are rolled back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from monitor.core.model.rollback import Mode, RollbackKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, tzinfo

    from monitor.core.model.checklist import Item, Stage
    from monitor.core.model.endpoint import Severity
    from monitor.core.model.incident import IncidentClass
    from monitor.core.model.notice import Contact, Link

COUNTDOWN: Final = timedelta(seconds=30)
EXPIRES: Final = timedelta(minutes=15)
"""How long a person has to veto, and to approve, where nothing else is said."""

NO_CHECKLIST: Final[Mapping[Stage, tuple[Item, ...]]] = MappingProxyType({})


def _nothing() -> Mapping[Severity, timedelta | None]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSource:
    """Where an answer tells the version that is live: a header, or an RFC 9535 JSONPath.

    Exactly one of `header` and `json` is set.
    """

    endpoint: str
    header: str | None = None
    json: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How often anything automatic may happen."""

    per_deploy: int = 1
    per_day: int = 2
    fleet_per_hour: int = 3
    cooldown: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """One step as configured: `number` counts from 1 in its level; `kind` names the hook.

    `idempotent` promises that applying it twice does what applying it once does. `name` is what
    the timeline calls it, if anything.
    """

    number: int
    kind: str
    idempotent: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelPlan:
    """Steps that are tried together: those of the next level follow where they do not help.

    `recover_within` is how long they are given to help, that of the policy where it is None.
    `first_hook` is the place of the first step's hook among all of the service.
    """

    steps: tuple[StepPlan, ...]
    name: str = "rollback"
    recover_within: timedelta | None = None
    first_hook: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a check has to show after the effect, `within` a time: so many passes, one at least."""

    check: str
    passes: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackPolicy:
    """When a service is rolled back, or a remedy is tried, and how recovery is proven.

    The trip needs `at_least` of the `triggers` (check ids) to be open at one time; of a rollback,
    within `within` of a deploy. `modes` overrides `mode` by the severity of the incident, and
    `waits` does so for how long a countdown takes or an approval is waited for. A deploy healthy
    for `certify_after` is the last known good. The triggers must close within `verify_within` after
    the effect, and the `proofs` are asked for besides. `plan` stands for what its steps are, in
    their order: it differs where any of them does.
    """

    mode: Mode
    triggers: tuple[str, ...]
    levels: tuple[LevelPlan, ...]
    modes: Mapping[Severity, Mode]
    kind: RollbackKind = RollbackKind.ROLLBACK
    wait: timedelta | None = None
    waits: Mapping[Severity, timedelta] = field(default_factory=lambda: MappingProxyType({}))
    at_least: int = 1
    within: timedelta = timedelta(minutes=30)
    certify_after: timedelta = timedelta(minutes=10)
    verify_within: timedelta = timedelta(minutes=5)
    proofs: tuple[Proof, ...] = ()
    limits: Limits = Limits()
    plan: str = ""

    def verifying(self, triggers: Iterable[str]) -> tuple[str, ...]:
        """Give the checks that prove a recovery: those that tripped, and what is asked besides."""
        return tuple(dict.fromkeys([*triggers, *(proof.check for proof in self.proofs)]))

    def wait_of(self, severity: Severity) -> timedelta:
        """Give how long a person has to veto, or to approve, for an incident of this severity."""
        mode = self.modes.get(severity, self.mode)
        wait = self.waits.get(severity) if severity in self.modes else self.wait

        return wait or (EXPIRES if mode is Mode.APPROVE else COUNTDOWN)

    def level(self, number: int) -> LevelPlan | None:
        """Give a level by its number, which counts from 1."""
        return self.levels[number - 1] if 1 <= number <= len(self.levels) else None

    @property
    def acts(self) -> bool:
        """Whether there is anything to do."""
        return any(level.steps for level in self.levels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """How soon an incident is to be acknowledged and resolved, by its severity.

    None: there is no target. Of a severity that is left out it is the usual one.
    """

    acknowledge: Mapping[Severity, timedelta | None] = field(default_factory=_nothing)
    resolve: Mapping[Severity, timedelta | None] = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Who is told as well, where nobody has acknowledged an incident `after` so long."""

    after: timedelta
    notify: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who is told of which incidents: an empty set of `severities`, `services`, `classes` is all.

    `name` is `route 1` and so on, as it stands in records. The first route that matches decides,
    unless it says `go_on`. `fallback` is told what a notifier of the route could not.
    """

    name: str
    notify: tuple[str, ...]
    severities: frozenset[Severity] = frozenset()
    services: frozenset[str] = frozenset()
    classes: frozenset[IncidentClass] = frozenset()
    go_on: bool = False
    fallback: str | None = None
    remind_every: timedelta | None = None
    escalate: tuple[Escalation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """A time, or times that come again, in which what fails is expected.

    `name` is `maintenance 1` and so on. It holds for `services`, all where none is named. Either
    `starts_at` and `ends_at` are set, or `cron` (five fields) with the `zone` in which it is read
    and `lasts`. A weekly window is a cron expression.
    """

    name: str
    services: frozenset[str] = frozenset()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    cron: str = ""
    zone: tzinfo = UTC
    lasts: timedelta = timedelta()
    reason: str = ""

    def concerns(self, service: str) -> bool:
        """Whether it is about a service."""
        return not self.services or service in self.services


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What is known of a service besides its endpoints; an undeclared one has only its name."""

    name: str
    description: str = ""
    contacts: tuple[Contact, ...] = ()
    links: tuple[Link, ...] = ()
    version: VersionSource | None = None
    rollback: RollbackPolicy | None = None
    remedy: RollbackPolicy | None = None
    depends_on: tuple[str, ...] = ()
    targets: Targets = Targets()
    evidence: tuple[str, ...] = ()
    """The names of the commands that are run when an incident of it opens."""
    checklist: Mapping[Stage, tuple[Item, ...]] = field(default_factory=lambda: NO_CHECKLIST)
    """What is to be done, for each stage that it says something about itself."""

    @property
    def policies(self) -> tuple[RollbackPolicy, ...]:
        """Give what may be tried when it fails, the quick fix first."""
        return tuple(one for one in (self.remedy, self.rollback) if one is not None)

    def policy(self, kind: RollbackKind) -> RollbackPolicy | None:
        """Give what is configured of one kind."""
        return self.remedy if kind is RollbackKind.REMEDY else self.rollback


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Where the monitor stands and whom it tells: what notices need beside the incident.

    `notifiers` are the names of all configured notifiers; without `routes` each gets everything.
    `public_url` is where people reach the status page, without a slash at its end; empty: no links.
    `beneath` is all that a service depends on, over however many others, and `above` all that
    depends on it.
    """

    environment: str = ""
    location: str = ""
    services: Mapping[str, Service]
    notifiers: tuple[str, ...] = ()
    public_url: str = ""
    routes: tuple[Route, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    beneath: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    above: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        beneath = {
            name: _beneath(name, self.services)
            for name, service in self.services.items()
            if service.depends_on
        }
        above: dict[str, tuple[str, ...]] = {}
        for name, others in beneath.items():
            for other in others:
                above[other] = (*above.get(other, ()), name)
        object.__setattr__(self, "beneath", beneath)
        object.__setattr__(self, "above", above)

    def service(self, name: str) -> Service:
        """Give what is known of a service; one that was never declared has only its name."""
        return self.services.get(name) or Service(name=name)


def _beneath(name: str, services: Mapping[str, Service]) -> tuple[str, ...]:
    """Give all that a service depends on, the nearest first; a circle ends where it began."""
    found: dict[str, None] = {}
    rest = [*services[name].depends_on]
    for other in rest:
        if other == name or other in found:
            continue
        found[other] = None
        if other in services:
            rest += services[other].depends_on

    return tuple(found)
