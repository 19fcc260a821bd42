"""What is measured over time, as it is configured: rates, and times that cannot be meant."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from monitor.config.compile_endpoints import Pace, compile_endpoints
from monitor.config.document import Document, Position
from monitor.config.findings import Findings
from monitor.config.settings import Defaults
from monitor.core.expectations import Source
from monitor.core.model.endpoint import (
    Baseline,
    InARow,
    LatencyRule,
    RateRule,
    Severity,
    Signal,
    ValueRule,
    ValueWindowRule,
)
from monitor.core.values import wanted_of
from monitor.fields import Kinds
from monitor.probes.kind import ProbeKind, ProbeOptions
from tests.support.configuring import configure, mistakes

if TYPE_CHECKING:
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


def test_a_limit_may_follow_from_what_is_usual(tmp_path: Path) -> None:
    made = check(
        tmp_path,
        "latency: {p95: {lt: {baseline: 1.5x, over: 7d, plus: 50ms}, window: 10m}}",
        "latency.p95",
    )

    assert isinstance(made.rule, LatencyRule)
    assert made.rule.limit == Baseline(
        factor=1.5, over=timedelta(days=7), plus=timedelta(milliseconds=50)
    )


def test_the_limit_of_a_value_may_follow_from_what_is_usual(tmp_path: Path) -> None:
    made = check(
        tmp_path,
        "value: {json: $.queue, gt: {baseline: 0.5x, plus: -5}, window: 10m, statistic: p95}",
        "value",
    )

    assert isinstance(made.rule, ValueWindowRule)
    assert made.rule.limit == Baseline(factor=0.5, over=timedelta(days=7), plus=-5)


def test_how_far_from_usual_it_may_be_is_a_threshold_and_keeps_counts(tmp_path: Path) -> None:
    def fingerprint(extra: str, of: str) -> str:
        return check(tmp_path, extra, of).fingerprint

    latency = "latency: {{p95: {{lt: {{baseline: {}, over: {}, plus: {}}}, window: 10m}}}}"
    value = "value: {{json: $.a, lt: {{baseline: {}, over: {}, plus: {}}}, window: 10m}}"
    for written, of, plus in ((latency, "latency.p95", "50ms"), (value, "value", "5")):
        before = fingerprint(written.format("1.5x", "7d", plus), of)
        assert fingerprint(written.format("3x", "7d", f"9{plus}"), of) == before
        assert fingerprint(written.format("1.5x", "6d", plus), of) != before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "lt: {baseline: 2x}",
            "5:12: endpoints.api.value: a baseline is what windows usually are: expected window as "
            "well",
        ),
        (
            "lt: {baseline: 2x}, gt: 1, window: 10m",
            "5:12: endpoints.api.value: expected lt alone: it follows from what is usual",
        ),
        (
            "gt: {baseline: 2x}, window: 10m",
            "5:39: endpoints.api.value.gt.baseline: expected 0.01x to 1x, found 2x",
        ),
        (
            "lt: {baseline: 2x, plus: 5x}, window: 10m",
            "5:49: endpoints.api.value.lt.plus: "
            'expected a number such as 10, or 5%, or 30s, found "5x"',
        ),
    ],
)
def test_a_baseline_of_values_that_cannot_be_meant_is_refused(
    tmp_path: Path, value: str, message: str
) -> None:
    assert mistakes(tmp_path, text(f"value: {{json: $.a, {value}}}")) == [message]


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (
            "{baseline: 1.5}",
            "5:36: endpoints.api.latency.p95.lt.baseline: expected how many times, such as 1.5x, "
            "found 1.5",
        ),
        (
            "{baseline: 0.5x}",
            "5:36: endpoints.api.latency.p95.lt.baseline: expected 1x to 100x, found 0.5x",
        ),
        (
            "{baseline: 2x, over: 1h}",
            "5:25: endpoints.api.latency.p95.lt: 1h hold 6 windows of 10m, expected at least 20: "
            "make over 3h 20m or longer",
        ),
        (
            "{basline: 2x}",
            "5:26: endpoints.api.latency.p95.lt.basline: unknown key basline; did you mean "
            "baseline?",
        ),
        ("5", "5:25: endpoints.api.latency.p95.lt: expected a duration such as 30s, found 5"),
    ],
)
def test_a_baseline_that_cannot_be_meant_is_refused(
    tmp_path: Path, limit: str, message: str
) -> None:
    said = mistakes(tmp_path, text(f"latency: {{p95: {{lt: {limit}, window: 10m}}}}"))

    assert message in said


class RowOptions(ProbeOptions):
    """A kind that brings rows and a value."""

    query: str


ROWS = ProbeKind(
    options=RowOptions,
    make=None,
    sources=frozenset({Source.VALUE, Source.ROWS, Source.RESPONSE_TIME}),
)


def compiled(**keys: object) -> tuple[Check | None, list[str]]:
    """Compile an endpoint of that kind; give its check on a value, and what is wrong."""
    raw: dict[str, object] = {"it": {"sql": {"query": "select 1"}, "every": "10s", **keys}}
    document = Document(data={"endpoints": raw}, positions={(): Position("m.yml", 1, 1)}, keys={})
    findings = Findings(document, Path("/nowhere"))
    defaults = Defaults()
    watched = compile_endpoints(
        findings, raw, Kinds({"sql": ROWS}), Pace(defaults=defaults, every=defaults.every)
    )
    checks = watched.endpoints["it"].checks if "it" in watched.endpoints else ()
    found = next((one for one in checks if one.signal is Signal.VALUE), None)

    return found, [problem.message for problem in findings.problems]


def test_a_column_is_judged_row_by_row() -> None:
    made, told = compiled(value={"column": "failed", "lt": 10, "failure_threshold": 2})

    assert told == []
    assert made is not None
    assert made.id == "it.value"
    assert made.failure_threshold == InARow(count=2)
    assert isinstance(made.rule, ValueRule)
    assert made.rule.column == "failed"


@pytest.mark.parametrize(("limit", "seconds"), [("30s", "30"), ("1h", "3600"), ("250ms", "0.25")])
def test_a_limit_that_is_a_duration_is_its_seconds(limit: str, seconds: str) -> None:
    made, told = compiled(value={"lt": limit})

    assert told == []
    assert made is not None
    assert isinstance(made.rule, ValueRule)
    assert wanted_of(made.rule.expectation) == f"less than {seconds}"


def test_a_value_over_a_window_is_its_median_unless_it_is_said_otherwise() -> None:
    made, _ = compiled(value={"lt": "5%", "window": "10m"})
    lowest, _ = compiled(value={"gt": 3, "window": "10m", "statistic": "min"})

    assert made is not None
    assert lowest is not None
    assert isinstance(made.rule, ValueWindowRule)
    assert isinstance(lowest.rule, ValueWindowRule)
    assert (made.rule.percentile, lowest.rule.percentile) == (50, 0)
    assert wanted_of(made.rule.expectation) == "less than 0.05"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"lt": "ten"}, 'expected a number such as 10, or 5%, or 30s, found "ten"'),
        (
            {"column": "failed"},
            "expected what is healthy: one of lt, lte, gt, gte, between, equals",
        ),
        ({"json": "$.a", "lt": 1}, "an answer to sql has no json"),
        ({"between": [3, 1]}, "nothing lies between 3 and 1"),
        (
            {"column": "a", "lt": 1, "window": "5m"},
            "a window is of one value, not of a column: remove one of them",
        ),
        ({"lt": 1, "statistic": "max"}, "statistic is about a window: expected window as well"),
        (
            {"lt": 1, "window": "1m"},
            "a window of 1m holds 6 samples at one every 10s, expected at least 20: make it "
            "3m 20s or longer, or lower min_samples",
        ),
        ({"lt": 1, "window": "5m", "statistic": "mean"}, "expected one of min, p50, p95, p99, max"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_meant_is_refused(value: dict[str, object], message: str) -> None:
    _, told = compiled(value=value)

    (one,) = told
    assert one.startswith(message)


def test_an_answer_over_http_says_where_its_value_stands(tmp_path: Path) -> None:
    assert check(tmp_path, "value: {json: $.queue, lt: 10}", "value").signal is Signal.VALUE
    assert mistakes(tmp_path, text("value: {lt: 10}")) == [
        "5:5: endpoints.api.value: an answer to url has no value: say where it stands, as in "
        "json: $.queue"
    ]
    assert mistakes(tmp_path, text("value: {json: $.a-b, lt: 10}"))[0].startswith(
        '5:19: endpoints.api.value.json: "$.a-b" is no JSONPath'
    )


@pytest.mark.parametrize(
    ("endpoint", "beside"),
    [
        ('url: "http://x/"\n    value: {json: $.n, lt: 5}', True),
        ('url: "http://x/"\n    health: false\n    value: {json: $.n, lt: 5}', False),
        ('metrics: {url: "http://x/", series: up}\n    value: {lt: 5}', False),
        ('metrics: {url: "http://x/", series: up}\n    health: {}\n    value: {lt: 5}', True),
    ],
)
def test_a_value_is_silent_where_health_tells_that_nobody_answered(
    endpoint: str, beside: bool, tmp_path: Path
) -> None:
    compiled = configure(tmp_path, f"endpoints:\n  it:\n    {endpoint}\n")

    rules = [check.rule for check in compiled.endpoints[0].checks]
    assert [rule.beside_health for rule in rules if isinstance(rule, ValueRule)] == [beside]


@pytest.mark.parametrize(("health", "beside"), [("", False), ("health: {}", True)])
def test_a_value_in_windows_is_silent_as_well(health: str, beside: bool, tmp_path: Path) -> None:
    lines = ['metrics: {url: "http://x/", series: up}', "value: {lt: 5, window: 10m}", health]
    text = "\n".join(["endpoints:", "  it:", *(f"    {line}" for line in lines)])
    compiled = configure(tmp_path, f"{text}\n")

    rules = [check.rule for check in compiled.endpoints[0].checks]
    assert [one.beside_health for one in rules if isinstance(one, ValueWindowRule)] == [beside]
