"""The notifier kind `log`: one structured line for each notice, which always arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.core.model.notice import Delivered
from monitor.fields import Kind, Options
from monitor.logs import Log
from monitor.notifiers.notifier import Manner

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Earlier, Receipt
    from monitor.notifiers.notifier import NotifierContext

_log = Log()


class LogOptions(Options):
    """There is nothing to choose."""


class LogNotifier:
    """Writes a notice to the log of the monitor itself."""

    def __init__(self, options: LogOptions, context: NotifierContext) -> None:
        """Need nothing more: the log masks secrets and tells the time by itself."""
        self.manner = Manner(digests=False)

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Write the line."""
        notice = delivery.notice
        _log.warning(
            "notice",
            notice=notice.event.value,
            headline=notice.headline,
            incident=notice.incident,
            **{"class": notice.klass.value},
            service=notice.service,
            environment=notice.environment,
            severity=notice.severity.value,
            phase=notice.phase.value,
            since=notice.since.isoformat(),
            checks=[member.check for member in notice.members],
            rollback=notice.rollback.state if notice.rollback else None,
            key=delivery.key,
        )

        return Delivered()

    async def close(self) -> None:
        """Hold nothing."""


KIND: Final = Kind(options=LogOptions, make=LogNotifier)
