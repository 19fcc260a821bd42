"""How fast a receiver may be told: a bucket of tokens, as one number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monitor.core.model.notice import DeliveryState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from monitor.core.model.notice import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A message takes `every` seconds to come back, and up to `burst` of them are there at once.

    `full_at` is when all of them are there again, on the clock of whoever asks.
    """

    every: float
    burst: int
    full_at: float = float("-inf")

    def wait(self, now: float) -> float:
        """Give how many seconds it is until the next message may be sent."""
        return max(self.full_at - (self.burst - 1) * self.every - now, 0.0)

    def spend(self, now: float) -> Pace:
        """Give what is left after a message."""
        return replace(self, full_at=max(self.full_at, now) + self.every)


def newest_told(deliveries: Iterable[Delivery], notifier: str, count: int) -> list[datetime]:
    """Give when the newest messages to a receiver arrived, oldest first, at most so many.

    What was told in the message of another was no message.
    """
    told = sorted(
        row.delivered_at
        for row in deliveries
        if row.notifier == notifier
        and row.state is DeliveryState.DELIVERED
        and row.delivered_at is not None
        and row.told_in in ("", row.id)
    )

    return told[-count:]


def resume(every: timedelta, burst: int, told: Iterable[datetime], now: datetime) -> Pace:
    """Give the pace of a receiver that was told at these times, on a clock that shows 0 now."""
    pace = Pace(every=every.total_seconds(), burst=max(burst, 1))
    for at in told:
        pace = pace.spend(-max((now - at).total_seconds(), 0.0))

    return pace
