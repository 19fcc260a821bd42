"""When maintenance is, on ordinary days and on those of which an hour is missing or comes twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.maintenance import active, coming, exists, never_ends
from monitor.core.model.service import Maintenance

MADRID = ZoneInfo("Europe/Madrid")
HOUR = timedelta(hours=1)


def utc(text: str) -> datetime:
    """Read `2026-07-01 12:00` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def again(cron: str = "0 2 * * SUN", lasts: timedelta = HOUR) -> Maintenance:
    return Maintenance(name="maintenance 1", cron=cron, zone=MADRID, lasts=lasts)


ONCE = Maintenance(
    name="maintenance 1", starts_at=utc("2026-07-05 00:00"), ends_at=utc("2026-07-05 01:00")
)


@pytest.mark.parametrize("window", [ONCE, again()], ids=["once", "each sunday"])
def test_a_window_is_open_from_its_first_moment_until_before_its_last(window: Maintenance) -> None:
    span = (utc("2026-07-05 00:00"), utc("2026-07-05 01:00"))

    assert active(window, span[0] - timedelta(seconds=1)) is None
    assert active(window, span[0]) == span
    assert active(window, span[1] - timedelta(microseconds=1)) == span
    assert active(window, span[1]) is None


def test_what_comes_next_is_told_before_and_while_a_window_is_open() -> None:
    first = (utc("2026-07-05 00:00"), utc("2026-07-05 01:00"))
    second = (utc("2026-07-12 00:00"), utc("2026-07-12 01:00"))

    assert coming(ONCE, utc("2026-07-01 00:00")) == first
    assert coming(ONCE, first[0]) is None
    assert coming(again(), utc("2026-07-01 00:00")) == first
    assert coming(again(), first[0]) == second
    assert coming(again(), first[1]) == second


def test_a_window_in_the_missing_hour_begins_right_after_it() -> None:
    sunday = again("30 2 * * SUN")

    assert active(sunday, utc("2026-03-29 00:59")) is None
    assert active(sunday, utc("2026-03-29 01:00")) == (
        utc("2026-03-29 01:00"),
        utc("2026-03-29 02:00"),
    )


def test_a_window_in_the_hour_that_comes_twice_begins_once_and_lasts_as_long() -> None:
    sunday = again("30 2 * * SUN")

    assert active(sunday, utc("2026-10-25 00:30")) == (
        utc("2026-10-25 00:30"),
        utc("2026-10-25 01:30"),
    )
    assert active(sunday, utc("2026-10-25 01:30")) is None


@pytest.mark.parametrize(
    ("local", "moment"),
    [
        ("2026-07-01 12:00", "2026-07-01 10:00"),
        ("2026-03-29 01:59", "2026-03-29 00:59"),
        ("2026-03-29 02:30", "2026-03-29 01:00"),
        ("2026-03-29 03:00", "2026-03-29 01:00"),
        ("2026-10-25 01:59", "2026-10-24 23:59"),
        ("2026-10-25 02:30", "2026-10-25 00:30"),
        ("2026-10-25 03:00", "2026-10-25 02:00"),
    ],
)
def test_a_local_time_is_the_first_that_exists(local: str, moment: str) -> None:
    assert exists(datetime.fromisoformat(local), MADRID) == utc(moment)


def test_times_that_overlap_are_one() -> None:
    window = again("0 2,3 * * *", lasts=timedelta(minutes=90))

    assert active(window, utc("2026-07-05 00:10")) == (
        utc("2026-07-05 00:00"),
        utc("2026-07-05 02:30"),
    )


@pytest.mark.parametrize(
    ("cron", "hours", "never"),
    [("0 * * * *", 1, True), ("0 * * * *", 0.9, False), ("0 2,3 * * *", 1, False)],
)
def test_a_window_that_begins_again_before_it_is_over_never_ends(
    cron: str, hours: float, never: bool
) -> None:
    assert never_ends(again(cron, timedelta(hours=hours)), utc("2000-01-01 00:00")) is never


@given(
    minutes=st.integers(0, 60 * 24 * 400),
    lasts=st.integers(1, 60 * 30),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_a_window_is_open_exactly_as_long_after_a_start_as_it_lasts(
    minutes: int, lasts: int, hour: int, minute: int
) -> None:
    window = again(f"{minute} {hour} * * MON", timedelta(minutes=lasts))
    now = utc("2026-01-01 00:00") + timedelta(minutes=minutes)

    opened = active(window, now)
    later = coming(window, now)

    assert later is not None
    assert later[0] > now
    assert later[1] - later[0] == window.lasts
    if opened is not None:
        assert opened[0] <= now < opened[1]
        assert opened[1] - opened[0] == window.lasts
        assert active(window, opened[1]) is None
    else:
        assert active(window, later[0]) == later
