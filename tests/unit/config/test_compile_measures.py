"""What is measured over time, as it is configured: rates, and times that cannot be meant."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from monitor.core.model.endpoint import InARow, RateRule, Severity, Signal
from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.core.model.endpoint import Check


def text(extra: str) -> str:
    """Give a configuration of one endpoint with these lines."""
    return f"endpoints:\n  api:\n    url: https://api.shop.example/\n    every: 10s\n    {extra}\n"


def check(folder: Path, extra: str, name: str) -> Check:
    """Give one check of such a configuration."""
    endpoint = configure(folder, text(extra)).endpoints[0]

    return next(one for one in endpoint.checks if one.id == f"api.{name}")


def test_a_failure_rate_is_counted_of_the_health_check(tmp_path: Path) -> None:
    made = check(
        tmp_path,
        "failure_rate: {lt: 5%, over: 5m, min_samples: 20, severity: critical}",
        "failure_rate",
    )

    assert made.rule == RateRule(
        of="api.health",
        limit=0.05,
        inclusive=False,
        over=timedelta(minutes=5),
        min_samples=20,
        at="monitor.yml:5:19",
    )
    assert (made.signal, made.severity) == (Signal.RATE, Severity.CRITICAL)


def test_a_rate_opens_at_the_first_that_is_too_high(tmp_path: Path) -> None:
    before = "failure_rate: {lte: 0.1}\n    tags: [x]"

    assert check(tmp_path, before, "failure_rate").failure_threshold == InARow(count=1)
    assert check(
        tmp_path, "failure_rate: {lt: 5%, failure_threshold: 2}", "failure_rate"
    ).failure_threshold == InARow(count=2)


def test_another_health_rule_is_another_rate(tmp_path: Path) -> None:
    rate = "failure_rate: {lt: 5%}"
    one = check(tmp_path, rate, "failure_rate")
    other = check(tmp_path, f"{rate}\n    health: {{expect: [status: 200]}}", "failure_rate")

    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            "failure_rate: {lt: 5%, over: 1m}",
            "5:34: endpoints.api.failure_rate.over: over 1m holds 6 samples at one every 10s, "
            "expected at least 20: make it 3m 20s or longer, or lower min_samples",
        ),
        (
            "failure_rate: {lt: 5%, over: 5m, min_samples: 40}",
            "5:51: endpoints.api.failure_rate.min_samples: over 5m holds 30 samples at one every "
            "10s, expected at least 40: make it 6m 40s or longer, or lower min_samples",
        ),
        (
            "failure_rate: {lt: 5}",
            "5:24: endpoints.api.failure_rate.lt: expected a ratio such as 5% or 0.05, found 5",
        ),
        (
            "failure_rate: {lt: 0%}",
            "5:19: endpoints.api.failure_rate: no share is less than 0%: expected lte: 0%, or a "
            "higher limit",
        ),
        (
            "failure_rate: {lte: 100%}",
            "5:19: endpoints.api.failure_rate: no share is more than 100%: it would never count",
        ),
        (
            "failure_rate: {over: 5m}",
            "5:19: endpoints.api.failure_rate: expected exactly one of lt, lte",
        ),
        (
            "failure_rate: {lt: 5%}\n    health: false",
            "5:5: endpoints.api.failure_rate: counts failed health verdicts, and health is turned "
            "off",
        ),
    ],
)
def test_a_rate_that_cannot_be_meant_is_refused(tmp_path: Path, extra: str, message: str) -> None:
    assert mistakes(tmp_path, text(extra)) == [message]
