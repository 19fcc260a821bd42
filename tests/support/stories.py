"""Stories that a program goes through again and again, while it is killed: shops with bad deploys.

Each story has a shop and a service of its own, so that what is told of it can be told apart.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from monitor.core.model.rollback import Blocked, RollbackState
from tests.support.account import Account, Books, effects_twice, states_of
from tests.support.audience import EVERYBODY, FEW, REFUSING, SPARE, gather_audience
from tests.support.hook_runner import runner_as_started
from tests.support.on_call import OnCall
from tests.support.street import NOTE, UNLIMITED, Stall, open_street, write_hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path
    from random import Random

    from tests.support.audience import Audience
    from tests.support.street import Street


class Tale(StrEnum):
    """What a story is about: an outage that is over by itself, or what puts the shop right.

    One is attended to: it is told to a receiver of each kind, escalated to them, and over once a
    person has taken it on. In a storm a dozen shops fail at once, which the same receivers are told
    in digests, and one refuses all that it is told, so that another stands in for it.
    """

    TOLD = "told"
    ATTENDED = "attended"
    STORM = "storm"
    ROLLED_BACK = "rolled back"
    REMEDIED = "remedied"
    APPROVED = "approved"


UNDER_WAY: Final = (RollbackState.EXECUTING, RollbackState.VERIFYING)

_PACE: Final = {"every": "500ms", "retry_every": "100ms", "timeout": "450ms"}
_RUNNER: Final = "HOOK_RUNNER_SOCKET"
_ENVIRON: Final = {"MONITOR_LOG_FORMAT": "json", "COVERAGE_PROCESS_CONFIG": ""}
"""What is killed writes no coverage, but it would start slower."""

_BAD_ANSWERS: Final = 6
_QUIET: Final = range(12)
_BESIDE: Final = range(11)
_UNANSWERED: Final = "1s"
"""After so long it is escalated."""

_PASSING: Final = (Blocked.WARMING_UP, Blocked.STORE)


@dataclass
class Tally:
    """What came of a row of kills."""

    moments: int = 0
    killed: int = 0
    killed_again: int = 0
    repeats: dict[str, int] = field(default_factory=dict)
    digests: int = 0
    stand_ins: int = 0
    told: int = 0
    taken_on: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            moments=self.moments + other.moments,
            killed=self.killed + other.killed,
            killed_again=self.killed_again + other.killed_again,
            repeats=dict(Counter(self.repeats) + Counter(other.repeats)),
            digests=self.digests + other.digests,
            stand_ins=self.stand_ins + other.stand_ins,
            told=self.told + other.told,
            taken_on=self.taken_on + other.taken_on,
            ends=dict(Counter(self.ends) + Counter(other.ends)),
            broken=self.broken + other.broken,
        )

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {state}" for state, count in sorted(self.ends.items()))
        whom = ", ".join(f"{name} {count}" for name, count in sorted(self.repeats.items()))

        return (
            f"{self.killed} of {self.moments} moments killed it, {self.killed_again} times it was"
            f" killed again as it started, {sum(self.repeats.values())} of {self.told} notices came"
            " twice"
            + (f" ({whom})" if whom else "")
            + (f", {self.digests} were digests" if self.digests else "")
            + (f", {self.stand_ins} were told by another" if self.stand_ins else "")
            + (f", {self.taken_on} incidents were taken on" if self.taken_on else "")
            + (f"; rollbacks: {ends}" if ends else "")
        )


@dataclass
class Neighbourhood:
    """A folder in which the program lives and dies, with the shops and whom it tells."""

    folder: Path
    street: Street
    audience: Audience
    on_call: OnCall
    random: Random
    tale: Tale
    environ: dict[str, str]
    told: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.audience.log

    @property
    def store(self) -> Path:
        return self.folder / ".production-monitor/monitor.db"

    def begin(self, number: int, open_stories: Iterable[str]) -> str:
        """Open a shop that answers well at first, and let it be watched with those before it."""
        name = f"shop-{number}"
        for shop in self._shops(name):
            self.street.stalls[shop] = self._stall()
        self.configure([*open_stories, name])
        self.told.append(name)

        return name

    def configure(self, names: list[str]) -> None:
        """Write the configuration for these stories, and nothing besides."""
        config: dict[str, Any] = {
            "environment": "test",
            "web": {"listen": "127.0.0.1:${PORT:-1}"},
            "defaults": {**_PACE, "failure_threshold": 3, "success_threshold": 2},
            "endpoints": {
                **{
                    shop: {"url": self.street.url(shop)}
                    for name in names
                    for shop in self._shops(name)
                },
                # So many are well that a few stories at once have no common cause.
                **{f"quiet-{n}": {"url": self.street.url("quiet"), "every": "1h"} for n in _QUIET},
            },
            "services": {name: self._service(name) for name in names},
            "notifiers": self.audience.notifiers(self.told_to),
            **self._routes(),
        }
        path = self.folder / "monitor.yml"
        path.write_text(json.dumps(config, indent=1))
        path.chmod(0o644)

    @property
    def told_to(self) -> tuple[str, ...]:
        """Name the receivers."""
        match self.tale:
            case Tale.ATTENDED:
                return EVERYBODY
            case Tale.STORM:
                return *EVERYBODY, REFUSING, SPARE
            case _:
                return FEW

    def _routes(self) -> dict[str, Any]:
        everybody = list(EVERYBODY)
        match self.tale:
            case Tale.ATTENDED:
                step = {"after": _UNANSWERED, "notify": everybody}
                return {"routes": [{"notify": everybody, "escalate": [step]}]}
            case Tale.STORM:
                return {"routes": [{"notify": [*everybody, REFUSING], "fallback": SPARE}]}
            case _:
                return {}

    def _shops(self, name: str) -> list[str]:
        beside = _BESIDE if self.tale is Tale.STORM else ()

        return [name, *(f"{name}-{number}" for number in beside)]

    def refuse_some(self) -> None:
        """Let the receivers be in trouble now and then: what was told is told together later."""
        self.audience.refuse_some(self.told_to, self.random)

    async def judge(self, tally: Tally) -> Tally:
        """Close the books over all stories; the program has ended."""
        books = Books.read(self.store)
        account = Account(self.audience.hear(self.told_to, books.deliveries))
        known = {incident.service for incident in books.incidents}
        tally.broken += account.breaches(books, attended=self.tale is Tale.ATTENDED)
        tally.broken += [f"no incident of {name}" for name in self.told if name not in known]
        tally.broken += effects_twice(self.effects())
        tally.broken += self.on_call.forgotten(books)
        if self.tale is Tale.APPROVED:
            tally.broken += self.on_call.unapproved(self.effects())
        tally.broken += await self.audience.still_alarmed()
        tally.broken += [
            f"{incident.id} of {incident.service} is still open"
            for incident in books.incidents
            if incident.open
        ]
        deaths = tally.moments + tally.killed_again
        tally.broken += [
            f"{name} heard {count} repeats after {deaths} deaths"
            for name, count in account.repeats.items()
            if count > deaths + self.audience.lost[name]
            # A moment may be one of the command itself, which dies of it in each attempt.
            if name != "people"
        ]
        tally.repeats = account.repeats
        tally.told = sum(map(len, account.heard.values())) - sum(account.repeats.values())
        tally.taken_on = len(self.on_call.taken)
        tally.digests = sum(row.told_in == row.id for row in books.deliveries)
        tally.stand_ins = sum(bool(row.instead_of) for row in books.deliveries)
        tally.ends = {state.value: count for state, count in states_of(books).items()}

        return tally

    def effects(self) -> dict[str, list[str]]:
        """Give what was done to each shop, by hooks and by webhooks."""
        return {
            path.name: path.read_text().splitlines()
            for path in sorted((self.folder / "effects").iterdir())
        }

    def go_on(self, name: str, incidents: int, rollbacks: Iterable[tuple[str, str]]) -> None:
        """Let a story go on that would stand still.

        A shop is bad again if that was forgotten with what was not durable yet. A person puts it
        right where a rollback has ended and not helped, or is held back.
        """
        if not incidents and (self.street[name].over or self.street[name].good_answers is None):
            self.street.stalls[name] = self._stall()
        stuck = [
            (state, blocked)
            for state, blocked in rollbacks
            if state not in (*UNDER_WAY, RollbackState.AWAITING) and blocked not in _PASSING
        ]
        if stuck and not self.street.effects(name):
            self.street.stalls[name] = Stall()

    async def attend(self, status: dict[str, Any]) -> None:
        """Let the person on call do what there is to do; what they have taken on is soon over."""
        await self.on_call.approve(status["rollbacks"])
        if self.tale is Tale.ATTENDED:
            for name in await self.on_call.take_on(status["incidents"]):
                self.street.stalls[name] = Stall()

    def _stall(self) -> Stall:
        by_itself = self.tale in (Tale.TOLD, Tale.STORM)

        return Stall(good_answers=2, bad_answers=_BAD_ANSWERS if by_itself else None)

    def _service(self, name: str) -> dict[str, Any]:
        match self.tale:
            case Tale.TOLD | Tale.ATTENDED | Tale.STORM:
                return {}
            case Tale.REMEDIED:
                return {"remedy": self._remedy(name)}
            case _:
                return self._rollback(name)

    def _remedy(self, name: str) -> dict[str, Any]:
        """Try in vain first, then what puts the shop right."""
        retry = write_hook(self.folder, f"{name}-retry", f"{NOTE}-retry", "exit 1")
        undo = write_hook(self.folder, name, NOTE)

        return {
            "mode": "automatic",
            "levels": [
                {"name": "retry", "steps": [{"name": "shop.retry", "command": retry}]},
                {"name": "undo", "steps": [{"name": "shop.undo", "command": undo}]},
            ],
            "limits": UNLIMITED,
        }

    def _rollback(self, name: str) -> dict[str, Any]:
        told = {"webhook": {"url": self.street.effect_url(name, "told")}}
        run = {"command": write_hook(self.folder, name, NOTE)}
        # A request has no memory, so a step of that kind would spoil what the hook runner promises.
        steps = [run] if _RUNNER in self.environ else [told, run]

        return {
            "version": {"endpoint": name, "json": "$.version"},
            "rollback": {
                "mode": "approve" if self.tale is Tale.APPROVED else "automatic",
                "steps": steps,
                "limits": UNLIMITED,
            },
        }


@asynccontextmanager
async def neighbourhood(
    folder: Path, *, tale: Tale, random: Random, runner: bool = False
) -> AsyncIterator[Neighbourhood]:
    """Open everything around the program; with `runner`, commands are left to the hook runner."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    async with AsyncExitStack() as stack:
        street = await stack.enter_async_context(open_street(folder))
        environ = dict(_ENVIRON)
        if runner:
            listening, _ = stack.enter_context(runner_as_started(folder))
            environ[_RUNNER] = str(listening.path)
        yield Neighbourhood(
            folder=folder,
            street=street,
            audience=await stack.enter_async_context(
                gather_audience(
                    folder,
                    folder / "daemon.log",
                    everybody=tale in (Tale.ATTENDED, Tale.STORM),
                )
            ),
            on_call=OnCall(folder),
            random=random,
            tale=tale,
            environ=environ,
        )
