"""The seam to receivers: what every kind of notifier does with one notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from monitor.core.model.notice import Delivery, Receipt


class Notifier(Protocol):
    """Tells one receiver. It never retries by itself: the outbox does."""

    async def deliver(self, delivery: Delivery, thread: str | None) -> Receipt:
        """Try once to tell one notice and say what became of it.

        `thread` is the receiver's reference of the incident's first message, None where there is
        none. An attempt whose outcome is not known is `TryAgain`; an exception counts as that too.
        """
        ...

    async def close(self) -> None:
        """Release connections; nothing is delivered afterwards."""
        ...
