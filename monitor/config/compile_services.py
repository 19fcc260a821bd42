"""From the settings of services to the directory: contacts, versions and rollback policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.config.kinds import read_plugin
from monitor.config.settings import ServiceSettings
from monitor.config.settings_fields import name_problem
from monitor.config.suggest import closest, suggest
from monitor.core.expectations.json_body import PathError, compile_path
from monitor.core.expectations.shown import plain, quote
from monitor.core.model.endpoint import RateRule, Signal, WindowRule
from monitor.core.model.notice import Contact, Link
from monitor.core.model.service import (
    Limits,
    Proof,
    RollbackPolicy,
    Service,
    StepPlan,
    VersionSource,
)
from monitor.core.thresholds import verdicts_to_open
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from monitor.config.compile_endpoints import Watched
    from monitor.config.compiled import Plugin
    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.config.settings import (
        ProofSettings,
        RollbackSettings,
        VerifySettings,
        VersionSettings,
        WhenSettings,
    )
    from monitor.core.model.endpoint import Check, Endpoint
    from monitor.fields import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Every service, declared or only named by an endpoint, and the hooks of rollback steps."""

    services: Mapping[str, Service]
    hooks: Mapping[str, tuple[Plugin, ...]]


def compile_services(
    findings: Findings, raw: Mapping[str, object], watched: Watched, kinds: Mapping[str, Kind]
) -> Served:
    """Compile each declared service, and add those that only endpoints name."""
    compiler = _Compiler(findings, watched, kinds, frozenset(raw))
    services = {
        name: compiler.service(name, data if data is not None else {}) for name, data in raw.items()
    }
    for endpoint in watched.endpoints.values():
        services.setdefault(endpoint.service, Service(name=endpoint.service))

    return Served(services=services, hooks=compiler.hooks)


