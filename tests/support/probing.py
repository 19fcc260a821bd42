"""One observation of any kind of probe in one line, and what its own health says of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from monitor.config.compile_checks import complete_health
from monitor.core.expectations import Source, compile_expectation
from monitor.core.judge import judge
from monitor.core.model.endpoint import HealthRule
from monitor.probes import KINDS
from tests.support.http_probe import make_context
from tests.support.judging import make_check

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitor.core.model.observation import Fault, Observation
    from monitor.core.model.verdict import Verdict
    from monitor.names import Resolver


async def ask(
    kind: str,
    data: object,
    *,
    timeout: float = 5,
    base: Path | None = None,
    resolver: Resolver | None = None,
) -> Observation:
    """Ask once as a kind does whose options are written like this; `.test` names are loopback."""
    options = KINDS[kind].options.model_validate(data, context={"base": base} if base else None)
    probe = KINDS[kind].make(options, make_context(timeout, resolver))
    try:
        seen: Observation = await probe.observe()
    finally:
        await probe.close()
        await asyncio.sleep(0)  # the loop closes sockets in its next round

    assert sum(seen.phases.values(), timedelta()) <= seen.duration
    assert {one.family for one in seen.measures} <= set(KINDS[kind].series)

    return seen


def judge_health(kind: str, seen: Observation, *expect: Mapping[str, Any]) -> Verdict:
    """Judge by the health of an endpoint of this kind, with what is expected of it besides."""
    traits = KINDS[kind]
    written = [
        one for raw in expect for one in compile_expectation(raw, "", sources=traits.sources)
    ]
    healthy = traits.options.model_construct().healthy
    rule = HealthRule(
        expectations=complete_health(written, healthy, ""),
        has_status=Source.STATUS in traits.sources,
    )

    return judge(make_check(rule), seen)


def fault_of(seen: Observation) -> Fault:
    """Give the fault, which there has to be."""
    assert seen.fault is not None

    return seen.fault


def measured(seen: Observation, family: str, **labels: str) -> float | None:
    """Give the value of a series of the kind's own; None where there is none."""
    found = {(one.family, frozenset(one.labels)): one.value for one in seen.measures}

    return found.get((family, frozenset(labels.items())))
