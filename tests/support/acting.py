"""A monitor that carries out rollbacks and may die at any moment, on a disk that remembers."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from monitor.actuator import Actuator
from monitor.core.model.changes import Changes
from monitor.core.model.check_state import CheckState
from monitor.core.model.deploy import Deploy
from monitor.core.model.incident import Incident
from monitor.core.model.rollback import Effect, EffectOutcome, Rollback, RollbackState, Step
from monitor.core.situation import Situation
from monitor.store.codec import decode, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from monitor.core.model.rollback import Blocked, EffectContext
    from tests.support.rolling import World

    Write = Callable[[Changes], Awaitable[None]]

DONE = EffectOutcome.DONE


class Crash(BaseException):
    """The process ends here, whatever it was doing."""


class StoreBroken(Exception):
    """The store cannot be written."""


@dataclass
class Recorder:
    """A hook in this process: it says what its script says, and remembers what it was told."""

    script: list[EffectOutcome | BaseException] = field(default_factory=list)
    told: list[EffectContext] = field(default_factory=list)
    gate: asyncio.Event | None = None
    crashed: bool = False
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def apply(self, context: EffectContext) -> Effect:
        self.told.append(context)
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        outcome = self.script.pop(0) if self.script else DONE
        if isinstance(outcome, BaseException):
            self.crashed = isinstance(outcome, Crash)
            raise outcome

        return Effect(outcome=outcome, detail=f"said {outcome}", output="all about it")

    async def close(self) -> None:
        """Hold nothing."""

    @property
    def effects(self) -> Counter[str]:
        return Counter(context.step_key for context in self.told)


@dataclass
class Rememberer(Recorder):
    """A hook whose effect outlives the process; `known` is what it can say of it later."""

    known: Effect | BaseException | None = None
    asked: list[EffectContext] = field(default_factory=list)

    async def recall(self, context: EffectContext) -> Effect | None:
        self.asked.append(context)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.known, BaseException):
            raise self.known

        return self.known


@dataclass
class Faraway:
    """A hook runner: it outlives the process, runs each attempt once, and remembers it.

    Its script has outcomes, and `lost` (the process dies before the order arrives), `crash` (it
    dies while the attempt runs) and `killed` (the runner itself dies over it).
    """

    script: list[EffectOutcome | str] = field(default_factory=list)
    kept: dict[tuple[str, int], Effect] = field(default_factory=dict)
    effects: Counter[str] = field(default_factory=Counter)
    crashed: bool = False

    async def apply(self, context: EffectContext) -> Effect:
        name = context.step_key, context.attempt
        if name in self.kept:
            return self.kept[name]

        turn = self.script.pop(0) if self.script else DONE
        if turn == "lost":
            self._crash()
        outcome = turn if isinstance(turn, EffectOutcome) else DONE
        if turn == "killed":
            outcome = EffectOutcome.UNCERTAIN
        if outcome is not EffectOutcome.NOTHING_APPLIED:
            self.effects[context.step_key] += 1
        self.kept[name] = Effect(outcome=outcome, detail=f"said {outcome}")
        if turn == "crash":
            self._crash()

        return self.kept[name]

    async def recall(self, context: EffectContext) -> Effect | None:
        return self.kept.get((context.step_key, context.attempt))

    async def close(self) -> None:
        """Hold nothing."""

    def _crash(self) -> None:
        self.crashed = True
        raise Crash


class Disk:
    """What survives a crash: each record as the store writes it, the newest of each key."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], tuple[type, str]] = {}

    def commit(self, changes: Changes) -> None:
        for key, record in (
            *((one.check, one) for one in changes.states),
            *((one.id, one) for one in changes.incidents),
            *((one.id, one) for one in changes.deploys),
            *((one.id, one) for one in changes.rollbacks),
            *((one.key, one) for one in changes.steps),
        ):
            kind = type(record)
            self._rows[kind.__name__, str(key)] = kind, encode(record)

    def load(self) -> Situation:
        records: list[object] = [decode(kind, text) for kind, text in self._rows.values()]
        situation = Situation()
        situation.apply(
            Changes(
                states=tuple(one for one in records if isinstance(one, CheckState)),
                incidents=tuple(one for one in records if isinstance(one, Incident)),
                deploys=tuple(one for one in records if isinstance(one, Deploy)),
                rollbacks=tuple(one for one in records if isinstance(one, Rollback)),
                steps=tuple(one for one in records if isinstance(one, Step)),
            )
        )

        return situation


@dataclass
class Life:
    """One process over a disk: the world as it is in memory, and the actuator in it."""

    world: World
    disk: Disk
    hooks: Sequence[Recorder | Faraway]
    crash_at: int | None = None
    durable_first: bool = True
    refuse: Callable[[Changes], bool] = lambda _changes: False
    allowed: Callable[[Rollback], Blocked | None] | None = None
    mask: Callable[[str], str] = str
    calls: int = 0
    written: list[Changes] = field(default_factory=list)
    waiting: list[Changes] = field(default_factory=list)
    died: bool = False

    async def record(self, changes: Changes) -> None:
        """Apply to memory, then make durable; die or fail where that is asked for."""
        self.world.keep(changes)
        self.calls += 1
        await asyncio.sleep(0)
        dies = self.calls == self.crash_at
        if dies and not self.durable_first:
            self.die()
        if self.refuse(changes):
            self.waiting.append(changes)
            raise StoreBroken("database is locked")

        self.commit(changes)
        self.written.append(changes)
        if dies:
            self.die()

    def commit(self, changes: Changes) -> None:
        """Make changes durable, after those that were refused: the journal keeps their order."""
        while self.waiting:
            self.disk.commit(self.waiting.pop(0))
        self.disk.commit(changes)

    def die(self) -> None:
        self.died = True
        raise Crash

    def make_actuator(self) -> Actuator:
        return Actuator(
            hooks={"shop": self.hooks},
            directory=self.world.directory,
            situation=self.world.situation,
            record=self.record,
            clock=lambda: self.world.now,
            mask=self.mask,
            allowed=self.allowed or self.world.allowed,
            ask_again=timedelta(milliseconds=5),
        )

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Actuator]:
        actuator = self.make_actuator()
        try:
            with suppress(Crash):
                await actuator.recover()
                actuator.start()
            yield actuator
        finally:
            await actuator.stop(timedelta())

    @property
    def over(self) -> bool:
        """Whether the process died, in its journal or in a hook."""
        return self.died or any(hook.crashed for hook in self.hooks)

    async def settle(self) -> None:
        """Wait until nothing is executing any more, or the process has died."""
        async with asyncio.timeout(5):
            while not self.over and any(
                one.state is RollbackState.EXECUTING
                for one in self.world.situation.rollbacks.values()
            ):
                await asyncio.sleep(0)
