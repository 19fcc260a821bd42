"""Who is told of an incident: by its routes, and by what was told of it before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.notice import DeliveryState
from monitor.core.model.service import Route

if TYPE_CHECKING:
    from monitor.core.model.incident import Incident
    from monitor.core.model.notice import Notice
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation

EVERYBODY: Final = "everybody"
"""The name of the route that there is where no other matches."""


def find_routes(about: Incident | Notice, directory: Directory) -> tuple[Route, ...]:
    """Give the routes of an incident: those that go on, and the first that does not.

    Where none matches, every notifier is told: an alert is never lost.
    """
    found = []
    for route in directory.routes:
        if matches(route, about):
            found.append(route)
            if not route.go_on:
                break

    return tuple(found) or (Route(name=EVERYBODY, notify=directory.notifiers),)


def matches(route: Route, about: Incident | Notice) -> bool:
    """Whether a route is for an incident as it stands."""
    return (
        (not route.severities or about.severity in route.severities)
        and (not route.services or about.service in route.services)
        and (not route.classes or about.klass in route.classes)
    )


def find_receivers(about: Incident | Notice, directory: Directory) -> tuple[str, ...]:
    """Name the notifiers that are told of an incident at once, each once."""
    if not directory.notifiers:  # a run that tells nobody
        return ()

    routes = find_routes(about, directory)

    return tuple(dict.fromkeys(name for route in routes for name in route.notify))


def find_fallback(notifier: str, about: Incident | Notice, directory: Directory) -> str | None:
    """Name who is told of an incident what a notifier could not, by the first route that says."""
    for route in find_routes(about, directory):
        told = {*route.notify, *(name for step in route.escalate for name in step.notify)}
        if notifier in told and route.fallback not in (None, notifier):
            return route.fallback

    return None


def find_told(incident: str, directory: Directory, situation: Situation) -> tuple[str, ...]:
    """Name the notifiers that were told anything of an incident, or will be, each once.

    A dead letter told nobody, and who is no notifier any more counts as nobody.
    """
    told = (
        row.notifier
        for row in situation.deliveries_of(incident)
        if row.state is not DeliveryState.DEAD and row.notifier in directory.notifiers
    )

    return tuple(dict.fromkeys(told))
