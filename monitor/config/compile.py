"""From a document to a compiled configuration, or to every mistake in it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from monitor.config.compile_endpoints import compile_endpoints
from monitor.config.compile_maintenance import check_dependencies, read_maintenance
from monitor.config.compile_routes import read_routes
from monitor.config.compile_sections import (
    read_notifiers,
    read_pace,
    read_store,
    read_web,
    read_witnesses,
)
from monitor.config.compile_services import compile_services
from monitor.config.compiled import Compiled, Token, WebSettings, find_ping_keys, pack
from monitor.config.findings import Findings
from monitor.config.masking import show
from monitor.config.settings import TopSection, WebSection
from monitor.core.model.service import Directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitor.config.compile_services import Served
    from monitor.config.compiled import Plugin
    from monitor.config.document import At, Document, Problem
    from monitor.fields import Options
    from monitor.options import Secret

_SECTIONS: Final = (
    "web",
    "defaults",
    "witnesses",
    "notifiers",
    "services",
    "endpoints",
    "maintenance",
    "routes",
    "include",
)
_EXAMPLE: Final = "shop: https://shop.example/"


def compile_document(
    document: Document, *, environ: Mapping[str, str], cwd: Path
) -> tuple[Compiled | None, tuple[Problem, ...]]:
    """Check a whole document and compile it; None if anything is wrong with it.

    The problems are the reader's and our own, by file and position. What rests on a variable that
    is unset, and allowed to be, is left out.
    """
    from monitor import hooks, notifiers, probes

    findings = Findings(document, cwd)
    data = _with_content(document)
    top = findings.read_partly(TopSection, data, ())[0] or TopSection()
    web = read_web(findings, data)
    pace = read_pace(findings, data, environ)
    witnesses = read_witnesses(findings, data.get("witnesses", []))
    told = read_notifiers(findings, data, notifiers.KINDS)
    watched = compile_endpoints(findings, _endpoints(findings, data), probes.KINDS, pace)
    services = findings.mapping(data.get("services"), ("services",))
    served = compile_services(findings, services, watched, hooks.KINDS)
    check_dependencies(findings, served.services, watched)
    calm = data.get("maintenance", [])
    windows = read_maintenance(findings, calm, served.services, watched)
    known = {*served.services, *watched.services}
    routes = read_routes(findings, data.get("routes", []), known, data.get("notifiers"))
    store = read_store(findings, top.store, environ, cwd)

    problems = (*document.problems, *findings.problems)
    if problems:
        return None, tuple(sorted(problems, key=_place))

    secrets = _secrets(watched.probes, told, served, web)
    compiled = Compiled(
        files=document.files,
        endpoints=tuple(watched.endpoints.values()),
        directory=Directory(
            environment=top.environment,
            location=top.location,
            services=served.services,
            notifiers=tuple(told),
            public_url=(web.public_url or "").rstrip("/"),
            maintenance=windows,
            routes=routes,
        ),
        probes=watched.probes,
        notifiers=told,
        hooks=served.hooks,
        evidence=served.evidence,
        witnesses=witnesses,
        store=store,
        retention=top.retention,
        web=_web(web),
        every=pace.every,
        ping_keys=find_ping_keys(watched.probes),
        secrets=(*document.secrets, *chain.from_iterable(secrets.values())),
        written=pack(show(document, secrets)),
    )

    return compiled, ()


def locate_store(document: Document, *, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """Say where the store is, as far as a document that may be wrong elsewhere tells."""
    findings = Findings(document, cwd)
    url = document.data.get("store")
    if not document.complete or findings.unsettled(("store",)) or not isinstance(url, str | None):
        return None

    store = read_store(findings, url, environ, cwd)

    return None if findings.problems else store


def _with_content(document: Document) -> dict[str, object]:
    """Leave out sections without content: all in them may be commented out."""
    return {
        key: value
        for key, value in document.data.items()
        if value is not None or key not in _SECTIONS
    }


def _endpoints(findings: Findings, data: Mapping[str, object]) -> dict[str, object]:
    """Give what is watched; nothing at all is a mistake."""
    at: At = ("endpoints",)
    if not data.get("endpoints", {}) and findings.document.complete:
        findings.complain(
            at,
            f"nothing is watched: expected at least one endpoint such as {_EXAMPLE}",
            key=True,
        )
        return {}

    return findings.mapping(data.get("endpoints"), at)


def _web(section: WebSection) -> WebSettings:
    return WebSettings(
        host=section.listen[0],
        port=section.listen[1],
        tokens=tuple(
            Token(name=token.name, scope=token.scope, secret=token.token)
            for token in section.tokens
        ),
        open=frozenset(str(word) for word in section.open),
    )


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column


def _run_for(service: str, served: Served) -> tuple[Options, ...]:
    """Give the options of all that is run for a service."""
    steps = tuple(step.options for step in served.hooks.get(service, ()))

    return (*steps, *served.evidence.get(service, {}).values())


def _secrets(
    probes: Mapping[str, Plugin],
    notifiers: Mapping[str, Plugin],
    served: Served,
    web: WebSection,
) -> dict[At, tuple[Secret, ...]]:
    """Give what is secret, by the part of the tree in which it stands."""
    found: dict[At, tuple[Secret, ...]] = {
        ("endpoints", name): plugin.options.secrets for name, plugin in probes.items()
    }
    found |= {("notifiers", name): plugin.options.secrets for name, plugin in notifiers.items()}
    for name in served.services:
        options = _run_for(name, served)
        found["services", name] = tuple(chain.from_iterable(one.secrets for one in options))
    found["web",] = tuple(token.token for token in web.tokens)

    return {at: secrets for at, secrets in found.items() if secrets}
