"""The installed program among faults: hanging targets, and its own end at any moment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections import Counter, defaultdict
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

POINTS: Final = int(os.environ.get("KILL_POINTS", "16"))
"""At how many moments the program is killed."""

CALLS: Final = ("fdatasync", "pwrite64", "write")
"""What the program does as it dies: it makes a commit durable, writes a page, or says something."""

AT_ONCE: Final = 3
ANYWHERE: Final = {"PORT": "1"}
ROUNDS: Final = ("--cycles", "5", "--every", "20ms", "--output", "json")


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


async def test_a_path_that_is_too_long_for_a_socket_keeps_no_command_from_the_store(
    shop: Shop, tmp_path: Path
) -> None:
    folder = tmp_path / ("deep" * 30)
    folder.mkdir()
    (folder / "monitor.yml").write_text(json.dumps({"endpoints": {"shop": shop.url}}))

    checked = await run("--cycles", "1", cwd=folder)
    told = await run("deploy", "shop", "--version", "2.0", cwd=folder)
    status = await run("status", cwd=folder)

    assert checked.code == 0, checked.err
    assert told.code == 0, told.err
    assert status.code == 0, status.err


@pytest.mark.needs("strace")
@pytest.mark.timeout(30 + 20 * POINTS)
async def test_killed_at_any_commit_it_loses_no_alert_and_rolls_back_at_most_once(
    tmp_path: Path,
) -> None:
    """Each commit of one whole story is cut short once; what the next runs tell is complete.

    The story: a new version, three failures, an open incident, a hook, its proof, the resolve.
    """
    async with AsyncExitStack() as stack:
        whole = await Story.begin(stack, tmp_path / "whole")
        await whole.run(f"trace={','.join(CALLS)}")
        moments = pick(whole.moments(), POINTS)
        gate = asyncio.Semaphore(AT_ONCE)

        async def cut(call: str, number: int) -> tuple[bool, list[str]]:
            async with gate:
                story = await Story.begin(stack, tmp_path / f"{call}-{number}")
                ended = await story.run(
                    f"trace={call}", f"inject={call}:signal=SIGKILL:when={number}"
                )
                await story.end()
                return ended.code == -signal.SIGKILL, story.broken_promises()

        found = await asyncio.gather(*(cut(*moment) for moment in moments))

    killed = sum(killed for killed, _ in found)
    broken = {moment: why for moment, (_, why) in zip(moments, found, strict=True) if why}
    assert whole.broken_promises() == []
    assert broken == {}
    assert killed > 0.7 * len(moments) > 0.5 * POINTS


def pick(moments: list[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    """Give so many moments: the last commits, as the first only make the store; or all, evenly."""
    commits = [moment for moment in moments if moment[0] == CALLS[0]]
    if count <= len(commits):
        return commits[-count:]

    count = min(count, len(moments))

    return [moments[index * len(moments) // count] for index in range(count)]


class Story:
    """One shop with its bad deploy, its hook and its receiver, in a folder of its own."""

    def __init__(self, folder: Path, street: Street, receiver: Receiver) -> None:
        self.folder = folder
        self.street = street
        self.receiver = receiver

    @classmethod
    async def begin(cls, stack: AsyncExitStack, folder: Path) -> Story:
        """Open a shop that answers well twice, and then with a new version that is bad."""
        folder.mkdir()
        street = await stack.enter_async_context(open_street(folder))
        receiver = await stack.enter_async_context(serve_receiver())
        hook = write_hook(folder, "shop", NOTE)
        policy = {"mode": "automatic", "steps": [{"command": hook}], "limits": UNLIMITED}
        write_config(
            folder,
            street,
            {"shop": policy},
            services={"shop": {"version": {"endpoint": "shop", "json": "$.version"}}},
            notifiers={"events": {"webhook": {"url": receiver.url()}}},
        )
        street["shop"].good_answers = 2

        return cls(folder, street, receiver)

    async def run(self, *traced: str) -> Ended:
        """Go through the story, traced by strace if it is told what."""
        options = [part for expression in traced for part in ("-e", expression)]
        before = ("strace", "-f", "-o", str(self.folder / "trace"), *options) if traced else ()
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
        if self.broken_promises():
            await self.run()

    def moments(self) -> list[tuple[str, int]]:
        """Give each call that any of its threads made, with its number among those."""
        made: Counter[tuple[str, str]] = Counter()
        for line in (self.folder / "trace").read_text().splitlines():
            thread, _, what = line.partition(" ")
            made[what.strip().partition("(")[0], thread] += 1

        return [
            (call, number)
            for call in CALLS
            for number in range(1, max(n for (name, _), n in made.items() if name == call) + 1)
        ]

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
        said = defaultdict(set)
        for one in self._told():
            rollback = one["rollback"] or {}
            what = (one["incident"], one["event"], rollback.get("state"), rollback.get("reason"))
            said[what].add(one["idempotency_key"])
        broken += [f"{what} has {len(keys)} keys" for what, keys in said.items() if len(keys) > 1]
        states = self._states()
        if any(state in ("executing", "verifying") for state in states):
            broken.append(f"a rollback is still under way: {states}")
        told = [(one["event"], (one["rollback"] or {}).get("state")) for one in self._told()]
        silent = set(states) - {state for _, state in told}
        broken += [f"nobody was told that it is {state}, only {told}" for state in silent]

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
