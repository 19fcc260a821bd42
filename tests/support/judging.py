"""What tests of judging share: an answer, and checks of each kind, with only what matters named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.core.expectations import compile_expectation
from monitor.core.headers import Policy, PolicyRule
from monitor.core.model.endpoint import (
    CertificateRule,
    Check,
    FailureThreshold,
    HeadersRule,
    HealthRule,
    InARow,
    LatencyRule,
    OnInsufficient,
    RateRule,
    Rule,
    Severity,
    Signal,
    ValueRule,
    ValueWindowRule,
)
from monitor.core.model.observation import Code, Fault, Observation

NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def answer(**facts: Any) -> Observation:
    """Give an observation of a plain 200 after 100 ms, with what is named changed."""
    plain: dict[str, Any] = {
        "at": NOON,
        "duration": timedelta(milliseconds=100),
        "status": 200,
    }

    return Observation(**plain | facts)


def no_answer(code: Code, message: str = "no answer came", *, own: bool = False) -> Observation:
    """Give an observation of a fault before any answer."""
    return answer(status=None, fault=Fault(code=code, message=message, own=own))


def make_check(
    rule: Rule,
    *,
    threshold: FailureThreshold | None = None,
    success: int = 1,
    fingerprint: str = "f",
) -> Check:
    """Give a check of the endpoint `api` that judges by a rule."""
    signal = {
        HealthRule: Signal.HEALTH,
        HeadersRule: Signal.HEADERS,
        LatencyRule: Signal.LATENCY,
        CertificateRule: Signal.CERTIFICATE,
        RateRule: Signal.RATE,
        ValueRule: Signal.VALUE,
        ValueWindowRule: Signal.VALUE,
    }[type(rule)]

    return Check(
        id=f"api.{signal}",
        endpoint="api",
        service="shop",
        signal=signal,
        rule=rule,
        severity=Severity.HIGH,
        failure_threshold=threshold or InARow(count=3),
        success_threshold=success,
        fingerprint=fingerprint,
    )


def health(*expectations: object) -> Check:
    """Give a health check with these expectations."""
    return make_check(
        HealthRule(
            expectations=tuple(one for raw in expectations for one in compile_expectation(raw, ""))
        )
    )


def headers(*policies: Policy | PolicyRule, expect: tuple[object, ...] = ()) -> Check:
    """Give a headers check with these policies and expectations."""
    compiled = tuple(one for raw in expect for one in compile_expectation(raw, ""))

    rules = tuple(
        one if isinstance(one, PolicyRule) else PolicyRule(policy=one) for one in policies
    )

    return make_check(HeadersRule(policies=rules, expectations=compiled))


def latency_rule(
    *,
    percentile: int = 95,
    limit: timedelta = timedelta(seconds=1),
    inclusive: bool = False,
    window: timedelta = timedelta(minutes=5),
    min_samples: int = 1,
    on_insufficient: OnInsufficient = OnInsufficient.HOLD,
) -> LatencyRule:
    """Give a latency rule: p95 below a second over five minutes, from one sample on."""
    return LatencyRule(
        percentile=percentile,
        limit=limit,
        inclusive=inclusive,
        window=window,
        min_samples=min_samples,
        on_insufficient=on_insufficient,
        at="monitor.yml:7:3",
    )
