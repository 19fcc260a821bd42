"""All whom a story is told: a receiver of each kind, which remembers what it was told."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import web

from monitor.notifiers import KINDS
from tests.support import telegram as telegram_support
from tests.support.alertmanager import serve_alertmanager
from tests.support.discord import serve_discord
from tests.support.hearing import (
    SIGNING,
    heard_by_alertmanager,
    heard_by_mail,
    heard_by_pagerduty,
    heard_by_slack,
    heard_by_webhook,
    heard_in_log,
    heard_in_words,
    words_by_apprise,
    words_in_discord,
    words_in_teams,
    words_in_telegram,
)
from tests.support.mail import serve_mailbox
from tests.support.pagerduty import ROUTING_KEY, serve_pagerduty
from tests.support.receiver import answers, drops, serve_receiver
from tests.support.slack import CHANNEL, TOKEN, serve_slack
from tests.support.street import write_hook
from tests.support.teams import serve_teams
from tests.support.telegram import serve_telegram

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path
    from random import Random

    from monitor.core.model.notice import Delivery
    from tests.support.alertmanager import Alertmanager
    from tests.support.discord import FakeDiscord
    from tests.support.mail import Mailbox
    from tests.support.pagerduty import FakePagerDuty
    from tests.support.receiver import Behaviour, Receiver
    from tests.support.slack import FakeSlack
    from tests.support.teams import FakeTeams
    from tests.support.telegram import FakeTelegram

FEW: Final = ("events", "journal", "chat")
EVERYBODY: Final = (
    *FEW,
    *("hook", "pager", "alerts", "mail", "discord", "teams", "telegram", "people", "apprise"),
)
"""One notifier of each kind, and Slack's webhook beside its bot."""

REFUSING, SPARE = "refusing", "spare"
"""One that takes nothing, and the one that stands in for it."""

_TELL: Final = 'echo "$MONITOR_IDEMPOTENCY_KEY" >> told'
_TROUBLE: Final = 0.3
_FIRES_ON: Final = timedelta(seconds=70)
"""What nobody was told until it was over fires for a minute all the same."""


