"""The seam to receivers: what every kind of notifier does with one notice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from monitor.core.model.notice import Delivered, Delivery, Earlier, Receipt
    from monitor.runner.tied import Commands


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a receiver wants to be told.

    People read what takes `digests`: when very much happens they get one message about all of it;
    a program is told each notice by itself. Messages follow each other `every` so long in the mean,
    up to `burst` of them at once. What `tracks` keeps each incident open until it is told of the
    end: only beginnings are digested.
    """

    digests: bool
    every: timedelta = timedelta()
    burst: int = 1
    tracks: bool = False


class Notifier(Protocol):
    """Tells one receiver. It never retries by itself: the outbox does."""

    @property
    def manner(self) -> Manner:
        """How fast it may be told, and whether in digests."""
        ...

    async def deliver(self, delivery: Delivery, earlier: Earlier) -> Receipt:
        """Try once to tell one notice and say what became of it.

        `earlier` is what the receiver has of the same incident. An attempt whose outcome is not
        known is `TryAgain`; an exception counts as that too. The `reason` of a receipt is one of
        `monitor.core.outbox.Why`.
        """
        ...

    async def close(self) -> None:
        """Release connections; nothing is delivered afterwards."""
        ...


@runtime_checkable
class Reconciling(Protocol):
    """A notifier whose receiver can say whether it has a message."""

    async def find(self, delivery: Delivery, earlier: Earlier) -> Delivered | None:
        """Look for a message that may have arrived; None where it has not, or nobody can say.

        It is asked before a delivery that is `maybe_sent` is sent again.
        """
        ...


@runtime_checkable
class Lasting(Protocol):
    """A notifier whose receiver forgets what it is not told again."""

    async def upkeep(self, standing: Sequence[Delivery]) -> None:
        """Tell again what it has, one delivery for each incident: the newest of it.

        It is what goes on, and what ended a short time ago. It is called each minute.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierContext:
    """What a notifier is made with: the time, who we say we are, how secrets are masked.

    `name` is its own. `commands` is how commands are run; None where each sees to that itself.
    """

    clock: Callable[[], datetime]
    user_agent: str
    mask: Callable[[str], str]
    name: str = ""
    commands: Commands | None = None
