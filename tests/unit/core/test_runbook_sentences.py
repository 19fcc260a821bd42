"""The sentences of the runbooks, as a configuration says them, hold to the second."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.engine import Engine
from monitor.core.situation import Situation
from tests.support.configuring import configure
from tests.support.judging import NOON, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from monitor.core.model.observation import Observation


def opened(
    folder: Path, text: str, seen: Callable[[int], Observation], *, seconds: int
) -> Iterator[tuple[int, str]]:
    """Watch one endpoint every so many seconds; give when an incident opens, and by which check.

    `seen` gives the answer to the n-th probe.
    """
    compiled = configure(folder, text)
    (endpoint,) = compiled.endpoints
    engine = Engine(
        endpoints=[endpoint],
        directory=compiled.directory,
        situation=Situation(),
        mask=str,
    )
    known: set[str] = set()
    for number in range(2000):
        moment = NOON + timedelta(seconds=seconds * number)
        observation = seen(number)
        engine.take(endpoint, _at(observation, moment), scheduled=True, now=moment)
        for incident in engine.situation.incidents.values():
            for member in incident.members:
                if incident.id + member.check not in known:
                    known.add(incident.id + member.check)
                    yield seconds * number, member.check


def _at(observation: Observation, moment: datetime) -> Observation:
    return replace(observation, at=moment)


def first(*args: Any, **named: Any) -> tuple[int, str] | None:
    """Give the first of what opens."""
    return next(opened(*args, **named), None)


def fails(*numbers: int) -> Callable[[int], Observation]:
    """Give answers of which these fail."""
    return lambda number: answer(status=500 if number in numbers else 200)


def test_consecutive_monitor_fail_of_5_or_more(tmp_path: Path) -> None:
    text = """\
        endpoints:
          shop: {url: "https://shop.example/", every: 30s, health: {failure_threshold: 5}}
    """

    assert first(tmp_path, text, fails(10, 11, 12, 13, 15, 16, 17, 18), seconds=30) is None
    assert first(tmp_path, text, fails(10, 11, 12, 13, 14), seconds=30) == (420, "shop.health")


def test_p95_latency_breach_for_more_than_3_consecutive_5_minute_windows(tmp_path: Path) -> None:
    text = """\
        endpoints:
          shop:
            url: https://shop.example/
            every: 10s
            latency: {p95: {lt: 400ms, window: 5m, failure_threshold: 4}}
    """

    def slow(*windows: int) -> Callable[[int], Observation]:
        """Two slow answers of thirty are 7 %: the p95 is one of them."""
        return lambda number: answer(
            duration=timedelta(
                milliseconds=900 if number // 30 in windows and number % 30 < 2 else 100
            )
        )

    assert first(tmp_path, text, slow(2, 3, 4, 6, 7, 8), seconds=10) is None
    assert first(tmp_path, text, slow(2, 3, 4, 5), seconds=10) == (1800, "shop.latency.p95")


def test_error_rate_exceeds_5_percent_for_more_than_5_minutes(tmp_path: Path) -> None:
    text = """\
        endpoints:
          shop:
            url: https://shop.example/
            every: 10s
            failure_rate: {lte: 5%, over: 5m}
    """

    assert first(tmp_path, text, fails(50, 85, 120), seconds=10) is None
    assert first(tmp_path, text, fails(50, 78), seconds=10) == (780, "shop.failure_rate")


def test_sms_send_failure_above_10_percent(tmp_path: Path) -> None:
    text = """\
        endpoints:
          sms:
            url: https://sms.example/send
            every: 15s
            failure_rate: {lte: 10%, over: 5m, min_samples: 20}
    """

    assert first(tmp_path, text, fails(30, 40), seconds=15) is None
    assert first(tmp_path, text, fails(30, 40, 44), seconds=15) == (660, "sms.failure_rate")


@pytest.mark.parametrize(
    ("value", "at"),
    [
        # every value of ten minutes by the clock
        ("{json: $.cpu, lte: 70, window: 10m, statistic: min, failure_threshold: 1}", 2400),
        # every value, from whenever it begins
        ("{json: $.cpu, lte: 70, failure_threshold: 20}", 2310),
    ],
)
def test_sustained_cpu_above_70_percent_for_10_minutes(tmp_path: Path, value: str, at: int) -> None:
    text = f"endpoints: {{app: {{url: 'https://app.example/', every: 30s, value: {value}}}}}"

    def busy(first: int, last: int) -> Callable[[int], Observation]:
        return lambda number: answer(
            body=b'{"cpu": 71}' if first <= number <= last else b'{"cpu": 12.5}'
        )

    assert first(tmp_path, text, busy(30, 48), seconds=30) is None
    assert first(tmp_path, text, busy(58, 80), seconds=30) == (at, "app.value")