@dataclass(kw_only=True)
class Audience:
    """The receivers; `lost` counts what they have, and did not say that they have."""

    folder: Path
    log: Path
    webhook: Receiver
    spare: Receiver
    refusing: Receiver
    slack: FakeSlack
    hook: FakeSlack
    pagerduty: FakePagerDuty
    mailbox: Mailbox
    alertmanager: Receiver
    member: Alertmanager | None
    discord: FakeDiscord
    teams: FakeTeams
    telegram: FakeTelegram
    apprise: Receiver
    lost: Counter[str] = field(default_factory=Counter)

    def notifiers(self, names: Iterable[str]) -> dict[str, Any]:
        """Give the section `notifiers` with these."""
        chat = {"token": TOKEN, "channel": CHANNEL, "base_url": self.slack.base_url}
        mail = {"host": "127.0.0.1", "port": self.mailbox.port, "tls": "none"}
        people = {"from": "m@shop.example", "to": "a@shop.example"}
        pager = {"routing_key": ROUTING_KEY, "base_url": self.pagerduty.base_url}
        person = {"token": telegram_support.TOKEN, "chat": telegram_support.PRIVATE}
        known: dict[str, dict[str, Any]] = {
            "events": {"webhook": {"url": self.webhook.url(), "secret": SIGNING}},
            "journal": {"log": {}},
            "chat": {"slack": chat},
            "hook": {"slack": {"webhook_url": self.hook.webhook_url}},
            "pager": {"pagerduty": pager},
            "alerts": {"alertmanager": {"urls": [self.alertmanager.origin]}},
            "mail": {"email": {**mail, **people}},
            "discord": {"discord": {"webhook_url": self.discord.webhook_url}},
            "teams": {"teams": {"webhook_url": self.teams.webhook_url}},
            "telegram": {"telegram": {**person, "base_url": self.telegram.base_url}},
            "people": {"command": {"run": write_hook(self.folder, "tell", _TELL)}},
            "apprise": {"apprise": {"url": f"json://127.0.0.1:{self.apprise.port}/"}},
            REFUSING: {"webhook": {"url": self.refusing.url()}},
            SPARE: {"webhook": {"url": self.spare.url(), "secret": SIGNING}},
        }
        assert {kind for one in known.values() for kind in one} == set(KINDS)

        return {name: known[name] for name in names}

    def refuse_some(self, names: Iterable[str], random: Random) -> None:
        """Let receivers be in trouble now and then: what was told is told together later."""
        told_all_the_same: dict[str, Receiver] = {
            "events": self.webhook,
            "alerts": self.alertmanager,
            "apprise": self.apprise,
            SPARE: self.spare,
        }
        refuse: dict[str, Callable[[], object]] = {
            "chat": lambda: self.slack.fail(status=500),
            "hook": lambda: self.hook.fail(status=500),
            "pager": lambda: self.pagerduty.next.append(_fails(random)),
            "mail": lambda: self.mailbox.then.append("451 later"),
            "discord": lambda: self.discord.fail(500),
            "teams": lambda: self.teams.fail(500),
            "telegram": lambda: self.telegram.fail(500, "Internal Server Error"),
        }
        for name in names:
            if random.random() >= _TROUBLE:
                continue
            if receiver := told_all_the_same.get(name):
                receiver.next.append(_fails(random))
                self.lost[name] += 1
            elif name == "mail" and random.random() < 0.5:
                self.mailbox.then.append("drop")
                self.lost[name] += 1
            elif fail := refuse.get(name):
                fail()

    def hear(self, names: Iterable[str], rows: Sequence[Delivery]) -> dict[str, list[str]]:
        """Give the keys of what each of these heard until now."""

        def understand(name: str, texts: Iterable[str]) -> list[str]:
            return heard_in_words(texts, [row for row in rows if row.notifier == name])

        pages = [row for row in rows if row.notifier == "pager"]
        heard: dict[str, Callable[[], list[str]]] = {
            "events": lambda: heard_by_webhook(self.webhook),
            "journal": lambda: heard_in_log(self.log),
            "chat": lambda: heard_by_slack(self.slack),
            "hook": lambda: heard_by_slack(self.hook),
            "pager": lambda: heard_by_pagerduty(self.pagerduty, pages),
            "alerts": lambda: heard_by_alertmanager(self.alertmanager),
            "mail": lambda: heard_by_mail(self.mailbox),
            "discord": lambda: understand("discord", words_in_discord(self.discord)),
            "teams": lambda: understand("teams", words_in_teams(self.teams)),
            "telegram": lambda: understand("telegram", words_in_telegram(self.telegram)),
            "people": lambda: (self.folder / "told").read_text().splitlines(),
            "apprise": lambda: understand("apprise", words_by_apprise(self.apprise)),
            SPARE: lambda: heard_by_webhook(self.spare),
        }

        return {name: heard[name]() for name in names if name in heard}

    async def still_alarmed(self) -> list[str]:
        """Say what is still open at those who keep an alert until they are told of its end."""
        open_pages = [
            f"the alert of {alert.dedup_key} is still {alert.status}"
            for alert in self.pagerduty.alerts
            if alert.status != "resolved"
        ]
        if self.member is None:
            return open_pages

        on = datetime.now(UTC) + _FIRES_ON

        return open_pages + [
            f"Alertmanager still has {alert['labels']} until {alert['endsAt']}"
            for alert in await self.member.alerts()
            if datetime.fromisoformat(alert["endsAt"]) > on
        ]


def _fails(random: Random) -> Behaviour:
    return random.choice([answers(500), drops()])


@asynccontextmanager
async def gather_audience(folder: Path, log: Path, *, everybody: bool) -> AsyncIterator[Audience]:
    """Open all receivers; with `everybody`, a real Alertmanager takes the alerts."""
    async with AsyncExitStack() as stack:
        webhook = await stack.enter_async_context(serve_receiver())
        member = None
        if everybody:
            heard = await stack.enter_async_context(serve_receiver())
            member = await stack.enter_async_context(
                serve_alertmanager(folder / "alertmanager", heard.url())
            )
        yield Audience(
            folder=folder,
            log=log,
            webhook=webhook,
            spare=await stack.enter_async_context(serve_receiver()),
            refusing=await stack.enter_async_context(serve_receiver(then=answers(404, ""))),
            slack=await stack.enter_async_context(serve_slack()),
            hook=await stack.enter_async_context(serve_slack()),
            pagerduty=await stack.enter_async_context(serve_pagerduty()),
            mailbox=await stack.enter_async_context(serve_mailbox()),
            alertmanager=await stack.enter_async_context(
                serve_receiver(then=_passes_on(member) if member else answers())
            ),
            member=member,
            discord=await stack.enter_async_context(serve_discord()),
            teams=await stack.enter_async_context(serve_teams()),
            telegram=await stack.enter_async_context(serve_telegram()),
            apprise=await stack.enter_async_context(serve_receiver()),
        )


def _passes_on(member: Alertmanager) -> Behaviour:
    """Let a real Alertmanager answer what was taken note of."""

    async def behave(request: web.Request) -> web.StreamResponse:
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method,
                f"{member.url}{request.path_qs}",
                data=await request.read(),
                headers={"content-type": request.content_type},
            ) as answer,
        ):
            return web.Response(
                status=answer.status,
                body=await answer.read(),
                headers={"content-type": answer.headers.get("content-type", "text/plain")},
            )

    return behave
