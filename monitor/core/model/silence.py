"""Silences: what people asked not to be told of for a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.endpoint import Severity
    from monitor.core.model.incident import Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Somebody does not want to hear of some incidents until `ends_at`.

    It holds for `services`, or for all where none is named, and for `severities` alike. One that
    was removed has ended early: `ends_at` is then when that was, and `removed_by` who did it.
    """

    id: str
    services: tuple[str, ...]
    severities: tuple[Severity, ...]
    starts_at: datetime
    ends_at: datetime
    by: str
    reason: str = ""
    removed_by: str = ""

    def active(self, now: datetime) -> bool:
        """Whether it holds at this moment."""
        return self.starts_at <= now < self.ends_at

    def covers(self, incident: Incident) -> bool:
        """Whether it is about an incident."""
        return (not self.services or incident.service in self.services) and (
            not self.severities or incident.severity in self.severities
        )
