"""What is allowed in a configuration, and yet is likely to be regretted."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from monitor.config.compile_routes import find_unmatched, find_used
from monitor.core.model.endpoint import Signal
from monitor.core.model.incident import IncidentClass
from monitor.core.model.rollback import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from monitor.config.compiled import Compiled
    from monitor.core.model.endpoint import Severity
    from monitor.core.model.service import Maintenance, RollbackPolicy

SHORTEST_TOKEN: Final = 16
_FINDINGS: Final = (Signal.HEADERS, Signal.CERTIFICATE)
_NOBODY: Final = re.compile(r"\.invalid(?=[:/?]|$)", re.IGNORECASE)


def find_doubts(compiled: Compiled, now: datetime | None = None) -> tuple[str, ...]:
    """Say of each what may come of it; a secret is never shown."""
    doubts = [
        f"web.tokens: the token of {token.name} has fewer than {SHORTEST_TOKEN} characters, "
        "so it may be guessed: `openssl rand -hex 16` makes a good one"
        for token in compiled.web.tokens
        if len(token.secret.current) < SHORTEST_TOKEN
    ]
    services = compiled.directory.services.values()
    automatic = [one.name for one in services if any(map(_acts, one.policies))]
    if automatic and not compiled.witnesses:
        many = f" and {len(automatic) - 1} more" if len(automatic) > 1 else ""
        doubts.append(
            f"witnesses: there are none, and {automatic[0]}{many} is rolled back automatically: "
            "a network of the monitor's own that fails may look like a bad deploy"
        )

    if automatic and not compiled.notifiers:
        doubts.append(
            f"notifiers: there are none, and {automatic[0]} is rolled back automatically: "
            "nobody is told of it, nor where a person has to act"
        )
    if stand_ins := [one.name for one in compiled.endpoints if _NOBODY.search(one.target)]:
        many = f" and {len(stand_ins) - 1} more" if len(stand_ins) > 1 else ""
        doubts.append(
            f"endpoints: {stand_ins[0]}{many} would ask under .invalid, where there is nothing "
            "(RFC 2606): put your target in its place"
        )

    return (
        *doubts,
        *_find_doubts_of_routes(compiled),
        *_find_doubts_of_maintenance(compiled.directory.maintenance, now or datetime.now(UTC)),
        *_find_doubts_of_dependencies(compiled),
    )


def _find_doubts_of_routes(compiled: Compiled) -> Iterator[str]:
    """Say what comes to everybody since no route is for it, else who is never told anything."""
    routes = compiled.directory.routes
    services = {*compiled.directory.services, *(one.service for one in compiled.endpoints)}
    if not routes:
        return

    unmatched = find_unmatched(routes, services)
    if unmatched:
        first = unmatched[0]
        about = f"a {first.severity} {first.klass} of {first.service or 'any other service'}"
        if first.klass is IncidentClass.MONITOR:
            about = f"{first.severity} trouble of the monitor itself"
        more = f" (and {len(unmatched) - 1} other sorts of incidents)" if unmatched[1:] else ""
        yield (
            f"routes: none is for {about}{more}, of which every notifier is told then: "
            "a last route without match says who is meant"
        )
        return

    for name in compiled.notifiers:
        if name not in find_used(routes):
            yield f"notifiers.{name}: no route leads to it, so it is never told anything"


def _find_doubts_of_maintenance(windows: Iterable[Maintenance], now: datetime) -> Iterator[str]:
    """Name the windows that are over for good."""
    for window in windows:
        if window.ends_at is not None and window.ends_at <= now:
            why = f" ({window.reason})" if window.reason else ""
            ended = window.ends_at.isoformat(timespec="minutes")
            yield f"maintenance: {window.name}{why} was over at {ended}: remove it"


def _find_doubts_of_dependencies(compiled: Compiled) -> Iterator[str]:
    """Say where the outage of a service is withheld by one that is told as less bad."""
    worst: dict[str, Severity] = {}
    for endpoint in compiled.endpoints:
        for check in endpoint.checks:
            if check.signal not in _FINDINGS:
                known = worst.get(check.service, check.severity)
                worst[check.service] = min(known, check.severity, key=lambda one: one.rank)

    milder = [
        (name, other)
        for name, others in compiled.directory.beneath.items()
        for other in others
        if name in worst and other in worst and worst[name].rank < worst[other].rank
    ]
    if milder:
        (name, other), more = milder[0], len(milder) - 1
        yield (
            f"services.{name}.depends_on: an outage of {other} is told as {worst[other]} at most, "
            f"and withholds one of {name}, which may be {worst[name]}"
            + (f" (and {more} others alike)" if more else "")
            + f": raise the severity of a check of {other}"
        )


def _acts(policy: RollbackPolicy) -> bool:
    alone = (Mode.AUTOMATIC, Mode.COUNTDOWN)

    return policy.acts and any(mode in alone for mode in (policy.mode, *policy.modes.values()))
