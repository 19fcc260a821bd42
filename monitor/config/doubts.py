"""What is allowed in a configuration, and yet is likely to be regretted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from monitor.config.compile_routes import find_unmatched, find_used
from monitor.core.model.incident import IncidentClass
from monitor.core.model.rollback import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.config.compiled import Compiled
    from monitor.core.model.service import RollbackPolicy

SHORTEST_TOKEN: Final = 16
_NOBODY: Final = re.compile(r"\.invalid(?=[:/?]|$)", re.IGNORECASE)


def find_doubts(compiled: Compiled) -> tuple[str, ...]:
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

    return (*doubts, *_find_doubts_of_routes(compiled))


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


def _acts(policy: RollbackPolicy) -> bool:
    alone = (Mode.AUTOMATIC, Mode.COUNTDOWN)

    return policy.acts and any(mode in alone for mode in (policy.mode, *policy.modes.values()))
