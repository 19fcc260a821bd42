"""From the settings of services to the directory: contacts, versions and rollback policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.config.compile_rollbacks import PolicyCompiler
from monitor.config.settings import ServiceSettings
from monitor.config.settings_checklists import ChecklistSettings
from monitor.config.settings_evidence import read_evidence
from monitor.config.settings_fields import name_problem
from monitor.config.suggest import closest
from monitor.core.expectations.json_body import PathError, compile_path
from monitor.core.expectations.shown import quote
from monitor.core.model.notice import Contact, Link
from monitor.core.model.service import Service, Targets, VersionSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.config.compile_endpoints import Watched
    from monitor.config.compiled import Plugin
    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.config.settings import VersionSettings
    from monitor.core.model.checklist import Item, Stage
    from monitor.fields import Kind
    from monitor.runner.evidence import EvidenceCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Every service, declared or only named by an endpoint, the hooks of steps, and evidence."""

    services: Mapping[str, Service]
    hooks: Mapping[str, tuple[Plugin, ...]]
    evidence: Mapping[str, Mapping[str, EvidenceCommand]]


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

    return Served(services=services, hooks=compiler.policies.hooks, evidence=compiler.evidence)


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
        self.policies = PolicyCompiler(findings, watched, kinds)
        self.evidence: dict[str, Mapping[str, EvidenceCommand]] = {}

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
        if evidence := read_evidence(self.findings, settings.evidence, (*at, "evidence")):
            self.evidence[name] = evidence
        links = {"runbook": settings.runbook} if settings.runbook else {}
        policies = {
            key: self.policies.policy(name, one, (*at, key), whole=whole)
            for key, one in (("rollback", settings.rollback), ("remedy", settings.remedy))
            if one is not None
        }

        return Service(
            name=name,
            description=settings.description,
            contacts=tuple(Contact(role=role, name=who) for role, who in settings.contacts.items()),
            links=tuple(Link(name=link, url=url) for link, url in (links | settings.links).items()),
            depends_on=tuple(settings.depends_on),
            targets=Targets(
                acknowledge=settings.targets.acknowledge, resolve=settings.targets.resolve
            ),
            checklist=self._checklist(settings.checklist, (*at, "checklist")),
            evidence=tuple(evidence),
            version=self._version(name, settings.version, at) if settings.version else None,
            rollback=policies.get("rollback"),
            remedy=policies.get("remedy"),
        )

    def _checklist(self, written: object, at: At) -> Mapping[Stage, tuple[Item, ...]]:
        if written is None:
            return {}

        settings = self.findings.read(ChecklistSettings, written, at)

        return settings.items if settings is not None else {}

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
            self.findings.dangling(
                (*at, "endpoint"), "endpoint", settings.endpoint, self.watched.endpoints
            )
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
