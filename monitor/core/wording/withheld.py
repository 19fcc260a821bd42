"""The sentences about what people are not told of for now: why, until when, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.wording.phrases import as_sentence, duration_text, one_line, time_text

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from monitor.core.model.incident import Incident
    from monitor.core.model.service import Maintenance
    from monitor.core.model.silence import Silence


def by_dependency(incident: Incident) -> str:
    """Say that another service is the reason."""
    return f"{incident.service}, on which it depends, has an outage ({incident.id})"


def by_maintenance(window: Maintenance, until: datetime) -> str:
    """Say that maintenance is the reason."""
    return f"{maintenance(window)} lasts until {time_text(until)}"


def maintenance(window: Maintenance) -> str:
    """Name a maintenance window, with its reason where it has one."""
    return f"{window.name} ({one_line(window.reason)})" if window.reason else window.name


def by_silence(silence: Silence) -> str:
    """Say that somebody asked for silence."""
    why = f" ({one_line(silence.reason)})" if silence.reason else ""

    return f"{one_line(silence.by)} silenced it until {time_text(silence.ends_at)}{why}"


def withheld(why: str) -> str:
    """Say that nobody is told for now."""
    return as_sentence(f"people are not told for now: {why}")


def released(what: str, held: timedelta) -> str:
    """Say that people are told again of what still fails."""
    return as_sentence(f"{what}, and it still fails; nothing was told for {duration_text(held)}")


def affects(incident: Incident) -> str:
    """Say in the incident of a dependency that a service which depends on it fails as well."""
    return as_sentence(
        f"{incident.service}, which depends on it, fails as well ({incident.severity}, "
        f"since {time_text(incident.since)})"
    )


def common_cause(failing: int, services: int, since: datetime) -> str:
    """Say that so many services began to fail at one time."""
    return f"{failing} of {services} services fail since {time_text(since)}"
