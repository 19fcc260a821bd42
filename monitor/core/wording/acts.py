"""The sentences about what people did: who took an incident on, noted something, or ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.core.wording.phrases import as_sentence, duration_text, listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.model.incident import Incident, IncidentPhase


def acknowledged(who: str) -> str:
    """Say who has taken an incident on."""
    return as_sentence(f"{who} has taken it on")


def noted(who: str, text: str) -> str:
    """Say what a person wants others to know of an incident."""
    return as_sentence(f"{who} notes: {text}")


def moved_on(phase: IncidentPhase, text: str) -> str:
    """Say in which phase an incident is by what a person knows."""
    return f"{phase}: {text}"


def ended_by(incident: Incident, who: str, reason: str, *, at: datetime) -> str:
    """Say that a person ended an incident, why, and what is not over by that."""
    lasted = duration_text(at - incident.since)
    subject = f"{incident.service}: {incident.title}" if incident.title else incident.service
    still = [member.check for member in incident.members if member.closed_at is None]
    parts = [f"{subject}: {who} has closed the incident after {lasted}"]
    if reason:
        parts.append(reason)
    if still:
        parts.append(f"{listed(still)} still {'fails' if len(still) == 1 else 'fail'}")

    return as_sentence("; ".join(parts))


def labelled(labels: Sequence[str]) -> str:
    """Say what an incident is labelled with now."""
    return as_sentence(f"labelled {', '.join(labels)}" if labels else "the labels were removed")
