"""What is said first of many incidents at once, and of a notice that could not be told."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.notice import NoticeEvent
from monitor.core.wording.phrases import duration_text
from monitor.core.wording.rollbacks import without_rollback

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.core.model.notice import DigestLine, Notice

_BEGINNINGS: Final = (NoticeEvent.OPENED, NoticeEvent.BLIND)
_MOST_SERVICES: Final = 5


def digest_headline(lines: Sequence[DigestLine]) -> str:
    """Say how much happened within what time, how bad it is, and where, the worst first."""
    begun = [line for line in lines if line.event in _BEGINNINGS]
    ended = [line for line in lines if line.event is NoticeEvent.RESOLVED]
    rest = len(lines) - len(begun) - len(ended)
    parts = []
    if begun:
        parts.append(f"{_count(begun)}{_span(begun)}{_severities(begun)}{_how_many_over(begun)}")
    if ended:
        parts.append(f"{_count(ended)} {'are' if len(ended) > 1 else 'is'} over")
    if rest:
        parts.append(f"{rest} more {'changes' if rest > 1 else 'change'}")

    return f"{'; '.join(parts)}: {_services(lines)}"


def instead(notice: Notice, why: str) -> str:
    """Give the headline of a notice that tells somebody else as well why it came to them."""
    what = without_rollback(notice)

    return f"{what} ({why}){notice.headline[len(what) :]}"


def _count(lines: Sequence[DigestLine]) -> str:
    return f"{len(lines)} incident{'s' if len(lines) > 1 else ''}"


def _span(lines: Sequence[DigestLine]) -> str:
    times = [line.at for line in lines]
    lasted = max(times) - min(times)

    return f" in {duration_text(max(lasted, timedelta(seconds=1)))}" if len(lines) > 1 else ""


def _severities(lines: Iterable[DigestLine]) -> str:
    counts = Counter(line.severity for line in lines)
    named = [f"{counts[one]} {one}" for one in sorted(counts, key=lambda one: one.rank)]

    return f" ({', '.join(named)})"


def _how_many_over(begun: Sequence[DigestLine]) -> str:
    over = sum(line.resolved_at is not None for line in begun)
    if not over:
        return ""

    return ", all over" if over == len(begun) else f", {over} of them over"


def _services(lines: Iterable[DigestLine]) -> str:
    names = list(dict.fromkeys(line.service for line in lines))
    shown = ", ".join(names[:_MOST_SERVICES])
    more = len(names) - _MOST_SERVICES

    return f"{shown} and {more} more" if more > 0 else shown
