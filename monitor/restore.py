"""What an earlier process left: its store, how old it is, the windows that were open at its end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from monitor.clock import SteadyClock
from monitor.core.baselines import baseline_of, reach
from monitor.core.freezing import frozen_since
from monitor.core.model.endpoint import (
    LatencyRule,
    RateRule,
    ValueWindowRule,
    WindowRule,
)
from monitor.core.model.verdict import JUDGED, Outcome
from monitor.store import MemoryStore, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

    from monitor.clock import Clock
    from monitor.core.engine import Engine
    from monitor.core.model.endpoint import Check, Endpoint, Sample
    from monitor.core.situation import Situation

    Windows = Iterable[tuple[Check, datetime]]
    """Checks, each with the time since when it needs samples."""

_MOST_RESTORED: Final = 20_000
_UNKNOWN: Final = timedelta(days=1)
"""So long ago a probe is looked for of which the counters know nothing."""


class Opening(Protocol):
    """How a process needs the store; `app.RunOptions` says what each means."""

    @property
    def holder(self) -> str: ...
    @property
    def state(self) -> bool: ...
    @property
    def looks(self) -> bool: ...
    @property
    def patient(self) -> bool: ...


async def open_store(path: Path, opening: Opening) -> Store | MemoryStore:
    """Open the store: not at all, to look, or as the one that writes."""
    if not opening.state:
        return MemoryStore()
    if opening.looks:
        from monitor.store.snapshot import Snapshot

        return await Snapshot.read(path)

    return await Store.open(path, holder=opening.holder, patient=opening.patient)


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
        (check, _needs_since(endpoint, check, check.rule, engine.situation, now))
        for endpoint in endpoints
        for check in endpoint.checks
        if isinstance(check.rule, WindowRule)
    ]
    latencies = [one for one in windows if isinstance(one[0].rule, LatencyRule)]
    values = [one for one in windows if isinstance(one[0].rule, ValueWindowRule)]
    _refill(engine, latencies, await store.samples_of(_earliest(latencies)), now)
    _refill(engine, values, await store.values_of(_earliest(values)), now)


def _needs_since(
    endpoint: Endpoint, check: Check, rule: WindowRule, situation: Situation, now: datetime
) -> datetime:
    """Say since when a window needs samples: since it was judged last, or for its baseline.

    The first window began no longer ago than its length before the newest probe.
    """
    state = situation.states.get(check.id)
    since = state.window_end if state is not None else None
    if since is None:
        states = situation.states_of(one.id for one in endpoint.checks)
        probed = max((one.last_at for one in states if one.last_at is not None), default=None)
        since = probed - rule.window if probed else now - _UNKNOWN
    since = min(since, now - rule.window)
    baseline = baseline_of(rule)
    if baseline is None:
        return since

    return min(since, reach(baseline, rule.window, now, frozen_since(check, situation, now)))


def _refill(
    engine: Engine,
    windows: Windows,
    samples: Mapping[str, Iterable[tuple[datetime, Sample]]],
    now: datetime,
) -> None:
    for check, since in windows:
        known = samples.get(check.endpoint, ())
        engine.restore_window(check, [(at, one) for at, one in known if at >= since], now)


def _earliest(windows: Windows) -> dict[str, datetime]:
    """Give for each endpoint since when one of its windows needs samples."""
    earliest: dict[str, datetime] = {}
    for check, since in windows:
        earliest[check.endpoint] = min(earliest.get(check.endpoint, since), since)

    return earliest


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
