"""The installed program among faults: hanging targets, and its own end at any moment."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.support.program import Ended, daemon, environment, run, until
from tests.support.receiver import serve_receiver
from tests.support.servers import say_nothing, serve_script
from tests.support.street import (
    NOTE,
    UNLIMITED,
    Stall,
    Street,
    open_street,
    write_config,
    write_hook,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.receiver import Receiver
    from tests.support.shop import Shop

POINTS: Final = int(os.environ.get("KILL_POINTS", "12"))
"""At how many moments the program is killed; all that there are for a number that is too large."""

AT_ONCE: Final = 3
ANYWHERE: Final = {"PORT": "1"}
ROUNDS: Final = ("--cycles", "3", "--every", "20ms", "--output", "json")


async def test_a_hundred_hanging_targets_delay_no_healthy_one(shop: Shop, tmp_path: Path) -> None:
    async with serve_script(say_nothing) as silent:
        hanging = {
            f"hangs-{number}": {"url": silent.url(f"/{number}"), "every": "10s", "timeout": "9s"}
            for number in range(100)
        }
        config = {
            "web": {"listen": "127.0.0.1:${PORT}"},
            "endpoints": {
                **hanging,
                "shop": {"url": shop.url, "every": "200ms", "timeout": "200ms"},
            },
        }
        (tmp_path / "monitor.yml").write_text(json.dumps(config))
        config["endpoints"] = {"shop": {"url": shop.url, "every": "200ms", "timeout": "200ms"}}
        (tmp_path / "ready.yml").write_text(json.dumps(config))

        # Ready means that the first round is done, so the hanging ones come by a reload.
        (tmp_path / "now.yml").write_text((tmp_path / "ready.yml").read_text())
        async with daemon(tmp_path, config="now.yml") as running:
            (tmp_path / "now.yml").write_text((tmp_path / "monitor.yml").read_text())
            running.hang_up()
            await until(lambda: silent.connections == 100)
            asked = shop.asked
            begin = asyncio.get_running_loop().time()
            await until(lambda: shop.asked >= asked + 10)
            took = asyncio.get_running_loop().time() - begin
            status = await running.status()
            hung = silent.connections

    healthy = next(one for one in status["checks"] if one["check"] == "shop.health")
    assert hung == 100, "all of them still hang"
    assert took < 4, "ten intervals are two seconds"
    assert healthy["verdict"] == "pass"


@pytest.mark.needs("strace")
@pytest.mark.timeout(30 + 20 * POINTS)
async def test_killed_at_any_commit_it_loses_no_alert_and_rolls_back_at_most_once(
    tmp_path: Path,
) -> None:
    """Each commit of one whole story is cut short once; what the next runs tell is complete.

    The story: a bad deploy, three failures, an open incident, a hook, its proof and the resolve.
    """
    async with AsyncExitStack() as stack:
        whole = await Story.begin(stack, tmp_path / "whole")
        await whole.run(count=True)
        commits = whole.commits()
        stride = max(1, -(-commits // POINTS))
        numbers = range(1, commits + 1, stride)
        gate = asyncio.Semaphore(AT_ONCE)

        async def cut(number: int) -> tuple[int, list[str]]:
            async with gate:
                story = await Story.begin(stack, tmp_path / f"cut-{number}")
                await story.run(kill_at=number)
                await story.end()
                return number, story.broken_promises()

        found = dict(await asyncio.gather(*(cut(number) for number in numbers)))

    assert whole.broken_promises() == []
    assert commits > 12
    assert {number: broken for number, broken in found.items() if broken} == {}


class Story:
    """One shop with its bad deploy, its hook and its receiver, in a folder of its own."""

    def __init__(self, folder: Path, street: Street, receiver: Receiver) -> None:
        self.folder = folder
        self.street = street
        self.receiver = receiver

    @classmethod
    async def begin(cls, stack: AsyncExitStack, folder: Path) -> Story:
        """Deploy a bad version to a shop that passed before."""
        folder.mkdir()
        street = await stack.enter_async_context(open_street(folder))
        receiver = await stack.enter_async_context(serve_receiver())
        hook = write_hook(folder, "shop", NOTE)
        policy = {"mode": "automatic", "steps": [{"command": hook}], "limits": UNLIMITED}
        write_config(
            folder,
            street,
            {"shop": policy},
            notifiers={"events": {"webhook": {"url": receiver.url()}}},
        )
        story = cls(folder, street, receiver)
        assert (await run(*ROUNDS, cwd=folder, environ=ANYWHERE)).code == 0
        told = await run("deploy", "shop", "--version", "2.0", cwd=folder, environ=ANYWHERE)
        assert told.code == 0
        street["shop"].broken = True

        return story

    async def run(self, *, kill_at: int = 0, count: bool = False) -> Ended:
        """Go through the story, up to a commit at which the process is killed."""
        inject = ("-e", f"inject=fdatasync:signal=SIGKILL:when={kill_at}") if kill_at else ()
        traced = ("strace", "-f", "--seccomp-bpf", "-e", "trace=fdatasync", *inject)
        before = (*traced, "-o", str(self.folder / "trace")) if kill_at or count else ()
        process = await asyncio.create_subprocess_exec(
            *before,
            *(sys.executable, "-m", "monitor", *ROUNDS),
            cwd=self.folder,
            env=environment(ANYWHERE),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None

        return Ended(process.returncode, out.decode(), err.decode())

    async def end(self) -> None:
        """Start again; should the hook not have helped, a person puts the shop right."""
        await self.run()
        if not self.street.effects("shop"):
            self.street.stalls["shop"] = Stall()
        await self.run()

    def commits(self) -> int:
        return (self.folder / "trace").read_text().count("fdatasync(")

    def broken_promises(self) -> list[str]:
        """Say what should not be so; nothing if all is well."""
        broken = []
        if (runs := len(self.street.effects("shop"))) > 1:
            broken.append(f"the hook ran {runs} times")
        incidents = self._read("SELECT id FROM incidents")
        if not incidents:
            broken.append("no incident was opened")
        for (incident,) in incidents:
            events = [one["event"] for one in self._told() if one["incident"] == incident]
            if events.count("resolved") < 1:
                broken.append(f"the end of {incident} was not told: {events}")
            if "opened" in events and "resolved" in events[: events.index("opened")]:
                broken.append(f"the end of {incident} came before its beginning: {events}")
            if "opened" not in events and not self._merged(incident):
                broken.append(f"the beginning of {incident} was not told: {events}")
        by_key: dict[str, set[tuple[str, str, str]]] = {}
        for one in self._told():
            what = (one["incident"], one["event"], str((one["rollback"] or {}).get("state")))
            by_key.setdefault(one["idempotency_key"], set()).add(what)
        same: dict[tuple[str, str, str], set[str]] = {}
        for key, whats in by_key.items():
            for what in whats:
                same.setdefault(what, set()).add(key)
        broken += [
            f"{what} was told under {len(keys)} keys"
            for what, keys in same.items()
            if len(keys) > 1
        ]
        states = self._states()
        if any(state in ("executing", "verifying") for state in states):
            broken.append(f"a rollback is still under way: {states}")
        told = {(one["rollback"] or {}).get("state") for one in self._told()}
        broken += [f"nobody was told that it is {state}" for state in states if state not in told]

        return broken

    def _told(self) -> list[dict[str, Any]]:
        return [one.json for one in self.receiver.received]

    def _merged(self, incident: str) -> bool:
        return any(
            one["incident"] == incident and "was down from" in one["text"] for one in self._told()
        )

    def _states(self) -> list[str]:
        return [json.loads(body)["state"] for (body,) in self._read("SELECT body FROM rollbacks")]

    def _read(self, query: str) -> list[Any]:
        store = sqlite3.connect(self.folder / ".production-monitor/monitor.db")
        try:
            return store.execute(query).fetchall()
        finally:
            store.close()
