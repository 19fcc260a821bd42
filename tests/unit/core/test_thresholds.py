"""When a count of fails is enough."""

from __future__ import annotations

import pytest

from monitor.core.model.check_state import CheckState
from monitor.core.model.endpoint import FailureThreshold, InARow, KOfN
from monitor.core.thresholds import crossed, progress, verdicts_to_open


def counts(failures: int = 0, recent: tuple[bool, ...] = ()) -> CheckState:
    """Give a state with these counts."""
    return CheckState(check="a", fingerprint="", consecutive_failures=failures, recent=recent)


@pytest.mark.parametrize(
    ("threshold", "state", "counted", "enough"),
    [
        (InARow(count=3), counts(), (0, 3), False),
        (InARow(count=3), counts(failures=2), (2, 3), False),
        (InARow(count=3), counts(failures=3), (3, 3), True),
        (InARow(count=1), counts(failures=1), (1, 1), True),
        (KOfN(k=2, n=3), counts(), (0, 2), False),
        (KOfN(k=2, n=3), counts(recent=(True, False, True)), (2, 2), True),
        (KOfN(k=2, n=3), counts(recent=(True, False)), (1, 2), False),
        (KOfN(k=2, n=3), counts(recent=(True, True, False, False)), (1, 2), False),
    ],
)
def test_progress_counts_what_the_threshold_counts(
    threshold: FailureThreshold, state: CheckState, counted: tuple[int, int], enough: bool
) -> None:
    assert progress(threshold, state) == counted
    assert crossed(threshold, state) is enough


def test_the_fewest_verdicts_to_open_are_known() -> None:
    assert verdicts_to_open(InARow(count=5)) == 5
    assert verdicts_to_open(KOfN(k=3, n=5)) == 3