class _Compiler:
    """Compiles services one after the other over the same endpoints."""

    def __init__(
        self,
        findings: Findings,
        watched: Watched,
        kinds: Mapping[str, Kind],
        declared: frozenset[str],
    ) -> None:
        self.findings = findings
        self.declared = declared
        self.watched = watched
        self.kinds = kinds
        self.checks = watched.checks
        self.hooks: dict[str, tuple[Plugin, ...]] = {}

    def service(self, name: str, data: object) -> Service:
        """Compile one service; where something is wrong with it, only its name is left."""
        at = ("services", name)
        if problem := name_problem(name):
            self.findings.complain(at, problem, key=True)
        elif self.findings.document.complete and name not in self.watched.services:
            self._tell_unused(name, at)

        settings, whole = self.findings.read_partly(ServiceSettings, data, at)
        if settings is None:
            return Service(name=name)

        if settings.runbook and "runbook" in settings.links:
            self.findings.complain(
                (*at, "links", "runbook"), "runbook is given above already", key=True
            )
        links = {"runbook": settings.runbook} if settings.runbook else {}

        return Service(
            name=name,
            description=settings.description,
            contacts=tuple(Contact(role=role, name=who) for role, who in settings.contacts.items()),
            links=tuple(Link(name=link, url=url) for link, url in (links | settings.links).items()),
            depends_on=tuple(settings.depends_on),
            version=self._version(name, settings.version, at) if settings.version else None,
            rollback=self._rollback(name, settings.rollback, at, whole)
            if settings.rollback
            else None,
        )

    def _tell_unused(self, name: str, at: At) -> None:
        """Say that no endpoint belongs to a service; a typo is told where the endpoint has it."""
        meant = closest(name, self.watched.services - self.declared)
        typos = [
            place
            for endpoint in self.watched.endpoints.values()
            if endpoint.service == meant
            and (place := ("endpoints", endpoint.name, "service")) in self.findings.document.keys
        ]
        for place in typos:
            self.findings.complain(place, f"no service {meant} is declared; did you mean {name}?")
        if not typos:
            hint = f"; did you mean {meant}?" if meant else ""
            self.findings.complain(
                at,
                f"no endpoint belongs to this service: expected one with service: {name}{hint}",
                key=True,
            )

    def _version(self, service: str, settings: VersionSettings, at: At) -> VersionSource:
        at = (*at, "version")
        endpoint = self.watched.endpoints.get(settings.endpoint)
        if endpoint is None and settings.endpoint not in self.watched.failed:
            self._dangling((*at, "endpoint"), "endpoint", settings.endpoint, self.watched.endpoints)
        elif endpoint is not None and endpoint.service != service:
            self.findings.complain(
                (*at, "endpoint"),
                f"{endpoint.name} belongs to {endpoint.service}, expected an endpoint of {service}",
            )
        if settings.json_path is not None:
            try:
                compile_path(settings.json_path)
            except PathError as error:
                self.findings.complain(
                    (*at, "json"), f"{quote(settings.json_path)} is no JSONPath: {error}"
                )

        return VersionSource(
            endpoint=settings.endpoint, header=settings.header, json=settings.json_path
        )

    def _rollback(
        self, service: str, settings: RollbackSettings, at: At, whole: bool
    ) -> RollbackPolicy:
        at = (*at, "rollback")
        steps = [
            read_plugin(self.findings, self.kinds, step, (*at, "steps", index), what="step")
            for index, step in enumerate(settings.steps)
        ]
        plugins = tuple(step for step in steps if step is not None)
        if len(plugins) != len(steps):
            plugins = ()  # never half of the steps
        if plugins:
            self.hooks[service] = plugins

        triggers, at_least = self._triggers(service, settings.when, at)
        if whole:
            self._check_times(settings, triggers, at_least, at)

        return RollbackPolicy(
            mode=settings.mode,
            modes=dict(settings.modes),
            triggers=triggers,
            at_least=at_least,
            steps=tuple(
                StepPlan(
                    number=number,
                    kind=plugin.kind,
                    idempotent=bool(getattr(plugin.options, "idempotent", False)),
                )
                for number, plugin in enumerate(plugins, 1)
            ),
            within=settings.when.within,
            certify_after=settings.certify_after,
            verify_within=settings.verify.within,
            proofs=self._proofs(settings.verify, (*at, "verify", "expect")),
            limits=Limits(
                per_deploy=settings.limits.per_deploy,
                per_day=settings.limits.per_day,
                fleet_per_hour=settings.limits.fleet_per_hour,
                cooldown=settings.limits.cooldown,
            ),
        )

    def _triggers(self, service: str, when: WhenSettings, at: At) -> tuple[tuple[str, ...], int]:
        """Give the checks that may trip a rollback, and how many of them it takes."""
        for key, names in (("any", when.any_of), ("all", when.all_of), ("of", when.of)):
            if names is not None:
                self._check_triggers(service, names, (*at, "when", key))
                least = {"any": 1, "all": len(names), "of": when.at_least or 1}[key]
                return tuple(names), least

        triggers = tuple(
            id
            for id, (check, _) in self.checks.items()
            if check.service == service and check.signal is Signal.HEALTH
        )
        if not triggers and not self.watched.failed and service in self.watched.services:
            self.findings.complain(
                at,
                "nothing can trip it: no endpoint of the service has a health check; "
                "name checks in when.any",
                key=True,
            )

        return triggers, 1

    def _proofs(self, settings: VerifySettings, at: At) -> tuple[Proof, ...]:
        """Give what is asked after the effect; refuse what could never be seen in time."""
        proofs: dict[str, Proof] = {}
        for index, one in enumerate(settings.expect):
            place = (*at, index)
            within = one.within or settings.within
            known = self.checks.get(one.check)
            if one.check in proofs:
                self.findings.complain((*place, "check"), f"{plain(one.check)} is named twice")
            elif known is None and not self._of_failed(one.check):
                self._dangling((*place, "check"), "check", one.check, self.checks)
            elif within > settings.within:
                self.findings.complain(
                    (*place, "within"),
                    f"{format_duration(within)} is longer than verify.within, "
                    f"{format_duration(settings.within)}",
                )
            elif known is not None:
                self._check_proof(one, within, *known, at=place)
            proofs[one.check] = Proof(check=one.check, passes=one.passes, within=within)

        return tuple(proofs.values())

    def _check_proof(
        self, proof: ProofSettings, within: timedelta, check: Check, endpoint: Endpoint, *, at: At
    ) -> None:
        apart = check.rule.window if isinstance(check.rule, WindowRule) else endpoint.every
        needed = proof.passes * apart
        if needed > within:
            self.findings.complain(
                at,
                f"can never be shown in time: {proof.passes} passes of {check.id} take "
                f"{format_duration(needed)}, found {format_duration(within)}",
            )

    def _check_triggers(self, service: str, names: Sequence[str], at: At) -> None:
        seen: set[str] = set()
        for index, name in enumerate(names):
            place = (*at, index)
            known = self.checks.get(name)
            if name in seen:
                self.findings.complain(place, f"{plain(name)} is named twice")
            elif known is None and not self._of_failed(name):
                meant = f"; did you mean {name}.health?" if f"{name}.health" in self.checks else ""
                self._dangling(place, "check", name, self.checks, meant)
            elif known is not None and known[0].service != service:
                self.findings.complain(
                    place,
                    f"{name} is a check of {known[0].service}, expected one of {service}",
                )
            seen.add(name)

    def _check_times(
        self, settings: RollbackSettings, triggers: Sequence[str], at_least: int, at: At
    ) -> None:
        """Refuse times in which a trip, or a recovery, could never be seen."""
        known = [self.checks[name] for name in triggers if name in self.checks]
        if len(known) < len(triggers):
            return

        opening = sorted(_opens_after(check, endpoint) for check, endpoint in known)
        if known and opening[at_least - 1] > settings.when.within:
            self.findings.complain(
                (*at, "when", "within"),
                "can never trip: its checks need at least "
                f"{format_duration(opening[at_least - 1])} to open, "
                f"found {format_duration(settings.when.within)}",
            )
        for check, endpoint in known:
            needed = _closes_after(check, endpoint)
            if needed > settings.verify.within:
                self.findings.complain(
                    (*at, "verify", "within"),
                    f"recovery can never be seen in time: {check.id} needs "
                    f"{check.success_threshold} passes, at least {format_duration(needed)}, "
                    f"found {format_duration(settings.verify.within)}",
                )
                return

    def _of_failed(self, check: str) -> bool:
        """Whether an endpoint is named that is wrong itself; a check has one word or two."""
        endpoint = check.rpartition(".")[0]

        return not self.watched.failed.isdisjoint((endpoint, endpoint.rpartition(".")[0]))

    def _dangling(
        self, at: At, what: str, name: str, known: Mapping[str, object], meant: str = ""
    ) -> None:
        if not self.findings.document.complete:
            return  # it may be in the file that could not be read

        hint = meant or suggest(name, known)
        if not hint and known:
            hint = f", expected one such as {next(iter(known))}"
        self.findings.complain(at, f"unknown {what} {plain(name)}{hint}")


def _opens_after(check: Check, endpoint: Endpoint) -> timedelta:
    """How long after its first failing sample a check opens at the earliest."""
    fails = verdicts_to_open(check.failure_threshold)
    if isinstance(check.rule, WindowRule):
        return fails * check.rule.window

    return (fails - 1) * _pace(check, endpoint)


def _closes_after(check: Check, endpoint: Endpoint) -> timedelta:
    """How long after its first passing sample a check closes at the earliest."""
    if isinstance(check.rule, WindowRule):
        return check.success_threshold * check.rule.window

    return (check.success_threshold - 1) * _pace(check, endpoint)


def _pace(check: Check, endpoint: Endpoint) -> timedelta:
    """How soon one verdict follows another while a check is on its way up or down."""
    return endpoint.every if isinstance(check.rule, RateRule) else endpoint.retry_every
