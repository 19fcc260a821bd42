"""The daemon while the clock is set, summer time begins and ends, and its host stands still."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from monitor.core.model.verdict import Outcome
from monitor.store import Store
from tests.support.program import daemon, run
from tests.support.receiver import answers, serve_receiver
from tests.support.shop import Shop, open_shop
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from monitor.core.model.changes import Result
    from tests.support.program import Daemon

EVERY = 0.25
WINDOW = timedelta(seconds=2)
TEN_YEARS = timedelta(days=3_650)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CONFIG = """
web: {{listen: "127.0.0.1:${{PORT}}"}}
store: sqlite:///state/store.db
defaults: {{every: 250ms, retry_every: 250ms, timeout: 250ms}}
notifiers: {{ops: {{webhook: {{url: "{receiver}"}}}}}}
services:
  shop: {{rollback: {{mode: observe, certify_after: 1h}}}}
endpoints:
  up:
    url: {target}/up
    service: shop
    health: {{failure_threshold: 2}}
    latency: {{p50: {{lt: 240ms, window: 2s, min_samples: 2}}}}
  down: {{url: "{target}/down", health: {{failure_threshold: 2}}}}
  later: {{url: "{target}/later", health: {{failure_threshold: 2}}}}
"""


@asynccontextmanager
async def open_target() -> AsyncIterator[Shop]:
    async with open_shop() as shop:
        shop.statuses["/down"] = 503
        yield shop


async def asked_again(shop: Shop, seconds: float) -> None:
    """Wait until the probes of so much time have come, whatever any clock shows."""
    times = shop.times["/up"]
    wanted = len(times) + seconds / EVERY
    await until(lambda: len(times) >= wanted)


@dataclass(frozen=True)
class WallClock:
    """The wall clock of a program, which a test sets: its offset is in a file."""

    file: Path
    zone: str = "UTC"

    @property
    def environ(self) -> dict[str, str]:
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")

        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # it makes waiting threads late by seconds
            "NO_FAKE_STAT": "1",
            "TZ": self.zone,
        }

    def show(self, off: timedelta) -> None:
        """Set the clock; in one step, as no reader may see half a file."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{off.total_seconds():+.3f}")
        fresh.replace(self.file)


def configure(folder: Path, target: Shop, receiver: str) -> None:
    (folder / "monitor.yml").write_text(CONFIG.format(target=target.url, receiver=receiver))


def turns(running: Daemon) -> list[str]:
    """Give what became of incidents, save that the clock was set."""
    return re.findall(r"event_name=(?!clock_set)(\w+)", running.said())


def state_of(status: dict[str, Any], check: str) -> dict[str, Any]:
    return next(one for one in status["checks"] if one["check"] == check)


def assert_even(times: list[float], *, skipped: float = 0) -> None:
    """Neither a gap nor a burst: a busy machine may be late or skip, but makes up for nothing."""
    slots = (times[-1] - times[0]) / EVERY

    assert len(times) - 3 <= slots <= len(times) + skipped + 3
    assert max(later - earlier for earlier, later in pairwise(times)) < 5
    for number, began in enumerate(times):
        within = sum(at - began < 1 for at in times[number:])
        assert within <= 1 / EVERY + 3, "no burst"


@pytest.mark.needs("faketime")
@pytest.mark.parametrize(
    "by", [timedelta(hours=-1), timedelta(days=1)], ids=["an hour back", "a day ahead"]
)
async def test_a_clock_that_is_set_and_set_again_changes_nothing(
    by: timedelta, tmp_path: Path
) -> None:
    clock = WallClock(tmp_path / "clock")
    clock.show(timedelta())
    async with (
        open_target() as target,
        serve_receiver(answers(503, retry_after="2")) as receiver,
    ):
        configure(tmp_path, target, receiver.url())
        async with daemon(tmp_path, environ=clock.environ) as running:
            (first,) = await receiver.wait_for(1)
            clock.show(by)
            await until(lambda: running.said().count("clock_set ") == 1)
            began = len(target.times["/up"])
            (_, second) = await receiver.wait_for(2)
            await asked_again(target, 1)

            target.statuses["/later"] = 503
            status = await running.until(lambda status: len(status["incidents"]) == 2)
            opened = max(datetime.fromisoformat(one["opened_at"]) for one in status["incidents"])
            assert abs(datetime.now(UTC) + by - opened) < timedelta(seconds=10)

            clock.show(timedelta())
            await until(lambda: running.said().count("clock_set ") == 2)
            await asked_again(target, 1)
            target.statuses["/later"] = target.statuses["/down"] = 200
            status = await running.until(
                lambda status: (
                    all(one["resolved_at"] for one in status["incidents"])
                    and state_of(status, "up.latency.p50")["state"] == "pass"
                )
            )
            await receiver.wait_for(5)
            skipped = await running.metric("skipped_probes_total")
            failures = await running.metric("probe_failures_total")
            jumps = await running.metric("clock_jumps_total")
            assert await running.stop() == 0

    assert_even(target.times["/up"][began:], skipped=skipped)
    assert_even(target.times["/down"][began:], skipped=skipped)
    assert 1.9 < second.at - first.at < 5, "it waited as long as it was asked to"
    assert [one.json["event"] for one in receiver.received[1:]].count("opened") == 2
    assert [one.json["event"] for one in receiver.received[1:]].count("resolved") == 2
    assert turns(running).count("opened") == turns(running).count("resolved") == 2
    assert state_of(status, "up.health")["state"] == "pass"
    assert jumps == 2
    assert skipped < 20, "an hour has 14,400 slots"
    assert failures <= len(target.times["/down"]) + len(target.times["/later"])
    for incident in status["incidents"]:
        took = datetime.fromisoformat(incident["resolved_at"]) - datetime.fromisoformat(
            incident["since"]
        )
        assert timedelta() < took < timedelta(seconds=60)
        assert [line["sequence"] for line in incident["timeline"]] == list(
            range(1, len(incident["timeline"]) + 1)
        )
    assert "Traceback" not in running.said()


