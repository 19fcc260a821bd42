"""Commands that are tied to whoever waits for them: so many at once, each ended with who leaves."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

from monitor.options import format_duration
from monitor.runner.guard import Guard
from monitor.runner.local import NoThread, Run, Tie, begin
from monitor.runner.tied_protocol import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from monitor.runner.command import Finished

AT_ONCE: Final = 16
"""How many commands of one sort run at once on this machine; others wait for a place."""

_LONGEST_GRACE: Final = timedelta(seconds=1)
_TO_BE_KILLED: Final = 0.8
"""The part of the grace after which a command is killed; the rest is for its end to be seen."""


class NotBegun(Exception):
    """Nothing was run, which is no fault of what was to be found out; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedCommand:
    """A command as the configuration has it, and for what.

    `name` is that of the endpoint, of the notifier, or `service/name` of evidence; `fingerprint`
    tells the command from any other. `env` is its whole environment without `told`: the variables
    of this one run, which another runner is told as well, as it is the `stdin` of a notifier.

    It is over by the `timeout`: asked to end (TERM) the `grace` before that, and killed in it.
    """

    name: str
    fingerprint: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: bytes
    cwd: Path
    output_limit: int
    timeout: timedelta
    grace: timedelta
    purpose: Purpose = Purpose.PROBE
    told: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def run(self, tie: Tie) -> Run:
        """Say how it is run."""
        return Run(
            argv=self.argv,
            env={**self.env, **self.told},
            stdin=self.stdin,
            timeout=(self.timeout - self.grace).total_seconds(),
            limit=self.output_limit,
            cwd=self.cwd,
            kill_after=self.grace.total_seconds() * _TO_BE_KILLED,
            tie=tie,
        )


class Commands(Protocol):
    """Runs commands; all probes share one of it, and all else another."""

    async def run(self, command: TiedCommand, begun: Callable[[], None]) -> Finished:
        """Run it once and wait for its end; raises NotBegun.

        `begun` is called when it begins: its timeout counts from then on. A cancelled call ends it.
        """
        ...

    async def close(self) -> None:
        """End what still runs, and give back what is held."""
        ...


def grace_of(timeout: timedelta) -> timedelta:
    """Give how long before the timeout the command of a probe is asked to end."""
    return min(timeout / 10, _LONGEST_GRACE)


class CommandsHere:
    """Runs them as processes of this machine, in sessions of their own."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._places = asyncio.Semaphore(at_once)
        self._guard = Guard()
        self._running: set[asyncio.Future[Finished]] = set()

    async def run(self, command: TiedCommand, begun: Callable[[], None]) -> Finished:
        """Run it once a place is free; one that is ended keeps its place until it is gone."""
        await take_place(self._places, command.timeout, self._at_once)
        self._guard.stand_by()
        let_go = threading.Event()
        tie = Tie(let_go=let_go.is_set, started=self._guard.watch, ended=self._guard.forget)
        try:
            ended = begin(
                replace(command, env=dict([*command.env.items(), self._guard.mark])).run(tie)
            )
        except NoThread as error:
            self._places.release()
            raise NotBegun(f"the command could not be run: {error}") from error

        self._running.add(ended)
        ended.add_done_callback(self._give_back)
        begun()
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            let_go.set()
            raise

    async def close(self) -> None:
        """Wait for what was let go, which takes a second at most."""
        if self._running:
            await asyncio.wait(self._running, timeout=_LONGEST_GRACE.total_seconds())
        self._guard.close()

    def _give_back(self, ended: asyncio.Future[Finished]) -> None:
        self._running.discard(ended)
        self._places.release()
        if not ended.cancelled():
            ended.exception()  # nobody may be left who would look at it


async def take_place(places: asyncio.Semaphore, patience: timedelta, at_once: int) -> None:
    """Wait for a place among those at once; raises NotBegun."""
    try:
        async with asyncio.timeout(patience.total_seconds()):
            await places.acquire()
    except TimeoutError as error:
        raise NotBegun(
            f"{at_once} commands run at once, and none of them ended within "
            f"{format_duration(patience)}"
        ) from error
