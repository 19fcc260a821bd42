"""Many requests at once as one observation: that of the worst answer among them."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core.model.observation import Measure

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation
    from monitor.probes.probe import Probe

ANSWERS: Final = "probe_http_burst_answers"

_TOO_MANY_REQUESTS: Final = 429


class BurstProbe:
    """Asks `size` times at once, with one probe that looks at everything and others like it."""

    def __init__(self, first: Probe, other: Probe, size: int) -> None:
        self.sockets = size
        self._first = first
        self._other = other

    async def observe(self) -> Observation:
        """Ask; give the worst answer, with how many there were of each status."""
        others = [self._other] * (self.sockets - 1)
        seen = await asyncio.gather(*(probe.observe() for probe in (self._first, *others)))
        worst = max(seen, key=_badness)
        alike = sum(_kind(one) == _kind(worst) for one in seen)
        remark = f"{alike} of {len(seen)} requests at once"
        counts = Counter(str(one.status or 0) for one in seen)
        fault = worst.fault
        if fault is not None:
            fault = replace(fault, message=f"{fault.message} ({remark})")

        return replace(
            worst,
            at=seen[0].at,
            fault=fault,
            preflight=seen[0].preflight,
            remark=", ".join(filter(None, (worst.remark, remark))),
            measures=tuple(
                Measure(family=ANSWERS, value=count, labels=(("code", code),))
                for code, count in sorted(counts.items())
            ),
        )

    async def close(self) -> None:
        """Close both."""
        await asyncio.gather(self._first.close(), self._other.close())


def _badness(seen: Observation) -> tuple[int, float]:
    """Tell how bad an answer is, and of the same how slow.

    A fault of the target is worst, and what it refuses since it is too much comes next. That one
    request was lost by our own doing hides neither.
    """
    seconds = seen.duration.total_seconds()
    match seen.fault:
        case None if seen.status == _TOO_MANY_REQUESTS:
            return 3, seconds
        case None if seen.status is None or not 200 <= seen.status < 300:
            return 2, seconds
        case None:
            return 0, seconds
        case fault:
            return 1 if fault.own else 4, seconds


def _kind(seen: Observation) -> object:
    return seen.fault.code if seen.fault is not None else seen.status
