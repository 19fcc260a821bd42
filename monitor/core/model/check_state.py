"""What the thresholds make of a check's verdicts so far."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from monitor.core.model.verdict import Outcome, Reason

Span = tuple[datetime, datetime]
"""From when until when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flapping:
    """A check that opens again and again: since its opening at `since` it opened so many times.

    `turned_at` is when it opened or closed last.
    """

    since: datetime
    openings: int
    turned_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckState:
    """The counters of one check; they survive restarts and one-shot runs.

    `state` is pass or unknown before the first opening, fail while open. `failing_since` is the
    first failing sample of the streak that is counted now, not the moment of crossing. `recent`
    holds the last N judged verdicts of a K-of-N threshold, oldest first, True for a fail, and
    `recent_fails` when those fails began.
    `blind` is set once the check was unknown for three intervals. `window_end` is the end of the
    last latency window that was judged. `judged` counts the verdicts since the start of the
    counts; `last_outcome`, `last_reasons` and `last_at` are of the newest verdict that was not
    waiting. `openings` are the times of its newest openings, oldest first; `flapping` is set while
    there are too many of them to tell each. `counted_since` is when the check came to mean what it
    means; `failed_windows` are the spans of windows that are no part of a baseline.
    """

    check: str
    fingerprint: str
    state: Outcome = Outcome.UNKNOWN
    consecutive_failures: int = 0
    consecutive_passes: int = 0
    consecutive_unknown: int = 0
    recent: tuple[bool, ...] = ()
    recent_fails: tuple[datetime, ...] = ()
    failing_since: datetime | None = None
    blind: bool = False
    unknown_since: datetime | None = None
    window_end: datetime | None = None
    judged: int = 0
    last_outcome: Outcome | None = None
    last_at: datetime | None = None
    last_reasons: tuple[Reason, ...] = ()
    openings: tuple[datetime, ...] = ()
    flapping: Flapping | None = None
    counted_since: datetime | None = None
    failed_windows: tuple[Span, ...] = ()

    @property
    def open(self) -> bool:
        """Whether the failure threshold was crossed and recovery is not proven yet."""
        return self.state is Outcome.FAIL


class Change(StrEnum):
    """What a verdict did to a check; one that changed is open still, for another cause.

    One that flaps pauses when it closes; it settled when it fails for good, or closes for good.
    """

    OPENED = "opened"
    CLOSED = "closed"
    WENT_BLIND = "went_blind"
    SEES_AGAIN = "sees_again"
    PAUSED = "paused"
    SETTLED = "settled"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEvent:
    """A check opened, closed, went blind or sees again, and why.

    `since` is the first failing (or unknown) sample; `failures` the fails in a row at opening.
    `flapping` is how it flaps with this.
    """

    change: Change
    check: str
    at: datetime
    since: datetime
    failures: int = 0
    reasons: tuple[Reason, ...] = ()
    flapping: Flapping | None = None
