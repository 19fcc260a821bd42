"""What waits too long: the fallback is told as well, and then it is said aloud."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core import outbox
from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.situation import Situation

_log = Log()

FAR_TOO_LATE: Final = timedelta(minutes=5)


class Overdue:
    """Knows which notifiers do not get through to anybody, so that it is said once."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._silent: set[str] = set()

    def look(self, notifiers: Iterable[str], now: datetime) -> None:
        """Log who has not been told for five minutes, and who is told again."""
        silent = set()
        for name in notifiers:
            incidents = self._situation.pending_incidents(name).values()
            waiting = [row for rows in incidents for row in rows.values()]
            late = [row for row in waiting if outbox.is_late(row, now, FAR_TOO_LATE)]
            if not late:
                continue
            silent.add(name)
            if name not in self._silent:
                oldest = min(row.queued_at for row in late)
                _log.error(
                    "notices_undelivered",
                    notifier=name,
                    undelivered=len(waiting),
                    oldest_seconds=round((now - oldest).total_seconds()),
                    error=next((row.last_error for row in late if row.last_error), ""),
                )
        for name in sorted(self._silent - silent):
            _log.info("notices_delivered_again", notifier=name)
        self._silent = silent
