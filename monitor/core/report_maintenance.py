"""Maintenance as JSON: which windows are open, until when, and when they come next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monitor.core.maintenance import active, coming

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.service import Maintenance


def maintenance_json(window: Maintenance, now: datetime) -> dict[str, Any]:
    """Write a window; no `services` are all, and `next` is null for what never comes again."""
    return {
        "name": window.name,
        "services": sorted(window.services),
        "reason": window.reason,
        "active": _span(active(window, now)),
        "next": _span(coming(window, now)),
    }


def _span(span: tuple[datetime, datetime] | None) -> dict[str, str] | None:
    if span is None:
        return None

    return {"since": span[0].isoformat(), "until": span[1].isoformat()}
