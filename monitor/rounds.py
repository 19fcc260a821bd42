"""The one-shot check: rounds over the selected endpoints, then an orderly end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from monitor.core.model.rollback import RollbackState
from monitor.core.report import CheckReport, overall, report_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from monitor.app import Monitor
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.verdict import Outcome

OUTBOX_GRACE: Final = timedelta(seconds=10)
"""How long notices get to be delivered before a run ends; the rest waits in the store."""

_RUNNING: Final = (RollbackState.EXECUTING, RollbackState.VERIFYING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What a one-shot run does: `cycles` rounds, starts `every` apart.

    `until` ends it at the first round with this verdict.
    """

    endpoints: Sequence[Endpoint]
    cycles: int
    every: timedelta
    until: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ended. `verdict` is that of the last round; `cycles` counts finished rounds."""

    verdict: Outcome
    reports: tuple[CheckReport, ...]
    started_at: datetime
    finished_at: datetime
    cycles: int
    interrupted: bool
    reached: bool
    undelivered: int


async def run_rounds(
    monitor: Monitor,
    rounds: Rounds,
    stop: asyncio.Event,
    on_probe: Callable[[int, Endpoint], None] = lambda _round, _endpoint: None,
) -> Finished:
    """Probe each endpoint once a round; then finish rollbacks and deliver what is queued.

    `on_probe` hears of each finished probe: the number of its round, from 1, and its endpoint.
    """
    started_at = monitor.now()
    begin = asyncio.get_running_loop().time()
    done = 0
    reports: tuple[CheckReport, ...] = ()
    reached = False
    while done < rounds.cycles and not stop.is_set() and not reached:
        if done and await _stopped(stop, begin + done * rounds.every.total_seconds()):
            break
        await _round(monitor, rounds.endpoints, done + 1, on_probe, stop)
        if stop.is_set():
            break
        done += 1
        reports = report_checks(monitor.engine, rounds.endpoints, monitor.now())
        reached = overall(reports) is rounds.until

    if monitor.options.hooks and not stop.is_set():
        await _finish_rollbacks(monitor, stop)
    undelivered = await monitor.dispatch.drain(OUTBOX_GRACE) if monitor.options.notify else 0

    return Finished(
        verdict=overall(reports),
        reports=reports,
        started_at=started_at,
        finished_at=monitor.now(),
        cycles=done,
        interrupted=stop.is_set(),
        reached=reached,
        undelivered=undelivered,
    )


async def _round(
    monitor: Monitor,
    endpoints: Sequence[Endpoint],
    number: int,
    on_probe: Callable[[int, Endpoint], None],
    stop: asyncio.Event,
) -> None:
    """Probe all at once; an interruption cancels what still runs, without a verdict."""

    async def probe(endpoint: Endpoint) -> None:
        await monitor.pipeline.run(endpoint, True)
        on_probe(number, endpoint)

    probing = asyncio.ensure_future(asyncio.gather(*(probe(endpoint) for endpoint in endpoints)))
    interrupted = asyncio.create_task(stop.wait())
    await asyncio.wait((probing, interrupted), return_when=asyncio.FIRST_COMPLETED)
    interrupted.cancel()
    if not probing.done():
        probing.cancel()
    with suppress(asyncio.CancelledError):
        await probing


async def _finish_rollbacks(monitor: Monitor, stop: asyncio.Event) -> None:
    """Go on probing what verifies a rollback until it has ended one way or the other."""
    loop = asyncio.get_running_loop()
    while not stop.is_set():
        monitor.pipeline.record(monitor.engine.tick(monitor.now()))
        triggers = {
            check
            for rollback in monitor.engine.situation.rollbacks.values()
            if rollback.state in _RUNNING
            for check in rollback.triggers
        }
        if not triggers:
            return

        verifying = [
            endpoint
            for endpoint in monitor.compiled.endpoints
            if any(check.id in triggers for check in endpoint.checks)
        ]
        if not verifying:
            return

        started = loop.time()
        await _round(monitor, verifying, 0, lambda _round, _endpoint: None, stop)
        pause = min(endpoint.retry_every for endpoint in verifying).total_seconds()
        await _stopped(stop, started + pause)


async def _stopped(stop: asyncio.Event, until: float) -> bool:
    """Sleep until a monotonic time; say whether the run was stopped meanwhile."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            await stop.wait()

    return stop.is_set()
