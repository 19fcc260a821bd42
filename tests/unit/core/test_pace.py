"""How fast a receiver is told: in the mean, at once, and after a restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from monitor.core import outbox
from monitor.core.model.notice import DeliveryState
from monitor.core.outbox import Pace
from tests.support.notices import NOON, make_delivery, make_notice

SECOND = timedelta(seconds=1)


def test_a_burst_goes_at_once_and_the_rest_follows_at_the_pace() -> None:
    pace, now, waits = outbox.resume(SECOND, 3, [], NOON), 0.0, []
    for _ in range(6):
        waits.append(pace.wait(now))
        now += waits[-1]
        pace = pace.spend(now)

    assert waits == [0, 0, 0, 1, 1, 1]


def test_without_a_pace_nothing_waits() -> None:
    pace = outbox.resume(timedelta(), 1, [], NOON)
    for _ in range(1_000):
        pace = pace.spend(0.0)

    assert pace.wait(0.0) == 0


@given(
    burst=st.integers(1, 10),
    every=st.floats(0.01, 100),
    rests=st.lists(st.floats(0, 300), min_size=1, max_size=60),
)
def test_no_span_of_time_sees_more_than_the_burst_and_what_comes_back_in_it(
    burst: int, every: float, rests: list[float]
) -> None:
    pace, now, sent = Pace(every=every, burst=burst), 0.0, []
    for rest in rests:
        now += rest
        now += pace.wait(now)
        pace = pace.spend(now)
        sent.append(now)

    for first, begin in enumerate(sent):
        for last in range(first, len(sent)):
            allowed = burst + (sent[last] - begin) / every
            assert last - first + 1 <= allowed + 1e-6


def test_a_restart_gives_no_fresh_burst() -> None:
    told = [
        make_delivery(
            make_notice(incident=f"i-{number}"),
            state=DeliveryState.DELIVERED,
            delivered_at=NOON - timedelta(seconds=0.5),
        )
        for number in range(3)
    ]
    covered = replace(told[0], id="covered", told_in=told[1].id)
    foreign = replace(told[0], id="foreign", notifier="other")
    digest = replace(told[2], told_in=told[2].id)

    times = outbox.newest_told([*told[:2], covered, foreign, digest], "oncall", 3)
    pace = outbox.resume(SECOND, 3, times, NOON)

    assert times == [NOON - timedelta(seconds=0.5)] * 3
    assert pace.wait(0.0) == 0.5
    assert outbox.resume(SECOND, 3, times, NOON + timedelta(minutes=1)).wait(0.0) == 0


def test_a_clock_that_was_set_back_makes_nobody_wait_longer_than_the_pace() -> None:
    pace = outbox.resume(SECOND, 3, [NOON + timedelta(days=1)] * 3, NOON)

    assert pace.wait(0.0) == 1
