"""From the settings of routes to routes: each name checked, and each one that nothing reaches."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple

from monitor.config.settings_routes import RouteSettings
from monitor.config.translate import kind_of, step_into
from monitor.core.expectations.shown import plain
from monitor.core.incidents import MONITOR_SERVICE
from monitor.core.model.endpoint import Severity
from monitor.core.model.incident import IncidentClass
from monitor.core.model.service import Escalation, Route
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from monitor.config.document import At
    from monitor.config.findings import Findings

_ANY_OTHER: Final = ""
"""Stands for all services that no route names."""


class Sort(NamedTuple):
    """Incidents that all routes treat alike."""

    severity: Severity
    service: str
    klass: IncidentClass


def read_routes(
    findings: Findings, data: object, services: set[str], notifiers: object
) -> tuple[Route, ...]:
    """Read each route; what it names has to exist, and something has to reach it."""
    at: At = ("routes",)
    if not isinstance(data, list):
        findings.complain(at, f"expected a list, found {kind_of(data)}")
        return ()

    before = len(findings.problems)
    known = notifiers if isinstance(notifiers, dict) else {}
    served = dict.fromkeys((*sorted(services), MONITOR_SERVICE))
    routes = []
    for index, item in enumerate(data):
        place = (*at, index)
        settings, whole = findings.read_partly(RouteSettings, item, place)
        if settings is None:
            continue
        route = _route(f"route {index + 1}", settings)
        _check_services(findings, settings.match.service, place, served)
        _check_notifiers(findings, settings, place, known)
        if whole:
            _check_escalation(findings, route, place)
        routes.append(route)

    if len(findings.problems) == before and findings.document.complete:
        _check_reach(findings, routes, services)

    return tuple(routes)


def find_unmatched(routes: Sequence[Route], services: Iterable[str]) -> tuple[Sort, ...]:
    """Give the incidents that no route matches; the service is empty for those that none names."""
    rest = _sorts(routes, services)
    for route in routes:
        rest -= {sort for sort in rest if _matches(route, sort)}

    ranks = list(IncidentClass)

    return tuple(
        sorted(rest, key=lambda one: (one.severity.rank, one.service, ranks.index(one.klass)))
    )


def find_used(routes: Iterable[Route]) -> set[str]:
    """Name the notifiers to which any route leads."""
    used: set[str] = set()
    for route in routes:
        used.update(route.notify, *(step.notify for step in route.escalate))
        if route.fallback is not None:
            used.add(route.fallback)

    return used


def _route(name: str, settings: RouteSettings) -> Route:
    steps = sorted(settings.escalate, key=lambda step: step.after)

    return Route(
        name=name,
        notify=tuple(settings.notify),
        severities=frozenset(settings.match.severity),
        services=frozenset(settings.match.service),
        classes=frozenset(settings.match.klass),
        go_on=settings.go_on,
        fallback=settings.fallback,
        remind_every=settings.remind_every,
        escalate=tuple(Escalation(after=step.after, notify=tuple(step.notify)) for step in steps),
    )


def _check_services(
    findings: Findings, names: Sequence[str], at: At, known: Mapping[str, object]
) -> None:
    for place, name in _each(findings, names, (*at, "match", "service")):
        if name not in known:
            findings.dangling(place, "service", name, known)


def _check_notifiers(
    findings: Findings, settings: RouteSettings, at: At, known: Mapping[str, object]
) -> None:
    named = list(_each(findings, settings.notify, (*at, "notify")))
    for index, step in enumerate(settings.escalate):
        named += _each(findings, step.notify, (*at, "escalate", index, "notify"))
    if settings.fallback is not None:
        named.append(((*at, "fallback"), settings.fallback))
        if settings.fallback in settings.notify:
            findings.complain(
                (*at, "fallback"),
                f"{plain(settings.fallback)} is told by this route anyway: "
                "expected another notifier",
            )
    for place, name in named:
        if name not in known:
            findings.dangling(place, "notifier", name, known)


def _each(findings: Findings, names: Sequence[str], at: At) -> Iterator[tuple[At, str]]:
    """Give each name once with its place, and complain about a second time."""
    alone = not isinstance(_value(findings, at), list)
    seen: set[str] = set()
    for index, name in enumerate(names):
        place = at if alone else (*at, index)
        if name in seen:
            findings.complain(place, f"{plain(name)} is named twice")
        else:
            yield place, name
        seen.add(name)


def _value(findings: Findings, at: At) -> object:
    """Give what is written at a place."""
    data: object = findings.document.data
    for step in at:
        inner = step_into(data, step)
        if inner is None:
            return None
        data = inner[0]

    return data


def _check_escalation(findings: Findings, route: Route, at: At) -> None:
    times = [step.after for step in route.escalate]
    for after in {one for one in times if times.count(one) > 1}:
        findings.complain(
            (*at, "escalate"),
            f"two steps come after {format_duration(after)}: expected one with all whom it tells",
        )


def _check_reach(findings: Findings, routes: Sequence[Route], services: set[str]) -> None:
    """Complain about each route that no incident can ever come to, and say why."""
    everything = _sorts(routes, services)
    rest = set(everything)
    for index, route in enumerate(routes):
        at = ("routes", index)
        wanted = {sort for sort in everything if _matches(route, sort)}
        if not wanted:
            findings.complain(
                (*at, "match"),
                f"nothing ever matches: class {IncidentClass.MONITOR} is what happens to "
                f"{MONITOR_SERVICE} itself, and nothing else does",
            )
        elif not wanted & rest:
            findings.complain(
                at,
                f"nothing ever comes here: {_takers(wanted, routes[:index])} all that it matches; "
                "put this one before, or say continue: true there",
            )
        if not route.go_on:
            rest -= wanted


def _takers(wanted: set[Sort], earlier: Sequence[Route]) -> str:
    """Name the routes that end where a later one would begin: one that does so alone, or all."""
    taking = {
        route.name: {sort for sort in wanted if _matches(route, sort)}
        for route in earlier
        if not route.go_on
    }
    alone = next((name for name, taken in taking.items() if taken == wanted), None)
    names = [name for name, taken in taking.items() if taken]

    return f"{alone} takes" if alone else f"{', '.join(names)} take"


def _sorts(routes: Sequence[Route], services: Iterable[str]) -> set[Sort]:
    """Give the incidents that there can be, one for all that are alike to the routes."""
    named = {name for route in routes for name in route.services}
    known = set(services)
    watched = {*(named & known), *({_ANY_OTHER} if known - named else ())}
    sorts = {
        Sort(severity, service, klass)
        for severity, service, klass in product(
            Severity, watched, (IncidentClass.OUTAGE, IncidentClass.FINDING)
        )
    }

    return sorts | {Sort(severity, MONITOR_SERVICE, IncidentClass.MONITOR) for severity in Severity}


def _matches(route: Route, sort: Sort) -> bool:
    return (
        (not route.severities or sort.severity in route.severities)
        and (not route.services or sort.service in route.services)
        and (not route.classes or sort.klass in route.classes)
    )
