"""What all sentences are made of: times, durations, names, reasons, each of bounded length."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.core.model.verdict import Reason

LONGEST_REASON: Final = 300
LONGEST_SENTENCE: Final = 600
LONGEST_TARGET: Final = 160
LONGEST_QUESTION: Final = 100
_NAMED_CHECKS: Final = 3


def time_text(at: datetime) -> str:
    """Write a time as `2026-07-01 03:04:05 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration_text(value: timedelta) -> str:
    """Write a duration for a sentence: `45 s`, `2 min`, `1 h 30 min`, `3 d 4 h`."""
    seconds = round(max(value, timedelta()) / timedelta(seconds=1))
    if seconds < 90:
        return f"{seconds} s"

    minutes = round(seconds / 60)
    days, hours, minutes = minutes // 1_440, minutes % 1_440 // 60, minutes % 60
    parts = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h")) if number]
    if not days and minutes:
        parts.append(f"{minutes} min")

    return " ".join(parts)


def reasons_text(reasons: Sequence[Reason]) -> str:
    """Say the first reason on one line of bounded length, and how many more there are."""
    if not reasons:
        return "no reason was given"

    text = one_line(reasons[0].message)

    return text if len(reasons) == 1 else f"{text} (and {len(reasons) - 1} more)"


def listed(checks: Sequence[str]) -> str:
    """Name the first checks, and say how many more there are."""
    if len(checks) > _NAMED_CHECKS:
        return f"{', '.join(checks[:_NAMED_CHECKS])} and {len(checks) - _NAMED_CHECKS} more"
    if len(checks) > 1:
        return f"{', '.join(checks[:-1])} and {checks[-1]}"

    return checks[0] if checks else "nothing"


def one_line(text: str, longest: int = LONGEST_REASON) -> str:
    """Put a text on one line, and shorten it."""
    text = " ".join(text.split())

    return text if len(text) <= longest else text[: longest - 1] + "…"


def as_sentence(text: str) -> str:
    """Put a sentence on one line of bounded length."""
    return one_line(text, LONGEST_SENTENCE)
