"""Wrong tokens are counted by address, forgotten at a steady pace, and told of once a burst."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.web.failure_limit import MOST, MOST_ADDRESSES, ONE_MORE, FailureLimit

STRANGER = "192.0.2.1"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_some_mistakes_are_free_and_then_one_at_a_time(clock: Clock) -> None:
    failure_limit = FailureLimit(clock)

    free = [failure_limit.refuse(STRANGER) for _ in range(MOST)]
    told = failure_limit.refuse(STRANGER)
    assert told is not None
    clock.now += told.total_seconds()

    assert free == [None] * MOST
    assert told == ONE_MORE
    assert (failure_limit.refuse(STRANGER), failure_limit.refuse(STRANGER)) == (None, ONE_MORE)


def test_waiting_does_not_grow_with_what_is_tried_meanwhile(clock: Clock) -> None:
    failure_limit = FailureLimit(clock)

    told = [failure_limit.refuse(STRANGER) for _ in range(10_000)]

    assert told[-1] == ONE_MORE


def test_each_address_has_its_own(clock: Clock) -> None:
    failure_limit = FailureLimit(clock)
    for _ in range(MOST):
        failure_limit.refuse(STRANGER)

    assert failure_limit.refuse("192.0.2.2") is None
    assert failure_limit.refuse(None) is None
    assert failure_limit.refuse(STRANGER) is not None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2", True),
        (None, "no address", True),
    ],
)
def test_who_is_the_same(clock: Clock, one: str | None, other: str, *, same: bool) -> None:
    failure_limit = FailureLimit(clock)
    for _ in range(MOST):
        failure_limit.refuse(one)

    assert (failure_limit.refuse(other) is not None) is same


def test_a_burst_is_one_line_and_the_next_one_another(clock: Clock, log: list[Any]) -> None:
    failure_limit = FailureLimit(clock)
    for _ in range(5 * MOST):
        failure_limit.refuse(STRANGER)
        clock.now += 1
    clock.now += 2 * MOST * ONE_MORE.total_seconds()
    for _ in range(5 * MOST):
        failure_limit.refuse(STRANGER)

    assert [(one["event"], one["client"]) for one in log] == [("wrong_tokens", STRANGER)] * 2


def test_a_crowd_of_addresses_is_not_remembered(clock: Clock) -> None:
    failure_limit = FailureLimit(clock)
    for _ in range(MOST):
        failure_limit.refuse(STRANGER)
    for number in range(5 * MOST_ADDRESSES):
        failure_limit.refuse(f"10.0.{number // 256}.{number % 256}")
        if number % 500 == 0:
            assert failure_limit.refuse(STRANGER) is not None, "who goes on is not forgotten"

    assert len(failure_limit) == MOST_ADDRESSES


@settings(max_examples=100, deadline=None)
@given(pauses=st.lists(st.floats(0, 30), min_size=1, max_size=200))
def test_however_they_come_the_rate_is_kept(pauses: list[float]) -> None:
    clock = Clock()
    failure_limit = FailureLimit(clock)
    began, passed = clock.now, 0
    for pause in pauses:
        clock.now += pause
        told = failure_limit.refuse(STRANGER)
        passed += told is None

        assert told is None or timedelta() < told <= 2 * ONE_MORE
        assert passed <= MOST + (clock.now - began) / ONE_MORE.total_seconds() + 1e-6
