"""Reloads: what they say, who shares one, and that none is left half-way."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from monitor.config.difference import MOST, Reloaded
from tests.support.running import loader, running, write
from tests.support.servers import answers_page, serve_script, unused_port
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from monitor.config import Compiled
    from tests.support.servers import Counterpart


@pytest.fixture
async def shop() -> AsyncIterator[Counterpart]:
    async with serve_script(answers_page()) as counterpart:
        yield counterpart


def watching(url: str, *, location: str = "here", more: str = "") -> str:
    return (
        "defaults: {every: 1h, timeout: 5s}\n"
        f"web: {{listen: '127.0.0.1:{unused_port()}'}}\nlocation: {location}\n"
        f"endpoints:\n  shop: {url}\n{more}"
    )


class Reader:
    """Reads the configuration; once it is held, when it is let go on, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.read = 0
        self._load = loader(folder)

    def hold(self) -> None:
        self.go_on.clear()
        self.read = 0

    def __call__(self) -> Compiled:
        self.read += 1
        assert self.go_on.wait(10)

        return self._load()


async def test_the_log_says_what_changed_in_one_line(
    shop: Counterpart, tmp_path: Path, log: list[Any]
) -> None:
    text = watching(shop.url(), more="  old: http://127.0.0.1:9/\n")
    async with running(tmp_path, text) as monitor:
        await monitor.reload()
        changed = text.replace("old:", "new:").replace("location: here", "location: there")
        write(tmp_path, changed.replace("timeout: 5s", "timeout: 4s"))
        await monitor.reload()

    unchanged, told = (one for one in log if one["event"] == "reloaded")
    assert unchanged == {
        "event": "reloaded",
        "log_level": "info",
        "endpoints": 2,
        "changed": "nothing",
    }
    assert told == {
        "event": "reloaded",
        "log_level": "info",
        "endpoints": 2,
        "added": "endpoints.new",
        "removed": "endpoints.old",
        "changed": (
            "defaults.timeout: 5s -> 4s; location: here -> there; "
            "endpoints.shop: by another part, a variable or a secret"
        ),
    }


async def test_a_hundred_who_ask_at_once_share_two_reloads_and_the_last_word_counts(
    shop: Counterpart, tmp_path: Path
) -> None:
    text = watching(shop.url())
    reader = Reader(tmp_path)
    async with running(tmp_path, text, load=reader) as monitor:
        await until(lambda: monitor.ready)
        tasks = asyncio.all_tasks()
        reader.hold()
        first = asyncio.create_task(monitor.reload())
        await until(lambda: reader.read)
        others = [asyncio.create_task(monitor.reload()) for _ in range(100)]
        await asyncio.sleep(0)
        write(tmp_path, text.replace("location: here", "location: there"))
        reader.go_on.set()
        told = [await one for one in (first, *others)]

        assert reader.read == 2
        assert {one.problems for one in told} == {()}
        assert told[-1].difference.changed in (("location: here -> there",), ())
        assert monitor.compiled.directory.location == "there"
        assert asyncio.all_tasks() <= tasks, "nothing is left of them"


async def test_a_reload_whose_asker_went_away_is_not_left_half_way(
    shop: Counterpart, tmp_path: Path
) -> None:
    text = watching(shop.url())
    reader = Reader(tmp_path)
    async with running(tmp_path, text, load=reader) as monitor:
        reader.hold()
        write(tmp_path, text.replace("location: here", "location: there"))
        asker = asyncio.create_task(monitor.reload())
        await until(lambda: reader.read)
        asker.cancel()
        await asyncio.wait([asker])
        reader.go_on.set()

        await until(lambda: monitor.compiled.directory.location == "there")


async def test_the_end_waits_for_the_reload_under_way_and_those_behind_it_change_nothing(
    shop: Counterpart, tmp_path: Path
) -> None:
    begun: list[int] = []
    ended: list[Reloaded] = []
    reader = Reader(tmp_path)
    async with running(tmp_path, watching(shop.url()), load=reader) as monitor:
        monitor.reloads.on_begin = lambda: begun.append(1)
        monitor.reloads.on_end = ended.append
        reader.hold()
        under_way = asyncio.create_task(monitor.reload())
        await until(lambda: reader.read)
        behind = asyncio.create_task(monitor.reload())
        closing = asyncio.create_task(monitor.reloads.close())
        await asyncio.sleep(0)
        reader.go_on.set()
        await closing

        assert (await under_way).problems == ()
        assert (await behind).problems == ("the monitor is stopping",)
        assert (len(begun), ended) == (1, [Reloaded()])


async def test_a_flood_of_mistakes_is_few_of_them_in_the_log_and_all_to_who_asked(
    shop: Counterpart, tmp_path: Path, log: list[Any]
) -> None:
    text = watching(shop.url())
    async with running(tmp_path, text) as monitor:
        write(tmp_path, text + "".join(f"  e{n}: {{evry: 3s}}\n" for n in range(500)))
        told = await monitor.reload()

    (line,) = (one for one in log if one["event"] == "reload_refused")
    assert len(told.problems) >= 500
    assert line["problems"].endswith(f"; and {len(told.problems) - MOST + 1} more")
    assert len(line["problems"]) < 5_000


async def test_what_is_likely_to_be_regretted_is_logged_once_for_as_long_as_it_is_so(
    shop: Counterpart, tmp_path: Path, log: list[Any]
) -> None:
    text = watching(shop.url())
    short = "tokens: [{name: ci, scope: read, token: canary}], "
    doubtful = text.replace("{listen", f"{{{short}listen")
    async with running(tmp_path, doubtful) as monitor:
        for now in (doubtful, text, doubtful):
            write(tmp_path, now)
            await monitor.reload()

    doubts = [one["doubt"] for one in log if one["event"] == "configuration_is_doubtful"]
    assert len(doubts) == 2
    assert doubts[0].startswith("web.tokens: the token of ci has fewer than 16 characters")
    assert "canary" not in str(doubts)


async def test_the_kill_switch_still_holds_where_a_reload_names_another_store(
    shop: Counterpart, tmp_path: Path
) -> None:
    text = watching(shop.url())
    async with running(tmp_path, text) as monitor:
        monitor.kill_switch.touch()
        write(tmp_path, f"{text}store: sqlite:///{tmp_path}/elsewhere/monitor.db\n")
        assert not (await monitor.reload()).problems

        assert monitor.compiled.store.parent.name == "elsewhere"
        assert monitor.status()["rollbacks_off"] is not None


async def test_the_status_says_that_a_reload_was_refused_and_that_a_restart_is_due(
    shop: Counterpart, tmp_path: Path
) -> None:
    text = watching(shop.url())
    async with running(tmp_path, text) as monitor:
        fresh = monitor.status()["configuration"]
        write(tmp_path, text.replace("timeout: 5s", "timeout: soon"))
        await monitor.reload()
        refused = monitor.status()["configuration"]
        write(tmp_path, text.replace("location: here", "store: sqlite:///other.db"))
        for _ in range(2):
            assert (await monitor.reload()).needs_restart == ("store",)
            due = monitor.status()["configuration"]
        write(tmp_path, text)
        await monitor.reload()
        settled = monitor.status()["configuration"]

    assert (fresh, settled) == ([], [])
    assert len(refused) == 1
    assert refused[0].startswith("the last reload was refused: ")
    assert "defaults.timeout: expected a duration" in refused[0]
    assert due == ["store was changed: a restart takes it over"]
