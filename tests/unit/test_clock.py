"""The clock that decides, while the wall clock is set, slewed, and read by a process held up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.clock import ClockWatch, SteadyClock

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
YEAR = timedelta(days=365)
START = 1_800_000_000.0


class Hands:
    """A wall clock and a monotonic one, and a watch over them that writes down what it saw."""

    def __init__(self) -> None:
        self.passed = 1_000.0
        self.off = 0.0
        self.stalled = False
        self.seen: list[timedelta | str] = []
        self.clock = SteadyClock(wall=self.wall, steady=self.steady)
        self.clock_watch = ClockWatch(
            self.clock,
            stalled_since=lambda _started: self.stalled,
            on_set=self.seen.append,
            on_absence=lambda: self.seen.append("absent"),
            monotonic=self.steady,
        )

    def wall(self) -> float:
        return START + self.passed + self.off

    def steady(self) -> float:
        return self.passed

    def later(self, seconds: float) -> None:
        self.passed += seconds

    def set(self, by: timedelta) -> None:
        self.off += by.total_seconds()

    @property
    def true(self) -> datetime:
        return datetime.fromtimestamp(self.wall(), UTC)


@pytest.mark.parametrize("by", [-HOUR, DAY, 10 * YEAR], ids=str)
def test_the_time_goes_on_evenly_until_it_is_looked_at(by: timedelta) -> None:
    hands = Hands()
    before = hands.clock()
    hands.set(by)
    hands.later(0.5)

    assert hands.clock() - before == timedelta(seconds=0.5)
    assert hands.clock.follow() == by
    assert hands.clock() == hands.true
    assert hands.clock.follow() == timedelta(), "told once"


def test_a_clock_that_is_slewed_is_followed_without_a_word() -> None:
    hands = Hands()
    for _ in range(10_000):
        hands.later(1)
        hands.set(timedelta(milliseconds=-0.5))
        hands.clock_watch.look()

    assert hands.seen == []
    assert hands.clock() == hands.true


def test_a_process_that_is_held_up_between_two_readings_sees_no_jump() -> None:
    hands = Hands()
    held_up = [5.0, 0.0]

    def wall() -> float:
        shown = hands.wall()
        hands.later(held_up.pop() if held_up else 0)
        return shown

    hands.clock = SteadyClock(wall=wall, steady=hands.steady)
    held_up += [0.0, 5.0]

    assert hands.clock.follow() == timedelta()


@pytest.mark.parametrize("by", [DAY, 10 * YEAR], ids=str)
def test_a_clock_that_was_set_forward_makes_nothing_older_than_it_is(by: timedelta) -> None:
    hands = Hands()
    began = hands.true
    hands.set(by)
    hands.clock.follow()
    hands.later(3_600)

    assert hands.clock.earliest(30 * DAY) == began + HOUR
    hands.later((30 * DAY).total_seconds())
    assert hands.clock.earliest(30 * DAY) == hands.true, "it has lasted as long as things are kept"


def test_a_clock_that_was_set_back_and_forth_keeps_the_lowest_only_as_long_as_it_matters() -> None:
    hands = Hands()
    for _ in range(1_000):
        hands.set(-HOUR)
        hands.clock.follow()
        hands.later(60)
        hands.set(HOUR)
        hands.clock.follow()
        hands.later(60)

    assert hands.clock.earliest(DAY) == hands.true - HOUR
    assert len(hands.clock._earlier) == 1
    hands.later(DAY.total_seconds())
    assert hands.clock.earliest(DAY) == hands.true


@given(
    st.lists(st.tuples(st.integers(0, 40 * 86_400), st.integers(-(10**8), 10**8)), max_size=20),
    st.integers(1, 60),
)
def test_nothing_younger_than_the_retention_is_ever_old(
    turns: list[tuple[int, int]], days: int
) -> None:
    """Whatever the clock showed when a record was written, and shows now."""
    hands = Hands()
    written: list[tuple[float, datetime]] = []
    retention = timedelta(days=days)
    for seconds, jump in turns:
        written.append((hands.passed, hands.clock()))
        hands.later(seconds)
        written.append((hands.passed, hands.clock()))
        hands.set(timedelta(seconds=jump))
        hands.clock.follow()
    limit = hands.clock.earliest(retention) - retention
    slack = timedelta(seconds=len(turns) + 1)  # steps of a second are followed, not remembered

    for when, stamp in written:
        if hands.passed - when < retention.total_seconds():
            assert stamp >= limit - slack


def test_a_store_that_is_older_than_the_clock_says_is_believed() -> None:
    hands = Hands()
    hands.clock.believe_written(hands.true - 10 * YEAR)

    assert hands.clock.earliest(30 * DAY) == hands.true - 10 * YEAR
    assert hands.clock() == hands.true
    hands.clock.believe_written(hands.true + YEAR)
    assert hands.clock.earliest(30 * DAY) <= hands.true


def test_what_was_under_way_when_the_clock_was_set_is_worthless() -> None:
    hands = Hands()
    hands.clock_watch.look()
    earlier = hands.steady()
    hands.later(0.2)
    hands.set(-HOUR)
    hands.later(0.2)

    assert "clock was set" in hands.clock_watch.disturbance(earlier)
    assert hands.seen == [-HOUR]
    hands.later(0.1)
    assert hands.clock_watch.disturbance(hands.steady()) == ""


def test_a_process_that_stood_still_knows_it_at_the_first_look() -> None:
    hands = Hands()
    hands.clock_watch.look()
    hands.later(1.5)
    hands.clock_watch.look()
    assert hands.seen == []
    hands.later(4)
    hands.stalled = True

    assert "stood still" in hands.clock_watch.disturbance(hands.steady() - 1)
    assert hands.seen == ["absent"]


def test_the_first_look_comes_whenever_it_comes() -> None:
    hands = Hands()
    hands.later(3_600)
    hands.clock_watch.look()

    assert hands.seen == []
