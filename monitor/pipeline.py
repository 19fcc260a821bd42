"""The life of one probe: observe, make sure that the fault is not our own, judge, record, wake."""

from __future__ import annotations

import asyncio
import resource
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from monitor.core.lateness import excuse
from monitor.core.model.observation import WITHOUT_ANSWER, Code, Fault
from monitor.core.model.verdict import Outcome
from monitor.logs import Log
from monitor.loop_lag import LoopLag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from monitor.core.engine import Engine
    from monitor.core.model.changes import Changes
    from monitor.core.model.endpoint import Endpoint
    from monitor.core.model.observation import Observation
    from monitor.probes.probe import Probe
    from monitor.store.journal import Journal
    from monitor.witness import Witnesses

_log = Log()

_SPARE_DESCRIPTORS: Final = 128
_DESCRIPTORS_PER_PROBE: Final = 2


class Meter(Protocol):
    """What is measured of probes and of what follows from them."""

    def observed(self, endpoint: Endpoint, observation: Observation) -> None:
        """Record one probe, after the fault was attributed."""

    def broke(self, endpoint: Endpoint) -> None:
        """Record that judging a probe failed because of a bug of ours."""

    def changed(self, changes: Changes) -> None:
        """Record what a bundle changed."""


class Pipeline:
    """Runs one probe and hands on what follows from it.

    `disturbance` says what happened to the monitor itself since a monotonic time, empty where
    nothing did. `wake` is called when there may be something to deliver or to carry out. `slots`
    bounds how many sockets probes hold at once. It never waits for the store or for a receiver:
    the journal keeps the order, so that nothing is told or done before what led to it is durable.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        probes: Mapping[str, Probe],
        witnesses: Witnesses,
        journal: Journal,
        clock: Callable[[], datetime],
        disturbance: Callable[[float], str],
        wake: Callable[[], None],
        meter: Meter,
        slots: int,
    ) -> None:
        self.probes = probes
        self.witnesses = witnesses
        self.sees = True
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._disturbance = disturbance
        self._wake = wake
        self._meter = meter
        self._slots = asyncio.Semaphore(slots)
        self._most = slots
        self._several = asyncio.Lock()
        self._lag = LoopLag()

    async def run(self, endpoint: Endpoint, scheduled: bool) -> None:
        """Probe an endpoint once and draw all consequences; a probe that is cancelled has none."""
        try:
            await self._run(endpoint, scheduled)
        except Exception:  # noqa: BLE001 - a bug of ours ends this one probe, and nobody else pays
            _log.exception("probe_broke", endpoint=endpoint.name)
            self._meter.broke(endpoint)

    async def _run(self, endpoint: Endpoint, scheduled: bool) -> None:
        observation = await self._observe(endpoint)
        if observation is None:
            return

        self._meter.observed(endpoint, observation)
        self.record(
            self._engine.take(endpoint, observation, scheduled=scheduled, now=self._clock())
        )

    def record(self, changes: Changes) -> None:
        """Let changes that are in memory already become durable, and wake who acts on them."""
        if not changes:
            return

        self._meter.changed(changes)
        _log_turns(changes)
        if not changes.urgent and all(
            state.last_outcome is Outcome.PASS for state in changes.states
        ):
            self._journal.later(changes)
            return

        self._journal.soon(changes)
        self._wake()

    def replace(self, probes: Mapping[str, Probe], witnesses: Witnesses) -> None:
        """Take over a changed configuration; what a probe under way sees is of the past."""
        self.probes = probes
        self.witnesses = witnesses

    async def _observe(self, endpoint: Endpoint) -> Observation | None:
        """Look once; None where a reload changed what is asked, and the answer is of the past."""
        async with self._hold(_sockets(self.probes.get(endpoint.name))):
            started = asyncio.get_running_loop().time()
            probe = self.probes.get(endpoint.name)
            if probe is None or not self._asks(endpoint, probe):
                return None

            with self._lag.measured() as lateness:
                observation = await probe.observe()

        observation = excuse(observation, lateness.total)
        happened = self._disturbance(started)
        if not happened and observation.fault is not None:
            observation = await self._attribute(endpoint, observation, started)
            happened = self._disturbance(started)  # asking the witnesses takes its time
        elif not happened and endpoint.witnessed:
            self.sees = True  # an answer from outside proves that the monitor is not cut off
            self.witnesses.hear_of_network()
        if happened:
            observation = self._disown(observation, happened)

        return observation if self._asks(endpoint, probe) else None

    def _hold(self, sockets: int) -> AbstractAsyncContextManager[None]:
        """Hold a slot for each socket, or all that there are: more cannot be had."""
        return self._slots if sockets == 1 else self._hold_several(min(sockets, self._most))

    @asynccontextmanager
    async def _hold_several(self, wanted: int) -> AsyncIterator[None]:
        async with AsyncExitStack() as held:
            # two that each held a part would wait for each other
            async with self._several:
                for _ in range(wanted):
                    await held.enter_async_context(self._slots)
            yield

    def _asks(self, endpoint: Endpoint, probe: Probe) -> bool:
        """Whether this is still what is asked of the endpoint, and by whom."""
        name = endpoint.name

        return self._engine.endpoints.get(name) == endpoint and self.probes.get(name) is probe

    async def _attribute(
        self, endpoint: Endpoint, observation: Observation, started: float
    ) -> Observation:
        """Make sure that a fault is not our own."""
        fault = observation.fault
        if fault is None or fault.own:
            return observation
        if fault.code in WITHOUT_ANSWER:
            fault = await self.witnesses.attribute(
                fault, witnessed=endpoint.witnessed, since=started
            )
        if endpoint.witnessed:
            self.sees = not fault.own

        return replace(observation, fault=fault)

    def _disown(self, observation: Observation, happened: str) -> Observation:
        """Blame ourselves for whatever was seen, at a time by the clock as it is now."""
        fault = Fault(code=Code.INTERNAL, message=happened, own=True)

        return replace(observation, fault=fault, at=self._clock() - observation.duration)


def _sockets(probe: Probe | None) -> int:
    """Say how many sockets a probe holds at once."""
    return getattr(probe, "sockets", 1)


def probe_slots() -> int:
    """Leave descriptors for the store, receivers and clients; probes get the rest."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    return max(8, (soft - _SPARE_DESCRIPTORS) // _DESCRIPTORS_PER_PROBE)


def _log_turns(changes: Changes) -> None:
    """Log transitions, not repetitions: the timeline holds exactly them."""
    for entry in changes.timeline:
        _log.info(
            "incident",
            incident=entry.incident,
            event_name=entry.event,
            actor=entry.actor,
            text=entry.text,
        )
    for deploy in changes.deploys:
        _log.info(
            "deploy",
            service=deploy.service,
            version=deploy.version,
            state=deploy.state.value,
            kind=deploy.kind.value,
        )
    for silence in changes.silences:
        _log.info(
            "silence",
            id=silence.id,
            services=silence.services,
            until=silence.ends_at.isoformat(),
            by=silence.by,
            removed_by=silence.removed_by,
        )
    for rollback in changes.rollbacks:
        _log.info(
            "rollback",
            id=rollback.id,
            service=rollback.service,
            state=rollback.state.value,
            blocked=rollback.blocked.value if rollback.blocked else None,
            kind=rollback.kind.value,
            level=rollback.level,
            by=rollback.vetoed_by or rollback.approved_by or rollback.started_by or None,
        )
