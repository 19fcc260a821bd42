"""Stories that a program goes through again and again, while it is killed: shops with bad deploys.

Each story has a shop and a service of its own, so that what is told of it can be told apart.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from monitor.core.model.rollback import Blocked, RollbackState
from tests.support.account import (
    Account,
    Books,
    effects_twice,
    heard_by_slack,
    heard_by_webhook,
    heard_in_log,
    states_of,
)
from tests.support.hook_runner import runner_as_started
from tests.support.program import daemon, environment
from tests.support.receiver import answers, drops, serve_receiver
from tests.support.servers import unused_port
from tests.support.slack import TOKEN, serve_slack
from tests.support.street import NOTE, UNLIMITED, Stall, open_street, write_hook
from tests.support.tracing import Moment, every_call, find_moments, traced

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from random import Random

    from tests.support.program import Daemon
    from tests.support.receiver import Receiver
    from tests.support.slack import FakeSlack
    from tests.support.street import Street

ROUNDS: Final = ("--cycles", "9", "--every", "20ms", "--output", "json")
SIGNING: Final = "whsec_c2lnbmluZy1jYW5hcnktMmI3NA=="
BEGINS: Final = "connect("
"""What the first probe does: what comes before in a run is only its start."""

_PACE: Final = {"every": "500ms", "retry_every": "100ms", "timeout": "450ms"}
_RUNNER: Final = "HOOK_RUNNER_SOCKET"
_JSON: Final = {"MONITOR_LOG_FORMAT": "json"}
_BAD_ANSWERS: Final = 6
_LONGEST: Final = 60.0
_AGAIN: Final = 0.25
"""How often it is killed twice for one story."""

_AT_START: Final = (("fdatasync", 6), ("pwrite64", 50), ("connect", 6))
"""Calls that only the store and the first conversations make, and how many of them come soon."""

_LAST_RUNS: Final = 4
"""Enough to open, to roll back or be put right by a person, to close, and to tell all that."""

_LOOK_EVERY: Final = 0.05
_UNDER_WAY: Final = (RollbackState.EXECUTING, RollbackState.VERIFYING)
_PASSING: Final = (Blocked.WARMING_UP, Blocked.STORE)
_KILLED: Final = -signal.SIGKILL


@dataclass
class Tally:
    """What came of a row of kills."""

    moments: int = 0
    killed: int = 0
    killed_again: int = 0
    repeats: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            moments=self.moments + other.moments,
            killed=self.killed + other.killed,
            killed_again=self.killed_again + other.killed_again,
            repeats=self.repeats + other.repeats,
            ends=dict(Counter(self.ends) + Counter(other.ends)),
            broken=self.broken + other.broken,
        )

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {state}" for state, count in sorted(self.ends.items()))

        return (
            f"{self.killed} of {self.moments} moments killed it, {self.killed_again} times it was"
            f" killed again as it started, {self.repeats} notices came twice"
            + (f"; rollbacks: {ends}" if ends else "")
        )


@dataclass
class Neighbourhood:
    """A folder in which the program lives and dies, with the shops and whom it tells."""

    folder: Path
    street: Street
    webhook: Receiver
    slack: FakeSlack
    random: Random
    rolls_back: bool
    environ: dict[str, str]
    told: list[str] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    @property
    def store(self) -> Path:
        return self.folder / ".production-monitor/monitor.db"

    def begin(self, number: int, open_stories: Iterable[str]) -> str:
        """Open a shop that answers well at first, and let it be watched with those before it."""
        name = f"shop-{number}"
        self.street.stalls[name] = Stall(good_answers=2, bad_answers=None if self.rolls_back else 6)
        self.configure([*open_stories, name])
        self.told.append(name)

        return name

    def configure(self, names: list[str]) -> None:
        """Write the configuration for these stories, and nothing besides."""
        config = {
            "environment": "test",
            "web": {"listen": "127.0.0.1:${PORT:-1}"},
            "defaults": {**_PACE, "failure_threshold": 3, "success_threshold": 2},
            "endpoints": {name: {"url": self.street.url(name)} for name in names},
            "services": {name: self._service(name) for name in names},
            "notifiers": {
                "events": {"webhook": {"url": self.webhook.url(), "secret": SIGNING}},
                "chat": {
                    "slack": {
                        "token": TOKEN,
                        "channel": "#on-call",
                        "base_url": self.slack.base_url,
                    }
                },
                "journal": {"log": {}},
            },
        }
        path = self.folder / "monitor.yml"
        path.write_text(json.dumps(config, indent=1))
        path.chmod(0o644)

    def refuse_some(self) -> None:
        """Let the receivers be in trouble now and then: what was told is told together later."""
        if self.random.random() < 0.3:
            self.webhook.next.append(self.random.choice([answers(500), drops()]))
        if self.random.random() < 0.3:
            self.slack.fail(status=500)

    def account(self) -> Account:
        """Give what everybody heard until now."""
        return Account(
            {
                "events": [one.headers["webhook-id"] for one in self.webhook.received if one.path],
                "chat": heard_by_slack(self.slack),
                "journal": heard_in_log(self.log),
            }
        )

    def judge(self, tally: Tally) -> Tally:
        """Close the books over all stories; the program has ended."""
        books = Books.read(self.store)
        heard_by_webhook(self.webhook)
        account = self.account()
        known = {incident.service for incident in books.incidents}
        tally.broken += account.breaches(books)
        tally.broken += [f"no incident of {name}" for name in self.told if name not in known]
        tally.broken += effects_twice(self.effects())
        tally.broken += [
            f"{incident.id} of {incident.service} is still open"
            for incident in books.incidents
            if incident.open
        ]
        tally.repeats = account.repeats
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
        if not incidents and self.street[name].over:
            self.street.stalls[name] = Stall(good_answers=0, bad_answers=_BAD_ANSWERS)
        stuck = [
            (state, blocked)
            for state, blocked in rollbacks
            if state not in _UNDER_WAY and blocked not in _PASSING
        ]
        if stuck and not self.street.effects(name):
            self.street.stalls[name] = Stall()

    def _service(self, name: str) -> dict[str, Any]:
        if not self.rolls_back:
            return {}

        told = {"webhook": {"url": self.street.effect_url(name, "told")}}
        run = {"command": write_hook(self.folder, name, NOTE)}
        # A request has no memory, so a step of that kind would spoil what the hook runner promises.
        steps = [run] if _RUNNER in self.environ else [told, run]

        return {
            "version": {"endpoint": name, "json": "$.version"},
            "rollback": {"mode": "automatic", "steps": steps, "limits": UNLIMITED},
        }


@asynccontextmanager
async def neighbourhood(
    folder: Path, *, rolls_back: bool, random: Random, runner: bool = False
) -> AsyncIterator[Neighbourhood]:
    """Open everything around the program; with `runner`, commands are left to the hook runner."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    async with AsyncExitStack() as stack:
        street = await stack.enter_async_context(open_street(folder))
        environ = dict(_JSON)
        if runner:
            listening, _ = stack.enter_context(runner_as_started(folder))
            environ[_RUNNER] = str(listening.path)
        yield Neighbourhood(
            folder=folder,
            street=street,
            webhook=await stack.enter_async_context(serve_receiver()),
            slack=await stack.enter_async_context(serve_slack()),
            random=random,
            rolls_back=rolls_back,
            environ=environ,
        )


