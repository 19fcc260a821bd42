"""Baselines: a limit that follows from what the windows of a week usually are."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from statistics import median_low
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.baselines import needed
from monitor.core.model.endpoint import Baseline, LatencyRule
from monitor.core.model.verdict import Outcome
from monitor.core.windows import Window, advance_window, begin_anew, restore
from tests.support.judging import NOON, latency_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.core.model.verdict import Verdict
    from monitor.core.windows import Sample

MINUTE = timedelta(minutes=1)


def rule(*, factor: float = 1.5, minutes: int = 8, plus: int = 0) -> LatencyRule:
    """Give a rule: less than 1.5 times the median of eight windows of a minute."""
    baseline = Baseline(factor=factor, over=minutes * MINUTE, plus=timedelta(milliseconds=plus))

    return replace(latency_rule(percentile=100, window=MINUTE), limit=baseline)


def watch(
    of: LatencyRule, windows: Sequence[int | None], window: Window | None = None, first: int = 0
) -> tuple[Window, list[Verdict]]:
    """Put one sample in each window, in milliseconds; None is a window without."""
    verdicts: list[Verdict] = []
    for number, value in enumerate(windows, start=first):
        sample = None if value is None else timedelta(milliseconds=value)
        window, said = advance_window(of, window, sample, NOON + number * MINUTE)
        verdicts += said
    assert window is not None

    return window, verdicts


def outcomes(of: LatencyRule, windows: Sequence[int | None]) -> str:
    """Give a letter for each window that closed."""
    _, verdicts = watch(of, [*windows, None])

    return "".join(verdict.outcome.value[0] for verdict in verdicts)


def test_as_long_as_nothing_is_usual_it_waits() -> None:
    _, verdicts = watch(rule(), [100, 900, 100, 100, 100, 100])

    assert [verdict.outcome for verdict in verdicts] == [Outcome.WAITING] * 4 + [Outcome.PASS]
    assert verdicts[2].note == "learning what is usual: 2 of 4 windows"


def test_a_week_of_ten_minutes_takes_a_hundred_windows() -> None:
    week = Baseline(factor=1.5, over=timedelta(days=7), plus=timedelta())

    assert needed(week, timedelta(minutes=10)) == 100
    assert needed(week, timedelta(hours=1)) == 84


def test_what_is_slower_than_usual_fails_and_says_what_is_usual() -> None:
    _, verdicts = watch(rule(plus=50), [100, 300, 200, 200, 400, None])

    assert verdicts[-1].outcome is Outcome.FAIL
    (reason,) = verdicts[-1].reasons
    assert reason.message == (
        "the maximum of 1 answers in 1m is 400ms, expected less than 350ms "
        "(1.5 times the usual 200ms plus 50ms)"
    )
    assert (reason.expected, reason.found) == ("less than 350ms", "400ms")


def test_what_failed_does_not_become_usual() -> None:
    assert outcomes(rule(), [100] * 4 + [200] * 3 + [140]) == "wwwwfffp"


def test_after_all_that_was_usual_is_too_old_it_learns_anew() -> None:
    assert outcomes(rule(), [100] * 4 + [200] * 12) == "wwwwffffwwwwpppp"


def test_a_clock_that_is_set_keeps_what_is_usual() -> None:
    window, _ = watch(rule(), [100] * 6)

    moved = begin_anew(window.history, timedelta(hours=1))

    assert [found for _, found in moved.history] == [found for _, found in window.history]
    _, verdicts = watch(rule(), [100, 400, 100], moved, first=66)
    assert [verdict.outcome for verdict in verdicts][-1] is Outcome.FAIL


@given(
    values=st.lists(st.none() | st.integers(50, 400), min_size=1, max_size=40),
    factor=st.sampled_from([1.0, 1.5, 2.0]),
    plus=st.sampled_from([0, 50]),
    restarts=st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_a_baseline_agrees_with_taking_the_median_anew_whenever_it_restarts(
    values: Sequence[int | None], factor: float, plus: int, restarts: list[bool]
) -> None:
    of = rule(factor=factor, plus=plus)
    window: Window | None = None
    window_end: datetime | None = None
    stored: list[tuple[datetime, Sample]] = []
    judged: list[str] = []
    for number, value in enumerate(values):
        at = NOON + number * MINUTE
        if restarts[number]:
            window = restore(of, stored, window_end)
        sample = None if value is None else timedelta(milliseconds=value)
        window, verdicts = advance_window(of, window, sample, at)
        if sample is not None:
            stored.append((at, sample))
        for verdict in verdicts:
            window_end = verdict.at
            if verdict.outcome is not Outcome.WAITING:
                judged.append(f"{verdict.at:%H:%M} {verdict.outcome}")

    assert judged == _slowly(values[:-1], factor, plus)


def _slowly(values: Sequence[int | None], factor: float, plus: int) -> list[str]:
    judged = []
    usual: list[tuple[int, int]] = []
    for number, value in enumerate(values):
        if value is None:
            continue
        known = [found for when, found in usual if number - when < 8]
        failed = False
        if len(known) >= 4:
            failed = value >= median_low(known) * factor + plus
            at = NOON + (number + 1) * MINUTE
            judged.append(f"{at:%H:%M} {Outcome.FAIL if failed else Outcome.PASS}")
        if not failed:
            usual.append((number, value))

    return judged
