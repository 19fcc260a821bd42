"""Judgement in one line: expectations as a configuration writes them, and one observation."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from monitor.core.expectations import compile_expectation
from monitor.core.judge import judge
from monitor.core.model.endpoint import Check, Endpoint, HealthRule, InARow, Severity, Signal
from monitor.core.sight import Latest
from monitor.metrics import render_probe

if TYPE_CHECKING:
    from monitor.core.model.observation import Observation
    from monitor.core.model.verdict import Verdict


def health(*expectations: object) -> Check:
    """Make a health check with these expectations."""
    return Check(
        id="shop.health",
        endpoint="shop",
        service="shop",
        signal=Signal.HEALTH,
        rule=HealthRule(
            expectations=tuple(
                one for raw in expectations for one in compile_expectation(raw, "monitor.yml:1:1")
            )
        ),
        severity=Severity.HIGH,
        failure_threshold=InARow(count=1),
        success_threshold=1,
        fingerprint="",
    )


def judge_health(observation: Observation, *expectations: object) -> Verdict:
    """Judge by a health check with these expectations."""
    return judge(health(*expectations), observation)


def metrics_of(observation: Observation, *expectations: object) -> dict[str, float]:
    """Give what the metrics page says of an observation judged by these expectations."""
    check = health(*expectations)
    endpoint = Endpoint(
        name="shop",
        service="shop",
        kind="url",
        target="http://shop.test/",
        every=timedelta(seconds=30),
        retry_every=timedelta(seconds=10),
        timeout=timedelta(seconds=5),
        checks=(check,),
    )
    text = render_probe(
        Latest(
            endpoint=endpoint,
            observation=replace(observation, body=b""),
            verdicts=MappingProxyType({check.id: judge(check, observation)}),
            body_length=len(observation.body),
        )
    )
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))

    return {series: float(value) for series, _, value in lines}
