"""From the settings of maintenance to its windows, and what services say that they depend on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from monitor.config.settings_maintenance import MaintenanceSettings
from monitor.config.suggest import suggest
from monitor.config.translate import kind_of
from monitor.core.expectations.shown import plain, quote
from monitor.core.heartbeats import cron_problem
from monitor.core.maintenance import exists, never_ends
from monitor.core.model.service import Maintenance
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from monitor.config.compile_endpoints import Watched
    from monitor.config.document import At
    from monitor.config.findings import Findings
    from monitor.core.model.service import Service

_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_FORMS: Final = "from and to, weekly, cron"


def read_maintenance(
    findings: Findings, data: object, services: Iterable[str], watched: Watched
) -> tuple[Maintenance, ...]:
    """Read each window; a service that it names has to exist."""
    at: At = ("maintenance",)
    if not isinstance(data, list):
        findings.complain(at, f"expected a list, found {kind_of(data)}")
        return ()

    known = {*services, *watched.services}
    windows = []
    for index, item in enumerate(data):
        place = (*at, index)
        settings = findings.read(MaintenanceSettings, item, place)
        if settings is None:
            continue
        check_names(findings, settings.services, (*place, "services"), known)
        window = _window(findings, settings, f"maintenance {index + 1}", place)
        if window is not None:
            windows.append(window)

    return tuple(windows)


def check_dependencies(
    findings: Findings, services: Mapping[str, Service], watched: Watched
) -> None:
    """Refuse what a service cannot depend on: what does not exist, and itself, over others too."""
    known = {*services, *watched.services}
    for name, service in services.items():
        at = ("services", name, "depends_on")
        check_names(findings, service.depends_on, at, known, but=name)

    seen: set[str] = set()
    for name in services:
        circle = _circle(name, services)
        if len(circle) > 1 and seen.isdisjoint(circle):
            way = " -> ".join((*circle, name))
            findings.complain(
                ("services", name, "depends_on"),
                f"a circle, of which nobody could say what is the cause: {plain(way)}",
            )
        seen.update(circle)


def check_names(
    findings: Findings, names: Iterable[str], at: At, known: set[str], *, but: str = ""
) -> None:
    """Complain about each service that does not exist, stands twice, or may not stand there."""
    seen: set[str] = set()
    for index, name in enumerate(names):
        place = (*at, index)
        if name in seen:
            findings.complain(place, f"{plain(name)} is named twice")
        elif name == but:
            findings.complain(place, f"{plain(name)} cannot depend on itself")
        elif name not in known and findings.document.complete:
            hint = suggest(name, known)
            if not hint and known:
                hint = f", expected one such as {min(known)}"
            findings.complain(place, f"unknown service {plain(name)}{hint}")
        seen.add(name)


def _circle(name: str, services: Mapping[str, Service]) -> tuple[str, ...]:
    """Give the shortest way from a service back to itself, itself first; empty: there is none."""
    ways: dict[str, tuple[str, ...]] = {name: (name,)}
    rest = [name]
    for current in rest:
        for other in _depends_on(current, services):
            if other == name:
                return ways[current]
            if other not in ways:
                ways[other] = (*ways[current], other)
                rest.append(other)

    return ()


def _depends_on(name: str, services: Mapping[str, Service]) -> Iterator[str]:
    service = services.get(name)

    yield from service.depends_on if service is not None else ()


def _window(
    findings: Findings, settings: MaintenanceSettings, name: str, at: At
) -> Maintenance | None:
    once = settings.starts is not None or settings.ends is not None
    forms = (once, settings.weekly is not None, settings.cron is not None)
    if sum(forms) != 1:
        findings.complain(at, f"expected exactly one of {_FORMS}")
        return None

    return _once(findings, settings, name, at) if once else _again(findings, settings, name, at)


def _once(
    findings: Findings, settings: MaintenanceSettings, name: str, at: At
) -> Maintenance | None:
    """Read a window that comes once; a time without an offset is that of the time zone."""
    before = len(findings.problems)
    for key, value in (("from", settings.starts), ("to", settings.ends)):
        if value is None:
            findings.complain(at, f"expected {key} as well")
        elif value.tzinfo is None and settings.timezone is None:
            findings.complain(
                (*at, key), "expected an offset such as +01:00 or Z behind it, or a timezone"
            )
    if settings.lasts is not None:
        findings.complain((*at, "for"), "to says already when it ends: remove one of them")
    starts, ends = settings.starts, settings.ends
    if len(findings.problems) > before or starts is None or ends is None:
        return None

    if settings.timezone is not None and starts.tzinfo is not None and ends.tzinfo is not None:
        findings.complain((*at, "timezone"), "from and to say their offsets themselves: remove it")
        return None

    zone = settings.timezone or UTC
    starts, ends = (one if one.tzinfo is not None else exists(one, zone) for one in (starts, ends))
    if ends <= starts:
        findings.complain((*at, "to"), f"expected a time after from, found {_text(ends)}")
        return None

    return Maintenance(
        name=name,
        services=frozenset(settings.services),
        starts_at=starts,
        ends_at=ends,
        zone=zone,
        reason=settings.reason,
    )


def _again(
    findings: Findings, settings: MaintenanceSettings, name: str, at: At
) -> Maintenance | None:
    """Read a window that comes again."""
    zone = settings.timezone or UTC
    key = "cron" if settings.weekly is None else "weekly"
    cron = settings.cron if settings.weekly is None else settings.weekly.cron
    assert cron is not None
    if problem := cron_problem(cron, zone, _MOMENT):
        findings.complain((*at, key), f"{problem}, such as 0 2 * * *; found {quote(cron)}")
        return None
    if settings.lasts is None:
        findings.complain((*at, key), "expected for as well: how long it lasts", key=True)
        return None

    window = Maintenance(
        name=name,
        services=frozenset(settings.services),
        cron=" ".join(cron.split()),
        zone=zone,
        lasts=settings.lasts,
        reason=settings.reason,
    )
    if never_ends(window, _MOMENT):
        lasts = format_duration(settings.lasts)
        findings.complain(
            (*at, "for"), f"it would never end: it begins again before {lasts} are over"
        )
        return None

    return window


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")