async def stored(path: Path, endpoint: str = "up") -> list[Result]:
    """Give all results of an endpoint that are not forgotten."""
    opened = await Store.open(path, holder="a test")
    try:
        return await opened.results(endpoint, EPOCH, 10_000)
    finally:
        await opened.close()


@pytest.mark.needs("faketime")
async def test_a_start_with_a_clock_that_is_ten_years_ahead_deletes_no_history(
    tmp_path: Path,
) -> None:
    clock = WallClock(tmp_path / "clock")
    async with open_target() as target:
        configure(tmp_path, target, target.url)
        for off in (timedelta(), TEN_YEARS):
            clock.show(off)
            ended = await run(
                "--config",
                "monitor.yml",
                "--cycles",
                "3",
                "--no-notify",
                "--endpoint",
                "up",
                cwd=tmp_path,
                environ={"PORT": "1", **clock.environ},
            )
            assert ended.code == 0, ended.err
    times = [one.at for one in await stored(tmp_path / "state" / "store.db")]

    assert len(times) == 6
    assert times[2] < datetime.now(UTC) < times[3]


SUMMER = {
    "begins": datetime(2026, 3, 29, 1, tzinfo=UTC),
    "ends": datetime(2026, 10, 25, 1, tzinfo=UTC),
}


async def watch_over(boundary: datetime, folder: Path) -> Daemon:
    """Run a daemon in Berlin from shortly before a moment until some seconds after it."""
    clock = WallClock(folder / "clock", zone="Europe/Berlin")
    clock.show(boundary - timedelta(seconds=6) - datetime.now(UTC))
    async with open_target() as target, serve_receiver() as receiver:
        configure(folder, target, receiver.url())
        async with daemon(folder, environ=clock.environ) as running:
            await running.until(
                lambda status: (
                    datetime.fromisoformat(status["at"]) > boundary + timedelta(seconds=4.5)
                )
            )
            skipped = await running.metric("skipped_probes_total")
            assert await running.stop() == 0
    assert_even(target.times["/up"][1:], skipped=skipped)

    return running


@pytest.mark.needs("faketime")
async def test_summer_time_neither_doubles_nor_loses_a_window(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in SUMMER]
    for folder in folders:
        folder.mkdir()
    watched = await asyncio.gather(*map(watch_over, SUMMER.values(), folders))

    for running, boundary in zip(watched, SUMMER.values(), strict=True):
        assert "clock_set" not in running.said()
        assert turns(running) == ["opened"]
        stamps = [
            datetime.fromisoformat(line.split()[0]) for line in running.said().splitlines() if line
        ]
        assert stamps == sorted(stamps)
        assert boundary - timedelta(seconds=7) < stamps[0]
        assert stamps[-1] < boundary + timedelta(seconds=10)
        await assert_windows(running.folder / "state" / "store.db", boundary)


async def assert_windows(store: Path, boundary: datetime) -> None:
    """Each window in which there was a sample closed the one before it, once and in order."""
    results = await stored(store)
    judged = [
        (window_of(one.at), outcome)
        for one in results
        for check, outcome in one.outcomes
        if "latency" in check
    ]
    entered = list(dict.fromkeys(window_of(one.at) for one in results))

    assert entered == sorted(entered)
    assert entered[0] < boundary <= entered[-1] - WINDOW
    assert [window for window, _ in judged] == entered[1:]
    assert {outcome for _, outcome in judged} <= {Outcome.PASS, Outcome.WAITING}


def window_of(at: datetime) -> datetime:
    return at - (at - EPOCH) % WINDOW


@pytest.fixture
def stopped() -> Iterator[list[int]]:
    """Let what a test has stopped go on, however the test ends."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


async def test_a_host_that_stood_still_blames_nobody_and_makes_up_for_nothing(
    tmp_path: Path, stopped: list[int]
) -> None:
    async with open_target() as target, serve_receiver() as receiver:
        configure(tmp_path, target, receiver.url())
        target.statuses["/down"] = 200
        async with daemon(tmp_path) as running:
            await asked_again(target, 1)
            target.delays["/later"] = 0.2
            before = len(target.times["/later"])
            await until(lambda: len(target.times["/later"]) > before)
            running.process.send_signal(signal.SIGSTOP)
            stopped.append(running.process.pid)
            await asyncio.sleep(3)
            target.delays.clear()
            asked = len(target.times["/up"])
            running.process.send_signal(signal.SIGCONT)
            stopped.clear()
            await asked_again(target, 2)
            status = await running.status()
            skipped = await running.metric("skipped_probes_total")
            late = await running.metric("schedule_lag_seconds_sum")
            timeouts = await running.metric("probe_failures_total", reason="timeout")
            own = await running.metric("probe_failures_total", reason="internal")
            assert await running.stop() == 0

    assert_even(target.times["/up"][asked:], skipped=skipped)
    assert skipped >= 3 * (3 / EVERY - 3), "of three endpoints"
    assert late > 0.01
    assert status["incidents"] == []
    assert timeouts == 0
    assert own > 0, "the probe in flight"
    assert "event_loop_stalled" in running.said()
    assert "clock_set" not in running.said()
