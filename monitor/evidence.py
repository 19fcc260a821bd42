"""Collects evidence: a few commands at a time, when an incident opens, each once."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from monitor.core.evidence import FRESH, Seen, find_wanted, keep
from monitor.core.expectations.shown import plain
from monitor.logs import Log
from monitor.options import Redactor, beyond_cut, format_duration
from monitor.runner.program import clean
from monitor.runner.tied import NotBegun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime, timedelta

    from monitor.core.incidents import IncidentStep
    from monitor.core.model.incident import Incident
    from monitor.core.situation import Situation
    from monitor.runner.command import Finished
    from monitor.runner.evidence import EvidenceCommand
    from monitor.runner.tied import Commands

    Named = Mapping[str, Mapping[str, EvidenceCommand]]
    """The commands of evidence by service and name."""

_log = Log()

AT_ONCE: Final = 2
"""How many commands of evidence run at once: much fails at once in the worst moment for it."""

MOST_WAITING: Final = 40
"""How many wait; of more, those that wait longest are dropped, since they say least by then."""

_AT_A_TIME: Final = 20
"""How many lines are written before probes get on."""

_PAUSE: Final = 0.1
"""How long openings are gathered before they are looked at, in seconds."""


class Evidence:
    """Runs the commands of the services whose incidents open, and keeps what they say.

    `act` takes what became of an incident. After a restart, what has no line yet is run once more.
    """

    def __init__(
        self,
        *,
        named: Named,
        commands: Commands,
        situation: Situation,
        act: Callable[[IncidentStep], None],
        clock: Callable[[], datetime],
        mask: Callable[[str], str],
    ) -> None:
        self._named = named
        self._commands = commands
        self._situation = situation
        self._act = act
        self._clock = clock
        self._mask = mask
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._waiting: deque[tuple[str, str]] = deque()
        self._begun: dict[tuple[str, str], datetime] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = False

    def wake(self) -> None:
        """Look soon whether an incident has opened."""
        if self._named and not self._stopping:
            self._idle.clear()
            self._woken.set()

    def replace(self, named: Named) -> None:
        """Take over a changed configuration; what runs goes on."""
        self._named = named

    async def run(self) -> None:
        """Collect until it is cancelled."""
        self.wake()
        while True:
            await self._woken.wait()
            await asyncio.sleep(_PAUSE)
            self._woken.clear()
            await self._look()
            self._begin()
            self._settle()

    async def settle(self) -> None:
        """Wait until all is collected; each command ends by its own timeout."""
        await self._idle.wait()

    async def stop(self, grace: timedelta) -> None:
        """Let what runs end, but not for long: the rest is ended, and run again after a restart."""
        self._stopping = True
        self._waiting.clear()
        if self._running:
            await asyncio.wait(set(self._running), timeout=grace.total_seconds())
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _look(self) -> None:
        """Queue what is wanted and not begun, and drop what is too much."""
        now = self._clock()
        self._begun = {key: at for key, at in self._begun.items() if now - at <= 2 * FRESH}
        names = {service: tuple(named) for service, named in self._named.items()}
        wanted = find_wanted(
            self._situation.open_incidents(), self._situation.timelines, names, now
        )
        for incident, name in wanted:
            if (key := (incident.id, name)) not in self._begun:
                self._begun[key] = now
                self._waiting.append(key)

        dropped = [self._waiting.popleft() for _ in range(len(self._waiting) - MOST_WAITING)]
        if dropped:
            _log.warning("evidence_dropped", commands=len(dropped))
        for number, (incident_id, name) in enumerate(dropped, start=1):
            ending = f"not collected, since {MOST_WAITING} others were waiting"
            self._keep(incident_id, Seen(name=name, ending=ending))
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _begin(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            incident, name = self._waiting.popleft()
            task = asyncio.create_task(self._collect(incident, name), name=f"evidence {name}")
            self._running.add(task)
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("evidence_broke", exc_info=error)
        if not self._stopping:
            self._begin()
        self._settle()

    def _settle(self) -> None:
        if not self._running and not self._waiting and not self._woken.is_set():
            self._idle.set()

    async def _collect(self, id: str, name: str) -> None:
        incident = self._situation.incidents.get(id)
        options = self._named.get(incident.service, {}).get(name) if incident else None
        if incident is None or options is None:
            return  # it is forgotten, or no longer configured

        if self._clock() - incident.opened_at > FRESH:
            self._keep(id, Seen(name=name, ending="not collected, since its turn came too late"))
            return

        self._keep(id, await self._see(incident, name, options))

    async def _see(self, incident: Incident, name: str, options: EvidenceCommand) -> Seen:
        command = options.command(incident.service, name)
        told = {
            "MONITOR_INCIDENT_ID": incident.id,
            "MONITOR_SERVICE": incident.service,
            "MONITOR_CLASS": incident.klass.value,
            "MONITOR_SEVERITY": incident.severity.value,
            "MONITOR_SINCE": incident.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        command = replace(command, told={key: clean(value) for key, value in told.items()})
        try:
            finished = await self._commands.run(command, lambda: None)
        except NotBegun as error:
            return Seen(name=name, ending=f"not collected: {error}")

        mask = Redactor(options.env.values()).mask

        return Seen(
            name=name,
            ending=_say_ending(finished, options.timeout),
            exit_code=finished.exit_code,
            said=beyond_cut(self._mask(mask(finished.output)), cut=finished.truncated),
        )

    def _keep(self, id: str, seen: Seen) -> None:
        incident = self._situation.incidents.get(id)
        if incident is not None:
            self._act(keep(incident, seen, self._clock()))


def _say_ending(finished: Finished, timeout: timedelta) -> str:
    if finished.problem:
        return f"could not be run: {plain(finished.problem)}"
    if finished.timed_out:
        return f"did not end within {format_duration(timeout)}, stopped"
    if finished.exit_code is None:
        return f"killed by signal {finished.signal}"

    return f"exit {finished.exit_code}"
