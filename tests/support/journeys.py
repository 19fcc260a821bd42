"""One journey in one line: steps as a configuration writes them, then what was seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from monitor.core.expectations import HTTP_SOURCES, compile_expectation
from monitor.core.model.endpoint import HealthRule
from monitor.probes import KINDS
from tests.support.http_probe import make_context
from tests.support.judging import make_check

if TYPE_CHECKING:
    from collections.abc import Callable

    from monitor.core.model.observation import Observation
    from monitor.probes.probe import Probe

HEALTH = make_check(HealthRule(expectations=(), has_status=False))


def make(*steps: dict[str, Any], timeout: float = 5, mask: Callable[[str], str] = str) -> Probe:
    kind = KINDS["journey"]
    named = [{"name": f"s{number}"} | step for number, step in enumerate(steps, start=1)]
    options = kind.options.model_validate(named)
    assert kind.judges is not None
    expectations = {
        place: tuple(
            expectation
            for number, one in enumerate(raw)
            for expectation in compile_expectation(
                one, f"monitor.yml:{place[0]}:{number}", sources=HTTP_SOURCES
            )
        )
        for place, raw in kind.judges(options)
    }
    context = replace(make_context(timeout), expectations=expectations, mask=mask)
    probe: Probe = kind.make(options, context)

    return probe


async def go(*steps: dict[str, Any], timeout: float = 5, **more: Any) -> Observation:
    probe = make(*steps, timeout=timeout, **more)
    try:
        seen = await probe.observe()
    finally:
        await probe.close()

    assert sum(seen.phases.values(), timedelta()) <= seen.duration
    assert {one.family for one in seen.measures} <= set(KINDS["journey"].series)

    return seen


def why(seen: Observation) -> str:
    assert seen.fault is not None, seen.values

    return seen.fault.message
