"""From samples to figures: adding up, dividing, and rates between two looks at a page."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from monitor.probes._metrics.page import Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Aggregate(StrEnum):
    """How many samples become one figure."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"
    AVG = "avg"
    COUNT = "count"


_LARGEST_WHOLE: Final = 2**53  # a larger float is not exactly a whole number


def aggregate(how: Aggregate, samples: Iterable[Sample]) -> float | None:
    """Make one figure of samples; None of none, except that their count is 0."""
    values = [sample.value for sample in samples]
    match how:
        case Aggregate.COUNT:
            return len(values)
        case _ if not values:
            return None
        case Aggregate.SUM:
            return sum(values)
        case Aggregate.AVG:
            return sum(values) / len(values)
        case Aggregate.MAX:
            return max(_numbers(values), default=math.nan)
        case Aggregate.MIN:
            return min(_numbers(values), default=math.nan)


def divide(above: Iterable[Sample], below: Iterable[Sample]) -> float | None:
    """Divide one sum by another: of nothing above it is 0, of nothing below it None.

    What has not happened yet has no series yet, and 0 by 0 is not a number.
    """
    divisor = aggregate(Aggregate.SUM, below)
    if divisor is None:
        return None

    dividend = aggregate(Aggregate.SUM, above) or 0.0
    if divisor == 0:
        return (
            math.nan if dividend == 0 or math.isnan(dividend) else math.copysign(math.inf, dividend)
        )

    return dividend / divisor


def plain_number(value: float) -> int | float:
    """Give a whole number as one, for people."""
    whole = math.isfinite(value) and value == int(value) and abs(value) < _LARGEST_WHOLE

    return int(value) if whole else value


class Counters:
    """The counters as they were at the last look: what they have grown by, per second, since."""

    def __init__(self) -> None:
        self._before: Mapping[frozenset[tuple[str, str]], float] | None = None
        self._at = 0.0

    def rates(self, samples: Iterable[Sample], now: float) -> list[Sample] | None:
        """Give the rates since the last look, in monotonic seconds; None at the first.

        A counter that fell was begun anew and counts from 0, as does one that was not there.
        """
        current = list(samples)
        before, passed = self._before, now - self._at
        self._before = {frozenset(one.labels.items()): one.value for one in current}
        self._at = now
        if before is None or passed <= 0:
            return None

        return [
            Sample(
                labels=one.labels,
                value=_growth(before.get(frozenset(one.labels.items()), 0.0), one.value) / passed,
            )
            for one in current
        ]


def _numbers(values: list[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _growth(before: float, now: float) -> float:
    return now if now < before else now - before
