"""One message to bring, and the outbox rows that it settles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from monitor.core.model.notice import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One message to bring: a delivery, and the others that it tells as well.

    `row` is the outbox row whose key the message carries; `message` is what is sent, which differs
    from it where several are told together. `covers` are the other rows, oldest first: earlier
    ones of the same incident, or in a `digest` those of many.
    """

    row: Delivery
    message: Delivery
    covers: tuple[Delivery, ...] = ()
    digest: bool = False

    @property
    def rows(self) -> tuple[Delivery, ...]:
        """All rows that are settled when the message is delivered."""
        return (*self.covers, self.row)

    @property
    def not_before(self) -> datetime | None:
        """The earliest moment of the next attempt: the latest of its rows.

        A digest goes by the row whose key it carries: it is another message than theirs.
        """
        if self.digest:
            return self.row.not_before

        return latest_wait(self.rows)


def latest_wait(rows: Iterable[Delivery]) -> datetime | None:
    """Give until when all of these have to wait, None is not at all."""
    return max((row.not_before for row in rows if row.not_before), default=None)
