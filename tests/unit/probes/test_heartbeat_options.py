"""The options of a heartbeat: what is taken, what is refused and in which words."""

from __future__ import annotations

import zoneinfo
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.endpoint import InARow
from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "kkkk-1111-2222-3333"


def config(options: str, more: str = "") -> str:
    return f"endpoints:\n  backup:\n    heartbeat: {{{options}}}\n{more}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("key: KEY", "expected exactly one of cron and period"),
        ("key: KEY, period: 1d, cron: 0 2 * * *", "exactly one of cron and period, found cron and"),
        ("key: KEY, period: 1d, timezone: UTC", "a timezone needs cron"),
        ("key: KEY, period: 10", "expected a duration such as 30s"),
        ("key: KEY, period: 1ms", "expected at least 1s"),
        ("key: KEY, period: 9999d", "expected"),
        ("key: KEY, period: 1d, grace: 0s", "expected"),
        ("key: KEY, cron: 0 2 * *", "cron: expected five fields"),
        ("key: KEY, cron: 0 26 * * *", "cron: the field for the hour cannot be read"),
        ("key: KEY, cron: 0 2 30 2 *", "cron: the field for the day of month cannot be read"),
        ("key: KEY, cron: '@daily'", "cron: expected five fields"),
        ("key: KEY, cron: 0 2 * * *, timezone: Europe/Nowhere", "is unknown here"),
        ("key: KEY, cron: 0 2 * * *, timezone: ../../etc/passwd", "expected the name of a time"),
        ("key: KEY, cron: 0 2 * * *, timezone: 2", "expected the name of a time zone"),
        ("key: short, period: 1d", "expected 16 to 200 letters"),
        ("key: 'kkkk/1111/2222/3333', period: 1d", "expected 16 to 200 letters"),
        ("period: 1d", "key"),
        ("key: KEY, period: 1d, exit_codes: []", "exit_codes"),
        ("key: KEY, period: 1d, exit_codes: [256]", "256"),
        ("key: KEY, period: 1d, gracce: 3m", "grace"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(tmp_path: Path, options: str, said: str) -> None:
    found = mistakes(tmp_path, config(options.replace("KEY", KEY)))

    assert len(found) == 1
    assert said in found[0]
    assert KEY not in found[0]


def test_two_heartbeats_cannot_have_one_key(tmp_path: Path) -> None:
    more = f"  report:\n    heartbeat: {{period: 1d, key: {KEY}}}\n"

    (found,) = mistakes(tmp_path, config(f"period: 1d, key: {KEY}", more))

    assert (
        "endpoints.report.heartbeat.key: expected a key of its own, found that of backup" in found
    )


def test_a_heartbeat_opens_at_the_first_that_is_missed_and_is_looked_at_often(
    tmp_path: Path,
) -> None:
    text = "defaults: {every: 5m, failure_threshold: 5, success_threshold: 3}\n" + config(
        f"period: 1d, key: {KEY}", "  shop: https://shop.example/\n"
    )
    backup, shop = configure(tmp_path, text).endpoints

    assert backup.every == timedelta(seconds=30)
    assert not backup.witnessed
    assert backup.checks[0].failure_threshold == InARow(count=1)
    assert backup.checks[0].success_threshold == 1
    assert shop.every == timedelta(minutes=5)
    assert shop.checks[0].failure_threshold == InARow(count=5)


def test_what_takes_no_time_has_no_latency(tmp_path: Path) -> None:
    more = "    latency: {p95: {lt: 1s, window: 1h}}\n"

    (found,) = mistakes(tmp_path, config(f"period: 1d, key: {KEY}", more))

    assert "endpoints.backup.latency.p95: a heartbeat asks nothing that takes time" in found


def test_what_is_written_counts_more(tmp_path: Path) -> None:
    text = config(
        f"every: 1d, key: {KEY}", "    every: 10s\n    health: {failure_threshold: 2 of 3}\n"
    )
    (backup,) = configure(tmp_path, text).endpoints

    assert backup.every == timedelta(seconds=10)
    assert backup.beats == "pings each 1d"
    assert backup.checks[0].failure_threshold != InARow(count=1)


@pytest.fixture
def no_time_zones() -> Iterator[None]:
    zoneinfo.reset_tzpath(to=())
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.usefixtures("no_time_zones")
def test_utc_needs_no_time_zones_on_the_machine(tmp_path: Path) -> None:
    text = config(f"cron: 0 2 * * *, timezone: UTC, key: {KEY}")

    (backup,) = configure(tmp_path, text).endpoints
    (madrid,) = mistakes(tmp_path, text.replace("UTC", "Europe/Madrid"))

    assert backup.target == "pings by cron 0 2 * * * (UTC)"
    assert "is unknown here" in madrid


def test_another_grace_or_key_is_no_other_schedule(tmp_path: Path) -> None:
    (before,) = configure(tmp_path, config(f"period: 1d, grace: 1h, key: {KEY}")).endpoints
    (after,) = configure(tmp_path, config(f"period: 1d, grace: 2h, key: {KEY}-2")).endpoints

    assert before.beats == after.beats


def test_an_unset_key_can_be_allowed(tmp_path: Path) -> None:
    text = config('cron: 0 2 * * *, key: "${NOT_SET}"')

    assert "NOT_SET" in mistakes(tmp_path, text)[0]
    assert mistakes(tmp_path, text, allow_unset=True) == []
