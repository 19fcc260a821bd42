"""A shop that is watched, people who decide about its rollbacks, and a process that may restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from monitor import operations
from monitor.actuator import Actuator
from monitor.core.conditions import Conditions
from monitor.core.model.deploy import DeployKind, DeployState
from monitor.core.model.rollback import Mode, RollbackKind, RollbackState
from monitor.core.model.service import LevelPlan, Service, StepPlan
from monitor.operations import Desk
from monitor.store.journal import Journal
from tests.support.acting import Disk, Recorder
from tests.support.rolling import CHECK, make_policy
from tests.support.watching import Story, make_directory, make_story

if TYPE_CHECKING:
    from monitor.core.model.changes import Changes
    from monitor.core.model.rollback import EffectContext, Rollback
    from monitor.core.model.service import RollbackPolicy

COUNTDOWN: Final = timedelta(seconds=100)
EXPIRES: Final = timedelta(minutes=10)


def waiting_policy(mode: Mode, **more: Any) -> RollbackPolicy:
    """Give a policy under which a person has time to decide, and nothing is held back for long."""
    wait = COUNTDOWN if mode is Mode.COUNTDOWN else EXPIRES

    return make_policy(mode, wait=wait, **more)


def remedy(*levels: LevelPlan, mode: Mode = Mode.AUTOMATIC, **more: Any) -> RollbackPolicy:
    """Give a remedy of one command, or of these levels."""
    plain = LevelPlan(steps=(StepPlan(number=1, kind="command"),), name="remedy")

    return make_policy(mode, kind=RollbackKind.REMEDY, levels=levels or (plain,), **more)


@dataclass
class Witness(Recorder):
    """A hook that sees how the rollback stood when it was carried out."""

    seen: list[Rollback] = field(default_factory=list)
    shop: Shop | None = None

    async def apply(self, context: EffectContext) -> Any:
        assert self.shop is not None
        self.seen.append(self.shop.situation.rollbacks[context.rollback_id])

        return await super().apply(context)


@dataclass
class Shop:
    """One service over a disk; a restart keeps what is on it, and the clock."""

    rollback: RollbackPolicy | None = None
    remedy: RollbackPolicy | None = None
    hooks: list[Witness] = field(default_factory=lambda: [Witness()])
    disk: Disk = field(default_factory=Disk)
    versions: int = 1

    def __post_init__(self) -> None:
        for hook in self.hooks:
            hook.shop = self
        self.conditions: Conditions | None = None
        self.seconds: float = 0
        self._start()

    def _start(self) -> None:
        shop = Service(name="shop", rollback=self.rollback, remedy=self.remedy)
        self.story: Story = make_story(
            directory=make_directory(shop),
            situation=self.disk.load(),
            conditions=lambda: self.conditions or Conditions(),
        )
        self.story.seconds = self.seconds
        self.journal = Journal(self._commit)
        self.actuator = Actuator(
            hooks={"shop": self.hooks},
            directory=self.story.engine.directory,
            situation=self.situation,
            record=self._record,
            clock=lambda: self.story.now,
            mask=str,
            allowed=lambda rollback: self.story.engine.still_allowed(rollback, self.story.now),
            ask_again=timedelta(milliseconds=1),
        )

    async def __aenter__(self) -> Shop:
        await self.actuator.recover()
        self.actuator.start()

        return self

    async def __aexit__(self, *_: object) -> None:
        await self.actuator.stop(timedelta())
        await self.journal.close()

    async def _commit(self, changes: Changes) -> None:
        self.disk.commit(changes)

    async def _record(self, changes: Changes) -> None:
        told = self.story.engine.absorb(changes, self.story.now)
        self.story.said.append(told)
        await self.journal.now(told)

    @property
    def situation(self) -> Any:
        return self.story.engine.situation

    @property
    def desk(self) -> Desk:
        return Desk(
            engine=self.story.engine,
            journal=self.journal,
            record=self._take,
            clock=lambda: self.story.now,
        )

    def _take(self, changes: Changes) -> None:
        self.story.said.append(changes)
        self.journal.soon(changes)
        self.actuator.wake()

    async def sees(self, *statuses: int) -> None:
        """Probe once every half minute, and let what is decided be carried out."""
        for status in statuses:
            self.journal.soon(self.story.sees(status))
            await self.settle()

    async def waits(self, seconds: float) -> None:
        """Let time pass, in which nothing is probed."""
        self.story.seconds += seconds
        self._take(self.story.engine.tick(self.story.now))
        await self.settle()

    async def deploys(self, state: DeployState = DeployState.FINISHED) -> None:
        """Announce another version."""
        self.versions += 1
        self._take(
            self.story.engine.announce(
                "shop",
                version=f"v{self.versions}",
                kind=DeployKind.PLANNED,
                state=state,
                now=self.story.now,
            )
        )
        await self.settle()

    async def restarts(self, *, settled: bool = True) -> None:
        """End this process and begin another on what it has written."""
        await self.__aexit__()
        self.seconds = self.story.seconds
        self._start()
        await self.__aenter__()
        if settled:
            await self.settle()

    async def settle(self) -> None:
        """Let the actuator do what it can do now."""
        await self.journal.flush()
        self.actuator.wake()
        async with asyncio.timeout(5):
            for _ in range(20):
                await asyncio.sleep(0)
            while any(one.state is RollbackState.EXECUTING for one in self.known):
                await asyncio.sleep(0)

    async def approve(self, who: str = "ann") -> dict[str, Any]:
        told = await operations.approve("shop", who, self.desk)
        await self.settle()

        return told

    async def veto(self, who: str = "bob", reason: str = "") -> dict[str, Any]:
        told = await operations.veto("shop", who, reason, self.desk)
        await self.settle()

        return told

    @property
    def known(self) -> list[Rollback]:
        """All rollbacks, remedies and trips, oldest first."""
        return list(self.situation.rollbacks_of("shop"))

    @property
    def newest(self) -> Rollback:
        return self.known[-1]

    @property
    def effects(self) -> Counter[str]:
        """How often each step was carried out."""
        return sum((hook.effects for hook in self.hooks), Counter())

    @property
    def lines(self) -> list[str]:
        """The events of all timelines, with who did it where that was a person."""
        return [
            entry.event if entry.actor == "monitor" else f"{entry.event} by {entry.actor}"
            for timeline in self.situation.timelines.values()
            for entry in timeline
        ]


assert CHECK == "api.health"
