"""The seam to receivers: what every kind of notifier does with one notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from monitor.core.model.notice import Delivery, Receipt


class Notifier(Protocol):
    """Tells one receiver. It never retries by itself: the outbox does."""

    async def deliver(self, delivery: Delivery, thread: str | None) -> Receipt:
        """Try once to tell one notice and say what became of it.

        `thread` is the reference that the last delivered notice of the same incident gave, None
        where there is none. An attempt whose outcome is not known is `TryAgain`; an exception
        counts as that too. The `reason` of a receipt is one of `monitor.core.outbox.Why`.
        """
        ...

    async def close(self) -> None:
        """Release connections; nothing is delivered afterwards."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierContext:
    """What a notifier is made with: the time, who we say we are, how secrets are masked."""

    clock: Callable[[], datetime]
    user_agent: str
    mask: Callable[[str], str]
