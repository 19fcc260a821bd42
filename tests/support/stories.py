"""Stories that a program goes through again and again, while it is killed: shops with bad deploys.

Each story has a shop and a service of its own, so that what is told of it can be told apart.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from monitor.core.model.rollback import Blocked, RollbackState
from tests.support.account import (
    SIGNING,
    Account,
    Books,
    effects_twice,
    heard_by_alertmanager,
    heard_by_mail,
    heard_by_pagerduty,
    heard_by_slack,
    heard_by_webhook,
    heard_in_log,
    states_of,
)
from tests.support.hook_runner import runner_as_started
from tests.support.mail import serve_mailbox
from tests.support.pagerduty import ROUTING_KEY, serve_pagerduty
from tests.support.receiver import answers, drops, serve_receiver
from tests.support.slack import TOKEN, serve_slack
from tests.support.street import NOTE, UNLIMITED, Stall, open_street, write_hook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path
    from random import Random

    from tests.support.mail import Mailbox
    from tests.support.pagerduty import FakePagerDuty
    from tests.support.receiver import Receiver
    from tests.support.slack import FakeSlack
    from tests.support.street import Street


class Tale(StrEnum):
    """What a story is about: an outage that is over by itself, or what puts the shop right.

    One is told to receivers of further kinds. In a storm a dozen shops fail at once, which is told
    in digests, and one receiver refuses all that it is told, so that another stands in for it.
    """

    TOLD = "told"
    TOLD_TO_ALL = "told to all"
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
_TELL: Final = 'echo "$MONITOR_IDEMPOTENCY_KEY" >> told'
_PASSING: Final = (Blocked.WARMING_UP, Blocked.STORE)


@dataclass
class Tally:
    """What came of a row of kills."""

    moments: int = 0
    killed: int = 0
    killed_again: int = 0
    repeats: int = 0
    digests: int = 0
    stand_ins: int = 0
    ends: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            moments=self.moments + other.moments,
            killed=self.killed + other.killed,
            killed_again=self.killed_again + other.killed_again,
            repeats=self.repeats + other.repeats,
            digests=self.digests + other.digests,
            stand_ins=self.stand_ins + other.stand_ins,
            ends=dict(Counter(self.ends) + Counter(other.ends)),
            broken=self.broken + other.broken,
        )

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {state}" for state, count in sorted(self.ends.items()))

        return (
            f"{self.killed} of {self.moments} moments killed it, {self.killed_again} times it was"
            f" killed again as it started, {self.repeats} notices came twice"
            + (f", {self.digests} were digests" if self.digests else "")
            + (f", {self.stand_ins} were told by another" if self.stand_ins else "")
            + (f"; rollbacks: {ends}" if ends else "")
        )


@dataclass
class Neighbourhood:
    """A folder in which the program lives and dies, with the shops and whom it tells."""

    folder: Path
    street: Street
    webhook: Receiver
    slack: FakeSlack
    pagerduty: FakePagerDuty
    mailbox: Mailbox
    alertmanager: Receiver
    spare: Receiver
    random: Random
    tale: Tale
    environ: dict[str, str]
    told: list[str] = field(default_factory=list)
    approved: set[str] = field(default_factory=set)

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

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
            "notifiers": {
                "events": {"webhook": {"url": self.webhook.url(), "secret": SIGNING}},
                "journal": {"log": {}},
                **(self._stormy() if self.tale is Tale.STORM else self._further()),
            },
        }
        if self.tale is Tale.STORM:
            told = ["events", "journal", "people", "refusing"]
            config["routes"] = [{"notify": told, "fallback": "spare"}]
        path = self.folder / "monitor.yml"
        path.write_text(json.dumps(config, indent=1))
        path.chmod(0o644)

    def _further(self) -> dict[str, Any]:
        chat = {"token": TOKEN, "channel": "#on-call", "base_url": self.slack.base_url}
        if self.tale is not Tale.TOLD_TO_ALL:
            return {"chat": {"slack": chat}}

        mail = {"host": "127.0.0.1", "port": self.mailbox.port, "tls": "none"}

        return {
            "chat": {"slack": chat},
            "pager": {
                "pagerduty": {"routing_key": ROUTING_KEY, "base_url": self.pagerduty.base_url}
            },
            "mail": {"email": {**mail, "from": "m@shop.example", "to": "a@shop.example"}},
            "alerts": {"alertmanager": {"urls": [self.alertmanager.origin]}},
        }

    def _stormy(self) -> dict[str, Any]:
        return {
            "people": {"command": {"run": write_hook(self.folder, "tell", _TELL)}},
            "refusing": {"webhook": {"url": self.alertmanager.url("/gone")}},
            "spare": {"webhook": {"url": self.spare.url(), "secret": SIGNING}},
        }

    def _shops(self, name: str) -> list[str]:
        beside = _BESIDE if self.tale is Tale.STORM else ()

        return [name, *(f"{name}-{number}" for number in beside)]

    def refuse_some(self) -> None:
        """Let the receivers be in trouble now and then: what was told is told together later."""
        if self.random.random() < 0.3:
            self.webhook.next.append(self.random.choice([answers(500), drops()]))
        if self.random.random() < 0.3:
            self.slack.fail(status=500)
        if self.random.random() < 0.3:
            self.pagerduty.next.append(self.random.choice([answers(500), drops()]))
        if self.random.random() < 0.3:
            self.mailbox.then.append(self.random.choice(["451 later", "drop"]))
        if self.random.random() < 0.3:
            self.alertmanager.next.append(self.random.choice([answers(500), drops()]))
        if self.random.random() < 0.3:
            self.spare.next.append(self.random.choice([answers(500), drops()]))

    def account(self) -> Account:
        """Give what everybody heard until now."""
        heard = {
            "events": heard_by_webhook(self.webhook),
            "journal": heard_in_log(self.log),
        }
        if self.tale is Tale.STORM:
            people = (self.folder / "told").read_text().splitlines()
            return Account({**heard, "people": people, "spare": heard_by_webhook(self.spare)})

        heard["chat"] = heard_by_slack(self.slack)
        if self.tale is Tale.TOLD_TO_ALL:
            rows = Books.read(self.store).deliveries
            heard |= {
                "pager": heard_by_pagerduty(self.pagerduty, rows),
                "mail": heard_by_mail(self.mailbox),
                "alerts": heard_by_alertmanager(self.alertmanager),
            }

        return Account(heard)

    def judge(self, tally: Tally) -> Tally:
        """Close the books over all stories; the program has ended."""
        books = Books.read(self.store)
        account = self.account()
        known = {incident.service for incident in books.incidents}
        tally.broken += account.breaches(books)
        tally.broken += [f"no incident of {name}" for name in self.told if name not in known]
        tally.broken += effects_twice(self.effects())
        tally.broken += self._unapproved()
        tally.broken += [
            f"the alert of {alert.dedup_key} is still {alert.status}"
            for alert in self.pagerduty.alerts
            if alert.status != "resolved"
        ]
        tally.broken += [
            f"{incident.id} of {incident.service} is still open"
            for incident in books.incidents
            if incident.open
        ]
        tally.repeats = account.repeats
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

    async def approve(self, rollbacks: Iterable[dict[str, Any]]) -> None:
        """Approve what waits, with two clicks at once; nobody may be there to hear them."""
        waiting = [one["id"] for one in rollbacks if one["state"] == RollbackState.AWAITING]
        self.approved |= set(waiting)
        socket = aiohttp.UnixConnector(str(self.folder / ".production-monitor/control.sock"))
        async with aiohttp.ClientSession(connector=socket) as control:
            clicks = [
                control.post(f"http://monitor/api/v1/rollbacks/{id}/approve")
                for id in waiting
                for _ in range(2)
            ]
            for answer in await asyncio.gather(*clicks, return_exceptions=True):
                if isinstance(answer, aiohttp.ClientResponse):
                    answer.release()

    def _unapproved(self) -> list[str]:
        """Say what was done without anybody's approval."""
        done = {line.partition(".")[0] for lines in self.effects().values() for line in lines}
        alone = done - self.approved if self.tale is Tale.APPROVED else set()

        return [f"{id} was carried out, and nobody approved it" for id in sorted(alone)]

    def _stall(self) -> Stall:
        by_itself = self.tale in (Tale.TOLD, Tale.TOLD_TO_ALL, Tale.STORM)

        return Stall(good_answers=2, bad_answers=_BAD_ANSWERS if by_itself else None)

    def _service(self, name: str) -> dict[str, Any]:
        match self.tale:
            case Tale.TOLD | Tale.TOLD_TO_ALL | Tale.STORM:
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
            webhook=await stack.enter_async_context(serve_receiver()),
            slack=await stack.enter_async_context(serve_slack()),
            pagerduty=await stack.enter_async_context(serve_pagerduty()),
            mailbox=await stack.enter_async_context(serve_mailbox()),
            alertmanager=await stack.enter_async_context(
                serve_receiver(then=answers(404 if tale is Tale.STORM else 200, ""))
            ),
            spare=await stack.enter_async_context(serve_receiver()),
            random=random,
            tale=tale,
            environ=environ,
        )
