"""`silence add`: until when, and what is refused before anybody is asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest
import time_machine
from click.testing import CliRunner

from monitor.cli.silences import _read_until, add

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("12:30", datetime(2026, 7, 1, 12, 30, tzinfo=UTC)),
        ("06:30", datetime(2026, 7, 2, 6, 30, tzinfo=UTC)),
        ("12:00", datetime(2026, 7, 2, 12, 0, tzinfo=UTC)),
        ("2026-07-03", datetime(2026, 7, 3, tzinfo=UTC)),
        ("2026-07-01T18:00+02:00", datetime(2026, 7, 1, 16, 0, tzinfo=UTC)),
        ("2026-07-01 18:00", datetime(2026, 7, 1, 18, 0, tzinfo=UTC)),
    ],
)
def test_an_hour_is_the_next_one_and_a_time_is_utc(text: str, end: datetime) -> None:
    with time_machine.travel(NOON, tick=False):
        assert _read_until(text) - end == timedelta()


@pytest.mark.parametrize("text", ["soon", "25:00", "2026-13-01", ""])
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(click.UsageError, match="expected a time such as 06:30"):
        _read_until(text)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--for", "2h"], "expected the names of services, or --all"),
        (["shop", "--all", "--for", "2h"], "expected the names of services, or --all"),
        (["shop"], "expected either --for or --until"),
        (["shop", "--for", "2h", "--until", "06:30"], "expected either --for or --until"),
        (["shop", "--for", "2"], "expected a duration"),
        (["shop", "--for", "2h", "--severity", "bad"], "is not one of"),
    ],
)
def test_what_is_not_a_silence_is_refused_before_anybody_is_asked(
    args: list[str], said: str
) -> None:
    ended = CliRunner().invoke(add, args)

    assert ended.exit_code == 2
    assert said in ended.output
