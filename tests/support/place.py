"""A shop that is watched while the store is in trouble, and what people hear of it.

The story is the same in each test: the shop fails and recovers. It is told once from memory,
nothing is rolled back meanwhile, and afterwards the store holds all of it.
"""

from __future__ import annotations

import json
import signal
import sqlite3
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.support.program import daemon
from tests.support.receiver import serve_receiver
from tests.support.street import (
    NOTE,
    UNLIMITED,
    Street,
    open_street,
    until_passing,
    write_config,
    write_hook,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.program import Daemon
    from tests.support.receiver import Receiver

TROUBLE: Final = "production-monitor"


@dataclass
class Place:
    """A shop with a hook and a receiver, in a folder with its store."""

    folder: Path
    street: Street
    receiver: Receiver

    @property
    def state(self) -> Path:
        return self.folder / ".production-monitor"

    @property
    def store(self) -> Path:
        return self.state / "monitor.db"

    def told(self, service: str = "shop") -> list[str]:
        """Give the beginnings and ends that people heard of a service, in order."""
        return [
            one["event"]
            for one in (received.json for received in self.receiver.received)
            if one["service"] == service and one["event"] in ("opened", "blind", "resolved")
        ]

    async def suffer(self, running: Daemon, times: int = 1, version: str = "2.0") -> None:
        """Let the shop fail after a deploy, and recover, while probing and telling go on."""
        self.street["shop"].version = version
        self.street["shop"].broken = True
        await until(lambda: self.told().count("opened") == times)
        asked = self.street["shop"].asked
        await until(lambda: self.street["shop"].asked >= asked + 2)
        self.street["shop"].broken = False
        await until(lambda: self.told().count("resolved") == times)
        assert running.process.returncode is None

    async def hears(self, running: Daemon, times: int = 1) -> None:
        """Wait until people heard that the store works again."""
        await until(lambda: self.told(TROUBLE).count("resolved") == times)
        assert running.process.returncode is None

    async def be_over(self, running: Daemon, times: int = 1) -> None:
        """Wait until people heard that, and nothing is left to be told; then stop."""
        await self.hears(running, times)
        await running.until(lambda status: not status["undelivered"])
        assert await running.stop() == 0

    def expect_the_truth(self, times: int = 1) -> None:
        """See that each thing was told once, with one key, and stands in the store as it was."""
        assert self.told() == ["opened", "resolved"] * times
        assert self.told(TROUBLE) == ["blind", "resolved"] * times
        assert self.street.effects("shop") == []
        told = Counter(one.headers["idempotency-key"] for one in self.receiver.received)
        assert set(told.values()) == {1}
        rows = self.read("SELECT body FROM deliveries WHERE state = 'delivered'")
        assert {row["key"] for row in rows} == told.keys()
        incidents = self.read("SELECT body FROM incidents")
        assert len(incidents) == 2 * times
        assert all(one["resolved_at"] for one in incidents)
        (state,) = self.read("SELECT body FROM check_states WHERE \"check\" = 'shop.health'")
        assert state["last_outcome"] == "pass"
        assert not state.get("open")

    def read(self, query: str) -> list[Any]:
        store = sqlite3.connect(self.store)
        try:
            return [json.loads(body) for (body,) in store.execute(query)]
        finally:
            store.close()


@asynccontextmanager
async def open_place(folder: Path) -> AsyncIterator[Place]:
    hook = write_hook(folder, "shop", NOTE)
    policy = {"mode": "automatic", "steps": [{"command": hook}], "limits": UNLIMITED}
    async with open_street(folder) as street, serve_receiver() as receiver:
        write_config(
            folder,
            street,
            {"shop": policy},
            services={"shop": {"version": {"endpoint": "shop", "json": "$.version"}}},
            notifiers={"events": {"webhook": {"url": receiver.url()}}},
        )
        yield Place(folder, street, receiver)


@asynccontextmanager
async def settled(place: Place, **options: Any) -> AsyncIterator[Daemon]:
    """Run a daemon that knows its shop to be well."""
    async with daemon(place.folder, **options) as running:
        await until_passing(running)
        yield running


async def leave_an_open_incident(place: Place) -> None:
    """Let a daemon tell that the shop fails, and be killed: its log stays beside the store."""
    async with settled(place) as running:
        place.street["shop"].broken = True
        await until(lambda: place.told() == ["opened"])
        await until(lambda: place.read("SELECT body FROM deliveries WHERE state = 'delivered'"))
        await running.stop(signal.SIGKILL)
