"""When things run: probes on a monotonic, open-loop schedule, and chores on a calendar."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol

from monitor.logs import Log

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from monitor.core.model.endpoint import Endpoint

_log = Log()

TICK: Final = timedelta(milliseconds=20)
"""Starts are rounded up to ticks: a wake-up costs more CPU than a probe's share of it."""

STALL: Final = timedelta(seconds=1)
"""An event loop that is later than this may have missed answers: verdicts are unknown."""

_LONGEST_SPREAD: Final = timedelta(milliseconds=20)
"""Between the first starts of two endpoints, so that a few endpoints all start at once."""

_FIRST_ROUND: Final = 0.8
"""The share of the interval in which the first round starts, so that it also ends within one."""


class Meter(Protocol):
    """What the scheduler measures of itself."""

    def lagged(self, lag: timedelta) -> None:
        """Record how late a probe was started."""

    def skipped(self, endpoint: str, slots: int) -> None:
        """Record slots that were missed."""


@dataclass(slots=True, kw_only=True)
class _Slots:
    """The place of one endpoint in time: one slot each `every`, on the loop's clock.

    `hurry` is by how much the first slot comes before its place. `owed` is a slot that came while
    a retry sample was running, and starts once that has ended.
    """

    endpoint: Endpoint
    due: float
    hurry: float = 0.0
    owed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One probe that runs now."""

    task: asyncio.Task[None]
    scheduled: bool


class Scheduler:
    """Starts each endpoint once per interval, whatever the wall clock does.

    A late start stays late and its lag is measured; a slot that comes while the last one's probe
    still runs, or that the process slept through, is counted as skipped and never made up for. An
    endpoint whose checks are unsettled gets retry samples between its slots. No endpoint is probed
    twice at a time, not even while a reload changes it.
    """

    def __init__(
        self,
        *,
        probe: Callable[[Endpoint, bool], Awaitable[None]],
        settled: Callable[[Endpoint], bool],
        meter: Meter,
    ) -> None:
        self._probe = probe
        self._settled = settled
        self._meter = meter
        self._slots: dict[str, _Slots] = {}
        self._running: dict[str, _Run] = {}
        self._queue: list[tuple[float, int, str, bool]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._stopping = False
        self._wake = math.inf
        self.on_tick: Callable[[float, timedelta], None] = lambda _now, _late: None
        self.stalled_until = -math.inf

    def watch(self, endpoints: Iterable[Endpoint]) -> None:
        """Watch exactly these from now on; an endpoint that stays keeps its place in time."""
        now = asyncio.get_running_loop().time()
        wanted = {endpoint.name: endpoint for endpoint in endpoints}
        kept = {
            name: slots
            for name, slots in self._slots.items()
            if name in wanted and wanted[name].every == slots.endpoint.every
        }
        for name, slots in kept.items():
            slots.endpoint = wanted[name]
        new = [endpoint for name, endpoint in wanted.items() if name not in kept]
        self._slots = kept | {
            endpoint.name: _Slots(
                endpoint=endpoint, due=now + _FIRST_ROUND * place, hurry=(1 - _FIRST_ROUND) * place
            )
            for endpoint, place in zip(new, _spread(new), strict=True)
        }
        retries = [entry for entry in self._queue if entry[2] in kept and not entry[3]]
        self._queue = retries + [
            (slots.due, next(self._order), name, True) for name, slots in self._slots.items()
        ]
        heapq.heapify(self._queue)
        self._changed.set()

    def hasten(self, name: str) -> None:
        """Probe an endpoint now, as a retry sample: what it would see has just changed."""
        due = asyncio.get_running_loop().time()
        heapq.heappush(self._queue, (due, next(self._order), name, False))
        self._changed.set()

    async def run(self) -> None:
        """Start what is due, tick by tick, until stopped."""
        loop = asyncio.get_running_loop()
        try:
            while not self._stopping:
                now = loop.time()
                late = timedelta(seconds=max(0.0, now - self._wake))  # no tick is late at first
                self._start_due(now)
                self.on_tick(now, late)
                await self._sleep(now)
        finally:
            self._wake = math.inf  # nobody oversleeps who no longer means to wake

    async def stop(self, grace: timedelta) -> None:
        """Start nothing more; wait for running probes, then cancel what is left."""
        self._stopping = True
        self._changed.set()
        running = [run.task for run in self._running.values()]
        if not running:
            return

        _, late = await asyncio.wait(running, timeout=grace.total_seconds())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def stalled_since(self, started: float) -> bool:
        """Whether the event loop stood still for more than a second since a monotonic time.

        After a stall a probe may be resumed before the scheduler itself is.
        """
        overdue = asyncio.get_running_loop().time() - self._wake

        return self.stalled_until >= started or overdue > STALL.total_seconds()

    async def _sleep(self, now: float) -> None:
        """Sleep to the next tick at which something is due, at most a second."""
        tick = TICK.total_seconds()
        due = self._queue[0][0] if self._queue else math.inf
        wake = min(max(math.ceil(due / tick) * tick if due < math.inf else due, now), now + 1)
        self._wake = wake
        self._changed.clear()
        try:
            async with asyncio.timeout_at(wake):
                await self._changed.wait()
        except TimeoutError:
            late = asyncio.get_running_loop().time() - wake
            if late > STALL.total_seconds():
                self.stalled_until = wake + late
                _log.warning("event_loop_stalled", seconds=round(late, 3))

    def _start_due(self, now: float) -> None:
        while self._queue and self._queue[0][0] <= now:
            due, _, name, scheduled = heapq.heappop(self._queue)
            slots = self._slots.get(name)
            if slots is None:
                continue
            if scheduled:
                self._start_slot(slots, due, now)
            elif name not in self._running:
                self._start(slots, scheduled=False)

    def _start_slot(self, slots: _Slots, due: float, now: float) -> None:
        if due != slots.due:
            return

        every = slots.endpoint.every.total_seconds()
        missed = int((now - due) // every)
        slots.due = due + (missed + 1) * every + slots.hurry
        slots.hurry = 0.0
        heapq.heappush(self._queue, (slots.due, next(self._order), slots.endpoint.name, True))
        running = self._running.get(slots.endpoint.name)
        if running is None:
            self._start_late(slots, due, now)
        elif running.scheduled or slots.owed is not None:
            missed += 1
        else:
            slots.owed = due
        if missed:
            self._meter.skipped(slots.endpoint.name, missed)

    def _start_late(self, slots: _Slots, due: float, now: float) -> None:
        self._meter.lagged(timedelta(seconds=now - due))
        self._start(slots, scheduled=True)

    def _start(self, slots: _Slots, *, scheduled: bool) -> None:
        name = slots.endpoint.name
        task = asyncio.create_task(self._run_one(slots.endpoint, scheduled), name=f"probe {name}")
        self._running[name] = _Run(task=task, scheduled=scheduled)

    async def _run_one(self, endpoint: Endpoint, scheduled: bool) -> None:
        started = asyncio.get_running_loop().time()
        try:
            await self._probe(endpoint, scheduled)
        finally:
            del self._running[endpoint.name]
        self._plan_next(endpoint.name, started)

    def _plan_next(self, name: str, started: float) -> None:
        """Start the slot that had to wait, or plan a retry sample before the next one."""
        slots = self._slots.get(name)
        if slots is None or self._stopping:
            return

        now = asyncio.get_running_loop().time()
        if slots.owed is not None:
            due, slots.owed = slots.owed, None
            self._start_late(slots, due, now)
            return

        endpoint = slots.endpoint
        if endpoint.retry_every >= endpoint.every or self._settled(endpoint):
            return

        due = max(started + endpoint.retry_every.total_seconds(), now)
        if due < slots.due:
            heapq.heappush(self._queue, (due, next(self._order), endpoint.name, False))
            self._changed.set()


def _spread(endpoints: list[Endpoint]) -> list[float]:
    """Spread places evenly over the interval, but start a handful of endpoints at once."""
    gap = _LONGEST_SPREAD.total_seconds()

    return [
        min(place * gap, endpoint.every.total_seconds() * place / len(endpoints))
        for place, endpoint in enumerate(endpoints)
    ]


class Calendar:
    """Chores on the wall clock, owned by APScheduler in UTC.

    APScheduler sleeps until a wall-clock time: set back an hour, it would do nothing for an hour.
    So its jobs are planned anew whenever the clock was set.
    """

    def __init__(self) -> None:
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True}
        )
        self._intervals: dict[str, timedelta] = {}

    def every(self, interval: timedelta, chore: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run a chore at this interval, the first time one interval from now."""
        job = self._scheduler.add_job(chore, "interval", seconds=interval.total_seconds())
        self._intervals[job.id] = interval

    def start(self) -> None:
        """Begin; needs a running event loop."""
        self._scheduler.start()

    def plan_anew(self) -> None:
        """Let each chore run one interval from now, by the clock as it is."""
        for job, interval in self._intervals.items():
            # A new trigger: the old one starts at a time of the clock as it was before.
            self._scheduler.reschedule_job(
                job, trigger="interval", seconds=interval.total_seconds()
            )

    def stop(self) -> None:
        """Start nothing more; a chore that runs is awaited by its owner."""
        if self._scheduler.running:
            self._scheduler.pause()
            self._scheduler.shutdown(wait=False)
