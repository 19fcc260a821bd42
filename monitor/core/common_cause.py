"""Common cause: services that begin to fail at one time hardly do so each for its own reason."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import wording
from monitor.core.model.incident import IncidentClass
from monitor.core.withholding import affected

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.core.model.incident import Incident
    from monitor.core.model.service import Directory
    from monitor.core.situation import Situation

LEAST: Final = 3
TOGETHER: Final = timedelta(minutes=5)
"""How long before others what has the same cause may have been seen failing: checks that are asked
seldom notice it that much later than others."""

_MOST_LOOKED_AT: Final = 500
"""Where more incidents are open, a notice about one of them does not look at each."""


def is_common(failing: int, services: int) -> bool:
    """Whether so many of all services hardly fail each for a reason of its own."""
    return failing >= LEAST and 2 * failing > services


def failing_since(moment: datetime, situation: Situation, *, but: str) -> dict[str, datetime]:
    """Give the services other than one that began to fail at a moment or after it, and when."""
    began: dict[str, datetime] = {}
    for incident in situation.open_incidents():
        if incident.klass is not IncidentClass.OUTAGE or incident.service == but:
            continue
        fresh = [
            one.since for one in incident.members if one.closed_at is None and one.since >= moment
        ]
        if fresh:
            began[incident.service] = min(fresh)

    return began


def common_cause(incident: Incident, directory: Directory, situation: Situation) -> str:
    """Say that an outage probably has a cause which others have too; empty where it is alone.

    Those that depend on it are no surprise.
    """
    services = len(directory.services)
    if incident.klass is not IncidentClass.OUTAGE or not incident.open:
        return ""
    if not is_common(situation.open_count, services) or situation.open_count > _MOST_LOOKED_AT:
        return ""

    others = failing_since(incident.since - TOGETHER, situation, but=incident.service)
    failing = len(others) + 1
    if not is_common(failing, services) or others.keys() <= {*affected(incident, situation)}:
        return ""

    return wording.common_cause(failing, services, min(incident.since, *others.values()))
