"""When a count of verdicts is enough: fails in a row, or K fails among the last N verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from monitor.core.model.endpoint import InARow, KOfN

if TYPE_CHECKING:
    from monitor.core.model.check_state import CheckState
    from monitor.core.model.endpoint import FailureThreshold


def crossed(threshold: FailureThreshold, state: CheckState) -> bool:
    """Whether the fails that are counted now are enough to open."""
    counted, needed = progress(threshold, state)

    return counted >= needed


def progress(threshold: FailureThreshold, state: CheckState) -> tuple[int, int]:
    """Give how many fails are counted now and how many it takes, such as 2 of 3."""
    match threshold:
        case InARow(count=count):
            return state.consecutive_failures, count
        case KOfN(k=k, n=n):
            return sum(state.recent[-n:]), k
        case _:
            assert_never(threshold)


def verdicts_to_open(threshold: FailureThreshold) -> int:
    """Give the fewest verdicts with which a check can open."""
    match threshold:
        case InARow(count=count):
            return count
        case KOfN(k=k):
            return k
        case _:
            assert_never(threshold)
