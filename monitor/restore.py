"""What an earlier process left: how old it is, and the windows that were open when it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.clock import SteadyClock
from monitor.core.model.endpoint import (
    Baseline,
    LatencyRule,
    RateRule,
    ValueWindowRule,
    WindowRule,
)
from monitor.core.model.verdict import JUDGED, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime, timedelta

    from monitor.clock import Clock
    from monitor.core.engine import Engine
    from monitor.core.model.endpoint import Check, Endpoint
    from monitor.core.situation import Situation
    from monitor.core.windows import Sample
    from monitor.store import MemoryStore, Store

    Windows = Iterable[tuple[Check, WindowRule]]

_MOST_RESTORED: Final = 20_000


def start_clock(situation: Situation) -> Clock:
    """Give a clock that does not hide how old the store is by what it shows at the start."""
    clock = SteadyClock()
    written = [state.last_at for state in situation.states.values() if state.last_at is not None]
    if written:
        clock.believe_written(max(written))

    return clock


async def restore_windows(
    engine: Engine, endpoints: Iterable[Endpoint], store: Store | MemoryStore, now: datetime
) -> None:
    """Fill the windows that were open, and the sliding times of failure rates."""
    await _restore_shares(engine, endpoints, store, now)
    windows = [
        (check, check.rule)
        for endpoint in endpoints
        for check in endpoint.checks
        if isinstance(check.rule, WindowRule)
    ]
    latencies = [one for one in windows if isinstance(one[1], LatencyRule)]
    values = [one for one in windows if isinstance(one[1], ValueWindowRule)]
    _refill(engine, latencies, await store.samples_of(_since(latencies, now)), now)
    _refill(engine, values, await store.values_of(_since(values, now)), now)


def _since(windows: Windows, now: datetime) -> dict[str, datetime]:
    """Give for each endpoint the start of the longest window."""
    since: dict[str, datetime] = {}
    for check, rule in windows:
        since[check.endpoint] = min(since.get(check.endpoint, now), now - _reach(rule))

    return since


def _reach(rule: WindowRule) -> timedelta:
    """Say how far back a rule looks."""
    if isinstance(rule, LatencyRule) and isinstance(rule.limit, Baseline):
        return rule.limit.over + rule.window

    return rule.window


def _refill(
    engine: Engine,
    windows: Windows,
    samples: Mapping[str, Iterable[tuple[datetime, Sample]]],
    now: datetime,
) -> None:
    for check, rule in windows:
        known = samples.get(check.endpoint, ())
        engine.restore_window(check, [(at, one) for at, one in known if at >= now - _reach(rule)])


async def _restore_shares(
    engine: Engine, endpoints: Iterable[Endpoint], store: Store | MemoryStore, now: datetime
) -> None:
    rates = [
        (check, check.rule)
        for endpoint in endpoints
        for check in endpoint.checks
        if isinstance(check.rule, RateRule)
    ]
    seen = await store.outcomes_of(
        {check.endpoint: now - rule.over for check, rule in rates},
        {check.endpoint: rule.of for check, rule in rates},
        _MOST_RESTORED,
    )
    for check, rule in rates:
        engine.restore_share(
            check,
            [
                (at, outcome is Outcome.FAIL)
                for at, outcome in seen.get(check.endpoint, ())
                if now - rule.over < at <= now and outcome in JUDGED
            ],
        )
