"""A street of shops on loopback, each with a deploy to lose and a hook that may put it right."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp import web

from tests.support.receiver import serve_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.program import Daemon

PACE: Final = {"every": "500ms", "retry_every": "100ms", "timeout": "450ms"}
UNLIMITED: Final = {"per_day": 100, "fleet_per_hour": 1000, "cooldown": "0s"}
NOTE: Final = 'echo "$MONITOR_STEP_KEY $MONITOR_ATTEMPT" >> effects/$MONITOR_SERVICE'
"""What a hook does: one line in a file that its shop watches."""


@dataclass
class Stall:
    """How one shop answers; broken, it stays so until its hook has left a mark.

    With `good_answers` it is deployed anew after so many, and that is bad; it stays so for
    `bad_answers` if that is given.
    """

    broken: bool = False
    curable: bool = True
    version: str = "1.0"
    cured_version: str = "1.0"
    text: str = ""
    slow_once_cured: float = 0.0
    good_answers: int | None = None
    bad_answers: int | None = None
    asked: int = 0

    @property
    def over(self) -> bool:
        """Whether it was bad, and is good again by itself."""
        return None not in (self.good_answers, self.bad_answers) and self.asked > (
            (self.good_answers or 0) + (self.bad_answers or 0)
        )

    def answer(self) -> None:
        """Count an answer, and become what the shop is from there on."""
        self.asked += 1
        if self.good_answers is None or self.asked <= self.good_answers:
            return

        self.broken, self.version = not self.over, "2.0"


@dataclass
class Street:
    """All shops by name, in one folder with the effects of their hooks."""

    folder: Path
    port: int = 0
    stalls: dict[str, Stall] = field(default_factory=lambda: defaultdict(Stall))

    def __getitem__(self, name: str) -> Stall:
        return self.stalls[name]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def effect_url(self, name: str, step: str) -> str:
        """Give where a webhook has its effect on a shop: it is written down as a hook would."""
        return f"http://127.0.0.1:{self.port}/{name}/{step}"

    def effects(self, name: str) -> list[str]:
        """Give what the hook of a shop has done: a line for each run, `key attempt`."""
        path = self.folder / "effects" / name

        return path.read_text().splitlines() if path.exists() else []

    async def answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        stall = self.stalls[name]
        stall.answer()
        cured = bool(stall.curable and self.effects(name))
        if cured:
            await asyncio.sleep(stall.slow_once_cured)
        down = stall.broken and not cured

        return web.json_response(
            {"version": stall.cured_version if cured else stall.version, "text": stall.text},
            status=503 if down else 200,
        )

    async def take_effect(self, request: web.Request) -> web.Response:
        name, step = request.match_info["name"], request.match_info["step"]
        key = request.headers["webhook-id"]
        with (self.folder / "effects" / f"{name}-{step}").open("a") as journal:
            journal.write(f"{key} 1\n")

        return web.Response()


@asynccontextmanager
async def open_street(folder: Path) -> AsyncIterator[Street]:
    """Serve a shop at every path of one segment."""
    (folder / "effects").mkdir(exist_ok=True)
    street = Street(folder)
    app = web.Application()
    app.router.add_route("*", "/{name}", street.answer)
    app.router.add_post("/{name}/{step}", street.take_effect)
    async with serve_app(app) as port:
        street.port = port
        yield street


def write_hook(folder: Path, name: str, *lines: str) -> list[str]:
    """Write a shell script as a hook; give its argument list."""
    path = folder / f"hook-{name}.sh"
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)

    return [f"./{path.name}"]


def write_config(
    folder: Path,
    street: Street,
    rollbacks: dict[str, dict[str, Any]],
    *,
    services: dict[str, dict[str, Any]] | None = None,
    **sections: Any,
) -> None:
    """Watch the shops with these rollbacks; JSON is YAML as well."""
    config = {
        "environment": "test",
        "web": {"listen": "127.0.0.1:${PORT}"},
        "defaults": {
            **PACE,
            "failure_threshold": 3,
            "success_threshold": 2,
            "flapping_threshold": False,
        },
        "endpoints": {name: {"url": street.url(name)} for name in rollbacks},
        "services": {
            name: {**(services or {}).get(name, {}), "rollback": rollback}
            for name, rollback in rollbacks.items()
        },
        **sections,
    }
    (folder / "monitor.yml").write_text(json.dumps(config, indent=1))


def find_rollbacks(status: dict[str, Any], service: str) -> list[dict[str, Any]]:
    """Give the rollbacks and blocked trips of a service, oldest first."""
    return [one for one in status["rollbacks"] if one["service"] == service]


def stands(status: dict[str, Any], service: str) -> str:
    """Say where the newest rollback of a service stands: its state, or why it is blocked."""
    found = find_rollbacks(status, service)
    if not found:
        return ""

    return str(found[-1]["blocked"] or found[-1]["state"])


async def until_passing(running: Daemon) -> None:
    """Wait until every check has settled as passing."""
    await running.until(lambda status: all(one["state"] == "pass" for one in status["checks"]))


async def announce(running: Daemon, service: str, version: str = "2.0", **more: str) -> None:
    """Do what `deploy` does, without a process of its own."""
    marker = {"service": service, "version": version, **more}
    socket = aiohttp.UnixConnector(str(running.folder / ".production-monitor/control.sock"))
    async with (
        aiohttp.ClientSession(connector=socket) as control,
        control.post("http://monitor/api/v1/deploys", json=marker) as answer,
    ):
        assert answer.status == 200, await answer.text()
