"""A town of shops that misbehave, the people who are told, and the monitor that watches them."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from tests.support.account import Account
from tests.support.hearing import SIGNING, heard_by_slack, heard_by_webhook, heard_in_log
from tests.support.receiver import serve_app, serve_receiver
from tests.support.servers import unused_port
from tests.support.slack import TOKEN, serve_slack
from tests.support.street import NOTE, UNLIMITED, write_hook

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator
    from pathlib import Path
    from random import Random

    from tests.support.program import Daemon
    from tests.support.receiver import Receiver
    from tests.support.slack import FakeSlack

PLAIN: Final = 24
DEPLOYED: Final = 8
EVERY: Final = 0.5
_PACE: Final = {"every": "500ms", "retry_every": "200ms", "timeout": "450ms"}
_GARBAGE: Final = b"\x00\xff\x16\x03 HTTP/9.9 nonsense\r\n: :\r\n\r\n" * 20
_LONG_SILENCE: Final = 2.5
"""Seconds without a question after which a shop notes that it was not watched."""


class Mood(StrEnum):
    """How a shop answers."""

    GOOD = "good"
    DOWN = "down"
    HANGS = "hangs"
    DROPS = "drops"
    GARBLES = "garbles"
    SLOW = "slow"
    FLAPS = "flaps"


@dataclass
class Shop:
    """One shop; `silences` are the spans in which nobody asked, by the clock of the loop."""

    name: str
    mood: Mood = Mood.GOOD
    version: int = 1
    bad_since: float | None = None
    asked_at: float = 0.0
    asked: int = 0
    silences: list[tuple[float, float]] = field(default_factory=list)

    def note(self, now: float) -> None:
        """Write down that it was asked."""
        if self.asked_at and now - self.asked_at > _LONG_SILENCE:
            self.silences.append((self.asked_at, now))
        self.asked_at = now
        self.asked += 1


@dataclass
class Town:
    """Everything around one daemon; `running` is its present life."""

    folder: Path
    random: Random
    webhook: Receiver
    slack: FakeSlack
    shops: dict[str, Shop]
    port: int = 0
    listens: int = field(default_factory=unused_port)
    running: Daemon | None = None
    settling: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the configuration is not one to start with, and while the monitor starts."""

    away: list[tuple[float, float]] = field(default_factory=list)
    """Spans in which the monitor was stopped, dead or blind by our own doing."""

    @property
    def store(self) -> Path:
        return self.folder / ".production-monitor/monitor.db"

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    def send(self, number: signal.Signals) -> None:
        """Send the monitor a signal, if it lives."""
        if self.running is not None and self.running.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.running.process.pid, number)

    def effects(self) -> dict[str, list[str]]:
        """Give what hooks did to each shop."""
        return {
            path.name: path.read_text().splitlines()
            for path in sorted((self.folder / "effects").iterdir())
        }

    def account(self) -> Account:
        """Give what everybody heard until now."""
        return Account(
            {
                "events": heard_by_webhook(self.webhook),
                "chat": heard_by_slack(self.slack),
                "journal": heard_in_log(self.log),
            }
        )

    def configure(self, *, threshold: int = 3, patience: str = "5s", extra: bool = False) -> None:
        """Write a good configuration; what may change in it are the arguments."""
        names = [*self.shops, *(["extra"] if extra else [])]
        config = {
            "environment": "soak",
            "web": {"listen": "127.0.0.1:${PORT:-1}"},
            "defaults": {
                **_PACE,
                "failure_threshold": threshold,
                "success_threshold": 2,
                "flapping_threshold": False,
            },
            "endpoints": {name: {"url": f"http://127.0.0.1:{self.port}/{name}"} for name in names},
            "services": {name: self._service(name) for name in names},
            "notifiers": {
                "events": {
                    "webhook": {
                        "url": self.webhook.url(),
                        "secret": SIGNING,
                        "timeout": patience,
                    }
                },
                "chat": {
                    "slack": {
                        "token": TOKEN,
                        "channel": "#on-call",
                        "base_url": self.slack.base_url,
                        "timeout": patience,
                    }
                },
                "journal": {"log": {}},
            },
        }
        self._write(json.dumps(config, indent=1))

    def misconfigure(self) -> None:
        """Write a configuration that is refused."""
        self._write("endpoints: [this, is, none]\nnotifiers: {a: {b: c}}\n")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as the shop is in the mood to."""
        name = request.match_info["name"]
        shop = self.shops.get(name) or Shop(name)
        shop.note(asyncio.get_running_loop().time())
        mood = shop.mood
        if mood is Mood.FLAPS:
            mood = self.random.choice([Mood.GOOD, Mood.DOWN])
        match mood:
            case Mood.HANGS:
                await asyncio.sleep(5)
            case Mood.SLOW:
                await asyncio.sleep(self.random.uniform(0.1, 0.6))
            case Mood.DROPS | Mood.GARBLES:
                assert request.transport is not None
                if mood is Mood.GARBLES:
                    request.transport.write(_GARBAGE)
                request.transport.close()

        return web.json_response(
            {"version": str(shop.version)},
            status=200 if mood in (Mood.GOOD, Mood.SLOW) else 503,
        )

    def _service(self, name: str) -> dict[str, Any]:
        if not name.startswith("deployed"):
            return {}

        steps = [{"command": write_hook(self.folder, name, NOTE)}]

        return {
            "version": {"endpoint": name, "json": "$.version"},
            "rollback": {"mode": "automatic", "steps": steps, "limits": UNLIMITED},
        }

    def _write(self, text: str) -> None:
        fresh = self.folder / "monitor.yml.new"
        fresh.write_text(text)
        fresh.rename(self.folder / "monitor.yml")


@asynccontextmanager
async def open_town(folder: Path, random: Random) -> AsyncIterator[Town]:
    """Open all shops and receivers; no monitor runs yet."""
    (folder / "effects").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        names = [*(f"plain-{n}" for n in range(PLAIN)), *(f"deployed-{n}" for n in range(DEPLOYED))]
        town = Town(
            folder=folder,
            random=random,
            webhook=await stack.enter_async_context(serve_receiver()),
            slack=await stack.enter_async_context(serve_slack()),
            shops={name: Shop(name) for name in names},
        )
        app = web.Application()
        app.router.add_route("*", "/{name}", town.answer)
        town.port = await stack.enter_async_context(serve_app(app))
        town.configure()
        yield town
