"""All checks fail in one second: told by real receivers at their pace, while probing goes on."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import thread_time
from typing import TYPE_CHECKING

import pytest

from monitor.core.engine import Engine
from monitor.core.model.endpoint import InARow
from monitor.core.model.notice import DeliveryState
from monitor.core.situation import Situation
from monitor.dispatch import Dispatch
from monitor.notifiers._slack_options import SlackOptions
from monitor.notifiers.pagerduty import PagerDutyNotifier, PagerDutyOptions
from monitor.notifiers.slack import SlackNotifier
from monitor.notifiers.webhook import WebhookNotifier, WebhookOptions
from monitor.store import Store
from monitor.store.journal import Journal
from tests.support.notices import make_context
from tests.support.pagerduty import ROUTING_KEY, serve_pagerduty
from tests.support.receiver import serve_receiver
from tests.support.slack import serve_slack
from tests.support.watching import answer, make_check, make_directory, make_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from monitor.notifiers.notifier import Notifier

MANY = int(os.environ.get("STORM", "300"))
"""How many checks fail in the same second; 10000 takes a minute or two."""

LONGEST_TURN = 0.4 + MANY / 20_000
"""So many seconds of CPU others may use before whoever is due has its turn, as a probe is.

Alone it is a fifth of that; the collector of garbage may look through all that other tests left.
"""


def now() -> datetime:
    return datetime.now(UTC)


class Turns:
    """Measures how much CPU was used until it had its turn at last: what a probe waits for."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def watch(self) -> None:
        while True:
            before = thread_time()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, thread_time() - before)


class Storm:
    """An engine with as many services, a store, and the dispatch that tells of them."""

    def __init__(self, store: Store, notifiers: Mapping[str, Notifier]) -> None:
        self.situation = Situation()
        opens = InARow(count=1)
        self.endpoints = [
            make_endpoint(
                make_check(endpoint=name, service=name, opens=opens, closes=1),
                name=name,
                service=name,
            )
            for name in (f"s-{number:05}" for number in range(MANY))
        ]
        self.engine = Engine(
            endpoints=self.endpoints,
            directory=make_directory(notifiers=tuple(notifiers)),
            situation=self.situation,
            mask=str,
        )
        self.journal = Journal(
            store.commit,
            reattach=store.reattach,
            everything=self.situation.everything,
            problem=store.problem,
        )
        self.dispatch = Dispatch(
            notifiers=notifiers,
            situation=self.situation,
            record=self.journal.now,
            clock=now,
            on_receipt=lambda _delivery, _receipt: None,
            directory=lambda: self.engine.directory,
        )

    async def sees(self, status: int) -> None:
        """Let all endpoints answer so, one after the other, as fast as probes come in."""
        for endpoint in self.endpoints:
            observation = replace(answer(status), at=now())
            changes = self.engine.take(endpoint, observation, scheduled=True, now=now())
            self.journal.soon(changes)
            self.dispatch.wake()
            await asyncio.sleep(0)


@pytest.mark.timeout(60 + MANY // 20)
async def test_when_all_fail_at_once_each_receiver_is_told_at_its_pace_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    async with serve_slack() as slack, serve_pagerduty() as pager, serve_receiver() as machine:
        context = make_context(clock=now)
        store = await Store.open(tmp_path / "monitor.db", holder="storm")
        storm = Storm(
            store,
            {
                "slack": SlackNotifier(
                    SlackOptions.model_validate({"webhook_url": slack.webhook_url}), context
                ),
                "pager": PagerDutyNotifier(
                    PagerDutyOptions.model_validate(
                        {"routing_key": ROUTING_KEY, "base_url": pager.base_url}
                    ),
                    context,
                ),
                "machine": WebhookNotifier(
                    WebhookOptions.model_validate({"url": machine.url()}), context
                ),
            },
        )
        turns = Turns()
        watching = asyncio.create_task(turns.watch())
        storm.dispatch.start()
        await storm.sees(500)
        left = await storm.dispatch.drain(timedelta(seconds=30 + MANY // 50))
        watching.cancel()
        await storm.dispatch.stop()
        await storm.journal.close()
        await store.close()

    rows = storm.situation.deliveries.values()
    assert left == 0
    assert {row.state for row in rows} == {DeliveryState.DELIVERED}
    assert len({one.json["incident"] for one in machine.received}) == MANY
    assert len(machine.received) == MANY
    assert len(slack.messages) <= 12
    assert len(pager.events) <= 20
    for name in ("slack", "pager"):
        told = [row for row in rows if row.notifier == name]
        assert len({row.notice.incident for row in told}) == MANY
    print(f"\nlongest wait for a turn: {turns.longest * 1000:.0f} ms of CPU")
    assert turns.longest < LONGEST_TURN
