"""The one-shot check: rounds over the selected endpoints, then an orderly end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.rollback import RollbackState
from monitor.core.model.verdict import Outcome
from monitor.core.report import CheckReport, overall, report_checks
from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from monitor.app import Monitor
    from monitor.core.model.endpoint import Endpoint

_log = Log()

OUTBOX_GRACE: Final = timedelta(seconds=10)
"""How long notices get to be delivered before a run ends; the rest waits in the store."""

HELD_GRACE: Final = timedelta(seconds=10)
"""How much longer than its verification a rollback is waited for while nothing is applied."""

_RUNNING: Final = (RollbackState.EXECUTING, RollbackState.VERIFYING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What a one-shot run does: `cycles` rounds, starts `every` apart.

    A round that could not start in time starts late; the places that it missed stay empty.
    `until` ends the run at the first round with this verdict.
    """

    endpoints: Sequence[Endpoint]
    cycles: int
    every: timedelta
    until: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a run ended. `cycles` counts finished rounds.

    `verdict` and `reports` are those of the last of them; without one the verdict is unknown.
    """

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
    """Probe each endpoint once a round; then finish rollbacks and evidence, and deliver all.

    `on_probe` hears of each finished probe: the number of its round, from 1, and its endpoint.
    """
    started_at = monitor.now()
    due = asyncio.get_running_loop().time()
    done = 0
    reports: tuple[CheckReport, ...] = ()
    reached = False
    while done < rounds.cycles and not reached and not await _stopped(stop, due):
        due = _next_due(due, rounds.every)
        await _round(monitor, rounds.endpoints, done + 1, on_probe, stop)
        if stop.is_set():
            break
        monitor.pipeline.record(monitor.engine.tick(monitor.now()))
        done += 1
        reports = report_checks(monitor.engine, rounds.endpoints, monitor.now())
        reached = overall(reports) is rounds.until

    if monitor.options.hooks:
        await _finish_rollbacks(monitor, stop)
    await _unless(stop, asyncio.ensure_future(monitor.evidence.settle()))
    undelivered = await _drain(monitor, stop) if monitor.options.notify else 0

    return Finished(
        verdict=overall(reports) if done else Outcome.UNKNOWN,
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

    probing = asyncio.gather(*(probe(endpoint) for endpoint in endpoints))
    if await _unless(stop, probing):
        probing.result()


async def _finish_rollbacks(monitor: Monitor, stop: asyncio.Event) -> None:
    """Go on probing what verifies a rollback until it has ended one way or the other.

    One that is held back half-way, by a store or a network that is gone, stays in the journal: it
    goes on with the next run.
    """
    loop = asyncio.get_running_loop()
    moved = loop.time()
    while not stop.is_set():
        monitor.pipeline.record(monitor.engine.tick(monitor.now()))
        running = [
            rollback
            for rollback in monitor.engine.situation.rollbacks.values()
            if rollback.state in _RUNNING
        ]
        triggers = {check for rollback in running for check in rollback.triggers}
        verifying = [
            endpoint
            for endpoint in monitor.compiled.endpoints
            if any(check.id in triggers for check in endpoint.checks)
        ]
        if not verifying:
            return

        if monitor.actuator.applying:
            moved = loop.time()
        patience = max(rollback.verify_within for rollback in running) + HELD_GRACE
        if loop.time() - moved > patience.total_seconds():
            _log.warning("rollback_left_half_way", rollbacks=[one.id for one in running])
            return

        started = loop.time()
        await _round(monitor, verifying, 0, lambda _round, _endpoint: None, stop)
        pause = min(endpoint.retry_every for endpoint in verifying).total_seconds()
        await _stopped(stop, started + pause)


async def _drain(monitor: Monitor, stop: asyncio.Event) -> int:
    """Give the outbox its time, unless somebody waits for the end; count what is left of it."""
    draining = asyncio.ensure_future(monitor.dispatch.drain(OUTBOX_GRACE))
    if await _unless(stop, draining):
        return draining.result()

    return await monitor.dispatch.drain(timedelta())


def _next_due(due: float, every: timedelta) -> float:
    """Give the next place in time: of those that are past already, none is made up for."""
    late = asyncio.get_running_loop().time() - due

    return due + (max(late, 0) // every.total_seconds() + 1) * every.total_seconds()


async def _unless(stop: asyncio.Event, work: asyncio.Future[Any]) -> bool:
    """Wait for work to be done; cancel it where the run is stopped first, or nobody waits."""
    interrupted = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((work, interrupted), return_when=asyncio.FIRST_COMPLETED)
        return work.done()
    finally:
        interrupted.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def _stopped(stop: asyncio.Event, until: float) -> bool:
    """Sleep until a monotonic time; say whether the run was stopped meanwhile."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            await stop.wait()

    return stop.is_set()