class Rounds:
    """One-shot runs, one for each story, of which each but the last are killed."""

    def __init__(self, around: Neighbourhood) -> None:
        self._around = around
        self._open: list[str] = []

    async def rehearse(self) -> list[Moment]:
        """Go through one story unharmed; give the moments of it."""
        self._begin()
        await self._run(*every_call())

        return find_moments(self._around.folder / "trace", begins=BEGINS)

    async def kill(self, moments: Iterable[Moment]) -> Tally:
        """Tell a story for each moment, and be killed in it; the next runs tell the rest."""
        tally = Tally()
        for moment in moments:
            self._begin()
            self._around.refuse_some()
            tally.moments += 1
            tally.killed += await self._run(*moment.options) == _KILLED
        for _ in range(_LAST_RUNS):
            self._look()
            await self._run()

        return self._around.judge(tally)

    def _begin(self) -> None:
        """Begin a story, while those before it may still have something to tell."""
        self._look()
        self._open.append(self._around.begin(len(self._around.told), self._open))

    def _look(self) -> None:
        """See how far the stories have come, and put right what a person has to."""
        if not self._around.store.exists():
            return

        books = Books.read(self._around.store)
        for name in list(self._open):
            incidents = [one for one in books.incidents if one.service == name]
            rollbacks = [one for one in books.rollbacks if one.service == name]
            turns = [(one.state.value, one.blocked or "") for one in rollbacks]
            self._around.go_on(name, len(incidents), turns)
            if incidents and not any(
                [*(one.open for one in incidents), *(one.running for one in rollbacks)]
            ):
                self._open.remove(name)

    async def _run(self, *options: str) -> int:
        """Run the program to its end, or to its death."""
        trace = str(self._around.folder / "trace")
        before = ("strace", "-f", "-o", trace, *options) if options else ()
        with self._around.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *before,
                *(sys.executable, "-m", "monitor", *ROUNDS),
                cwd=self._around.folder,
                env=environment(self._around.environ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
            async with asyncio.timeout(_LONGEST):
                return await process.wait()


class Service:
    """A daemon that is killed in each story, and started again as systemd would."""

    def __init__(self, around: Neighbourhood) -> None:
        self._around = around
        self._open: list[str] = []

    async def rehearse(self) -> list[Moment]:
        """Go through one story unharmed; give the moments of it."""
        trace = self._around.folder / "trace"
        self._begin()
        async with self._daemon() as running:
            async with traced(running.process.pid, trace, every_call()):
                await self._until_told(running)
            await running.stop()

        return find_moments(trace)

    async def kill(self, moments: Iterable[Moment]) -> Tally:
        """Tell a story for each moment, and be killed in it; what is left is told after that."""
        tally = Tally()
        for moment in moments:
            self._begin()
            self._around.refuse_some()
            if self._open[1:] and self._around.random.random() < _AGAIN:
                tally.killed_again += await self._die_at_start()
            tally.moments += 1
            tally.killed += await self._live(moment)
        async with self._daemon() as running:
            await self._until_told(running)
            await running.stop()

        return self._around.judge(tally)

    async def _live(self, moment: Moment) -> bool:
        """Live until the moment comes, or all is told; say whether it came."""
        trace = self._around.folder / "trace"
        async with (
            self._daemon() as running,
            traced(running.process.pid, trace, moment.options),
        ):
            await self._until_told(running)
            if running.process.returncode is None:
                await running.stop(signal.SIGKILL)
                return False

        return running.process.returncode == _KILLED

    async def _die_at_start(self) -> bool:
        """Be killed once more while what the last death left is taken up."""
        call, most = self._around.random.choice(_AT_START)
        moment = Moment(call, self._around.random.randint(1, most))
        with self._around.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *("strace", "-f", "-o", "/dev/null", *moment.options),
                *(sys.executable, "-m", "monitor", "run"),
                cwd=self._around.folder,
                env=environment({"PORT": str(unused_port()), **self._around.environ}),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )
            async with asyncio.timeout(_LONGEST):
                return await process.wait() == _KILLED

    async def _until_told(self, running: Daemon) -> None:
        """Wait until all stories are told, or the program has died over one."""
        async with asyncio.timeout(_LONGEST):
            while self._open:
                try:
                    status = await running.status()
                except (aiohttp.ClientError, TimeoutError, ValueError):
                    # Dying takes a moment.
                    async with asyncio.timeout(10):
                        await running.process.wait()
                    return
                self._open = [one for one in self._open if not self._is_told(status, one)]
                await asyncio.sleep(_LOOK_EVERY)

    def _is_told(self, status: dict[str, Any], name: str) -> bool:
        """Whether a story has come to its end, and nothing waits to be told."""
        incidents = [one for one in status["incidents"] if one["service"] == name]
        rollbacks = [one for one in status["rollbacks"] if one["service"] == name]
        turns = [(one["state"], one["blocked"] or "") for one in rollbacks]
        self._around.go_on(name, len(incidents), turns)

        under_way = [
            *(one["id"] for one in incidents if not one["resolved_at"]),
            *(one["id"] for one in rollbacks if one["state"] in _UNDER_WAY),
        ]

        return bool(incidents) and not under_way and status["undelivered"] == 0

    def _begin(self) -> None:
        self._open.append(self._around.begin(len(self._around.told), self._open))

    def _daemon(self) -> AbstractAsyncContextManager[Daemon]:
        return daemon(self._around.folder, environ=self._around.environ)
