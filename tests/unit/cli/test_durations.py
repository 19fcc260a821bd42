"""Durations on the command line: written as in the configuration."""

from __future__ import annotations

from datetime import timedelta

import click
import pytest

from monitor.cli.durations import DURATION


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("30s", 30), ("1h30m", 5400), ("14d", 1_209_600)]
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert DURATION.convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["5", "", "-5s", "soon", "5 parsecs"])
def test_what_is_none_says_what_was_expected(text: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        DURATION.convert(text, None, None)

    assert "expected a duration" in str(caught.value)


def test_a_bare_number_is_told_what_it_may_mean() -> None:
    with pytest.raises(click.BadParameter, match="found '5'; did you mean 5s"):
        DURATION.convert("5", None, None)


def test_no_time_at_all_is_refused() -> None:
    with pytest.raises(click.BadParameter) as caught:
        DURATION.convert("0s", None, None)

    assert "above zero, found '0s'" in str(caught.value)
