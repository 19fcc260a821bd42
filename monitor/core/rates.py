"""Failure rates: the share of health verdicts in a sliding time that failed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Code
from monitor.core.model.verdict import Outcome, Reason, Verdict
from monitor.options import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime, timedelta

    from monitor.core.model.endpoint import RateRule

_DIGITS: Final = 9
"""Of a product of a ratio and a count: 7 % of 100 is 7, whatever floating point says."""


class SlidingShare:
    """The judged verdicts of scheduled probes in a sliding time, oldest first.

    A verdict counts for less than `over` after its probe was started: with one probe in 30 s, five
    minutes hold ten.
    """

    __slots__ = ("_failed", "_seen")

    def __init__(self, seen: Iterable[tuple[datetime, bool]] = ()) -> None:
        self._seen = deque(sorted(seen))
        self._failed = sum(failed for _, failed in self._seen)

    def __len__(self) -> int:
        return len(self._seen)

    def take(self, rule: RateRule, at: datetime, failed: bool) -> Verdict:
        """Take one verdict, True for a fail, and judge the time that ends with it."""
        self._add(at, failed)
        newest = self._seen[-1][0]
        while newest - self._seen[0][0] >= rule.over:
            _, gone = self._seen.popleft()
            self._failed -= gone

        return self._judge(rule, at)

    def move(self, by: timedelta) -> None:
        """Move along with a clock that was set."""
        self._seen = deque((at + by, failed) for at, failed in self._seen)

    def _add(self, at: datetime, failed: bool) -> None:
        in_order = not self._seen or at >= self._seen[-1][0]
        self._seen.append((at, failed))
        self._failed += failed
        if not in_order:
            self._seen = deque(sorted(self._seen))

    def _judge(self, rule: RateRule, at: datetime) -> Verdict:
        judged, failed = len(self._seen), self._failed
        if judged < rule.min_samples:
            note = f"{judged} of {rule.min_samples} samples"
            return Verdict(outcome=Outcome.WAITING, at=at, note=note)

        share = _percent(failed / judged)
        most = round(rule.limit * judged, _DIGITS)
        if failed < most or (rule.inclusive and failed == most):
            note = f"{failed} of {judged} failed ({share})"
            return Verdict(outcome=Outcome.PASS, at=at, note=note)

        since = next(start for start, wrong in self._seen if wrong)

        return Verdict(
            outcome=Outcome.FAIL,
            at=at,
            since=since,
            reasons=(_too_many(rule, failed, judged, share),),
        )


def _too_many(rule: RateRule, failed: int, judged: int, share: str) -> Reason:
    expected = f"{'at most' if rule.inclusive else 'less than'} {_percent(rule.limit)}"
    over = format_duration(rule.over)

    return Reason(
        code=Code.EXPECTATION,
        message=f"{failed} of {judged} probes in {over} failed ({share}), expected {expected}",
        expected=expected,
        found=share,
        at=rule.at,
    )


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"
