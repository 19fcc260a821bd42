"""Runs that end by themselves: when rounds start, what ends them, and what is finished first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from monitor import rounds as rounds_module
from monitor.core.model.changes import Changes
from monitor.core.model.rollback import RollbackState
from monitor.core.model.verdict import Outcome
from monitor.operations import DeployMarker, announce_deploy
from monitor.rounds import Finished, Rounds, run_rounds
from tests.support.receiver import answers, hangs, serve_app, serve_receiver
from tests.support.running import running
from tests.support.servers import say_nothing, serve_script
from tests.support.stored import a_rollback
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from monitor.app import Monitor

HEAD = "defaults: {timeout: 10s, failure_threshold: 1, success_threshold: 1, retry_every: 100ms}\n"
HOUR = timedelta(hours=1)


@dataclass
class Site:
    """A site to look at: what it answers next, how late, and when it was asked."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    down: Path | None = None
    asked: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked.append(asyncio.get_running_loop().time())
        if self.delays:
            await asyncio.sleep(self.delays.pop(0))
        status = self.statuses.pop(0) if self.statuses else 200
        if self.down is not None and self.down.exists():
            status = 500

        return web.Response(status=status)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/", site.answer)
    async with serve_app(app) as site.port:
        yield site


def watching(url: str, more: str = "") -> str:
    return f"{HEAD}endpoints: {{site: '{url}'}}\n{more}"


async def go(
    monitor: Monitor,
    cycles: int = 1,
    *,
    every: timedelta = timedelta(milliseconds=20),
    goal: Outcome | None = None,
    stop: asyncio.Event | None = None,
    on_probe: Callable[..., None] = lambda *_: None,
) -> Finished:
    plan = Rounds(endpoints=monitor.watched, cycles=cycles, every=every, until=goal)
    async with asyncio.timeout(20):
        return await run_rounds(monitor, plan, stop or asyncio.Event(), on_probe)


class TestWhen:
    async def test_rounds_start_every_so_often_however_long_they_take(
        self, site: Site, tmp_path: Path
    ) -> None:
        site.delays = [0.1, 0.1, 0.1]
        async with running(tmp_path, watching(site.url), oneshot=True) as monitor:
            finished = await go(monitor, 4, every=timedelta(milliseconds=200))

        first = site.asked[0]
        for number, asked in enumerate(site.asked):
            assert asked - first == pytest.approx(number * 0.2, abs=0.09)
        assert finished.cycles == len(site.asked) == 4

    async def test_a_late_round_starts_at_once_and_the_next_has_its_own_place_again(
        self, site: Site, tmp_path: Path
    ) -> None:
        site.delays = [0.75]
        async with running(tmp_path, watching(site.url), oneshot=True) as monitor:
            finished = await go(monitor, 3, every=timedelta(milliseconds=300))

        first, second, third = site.asked
        assert second - first == pytest.approx(0.75, abs=0.09)
        assert third - first == pytest.approx(0.9, abs=0.09)
        assert third - second > 0.05, "what was missed is not made up for"
        assert finished.cycles == 3

    async def test_whoever_listens_hears_of_each_probe(self, site: Site, tmp_path: Path) -> None:
        heard: list[tuple[int, str]] = []
        text = f"{HEAD}endpoints: {{site: '{site.url}', other: '{site.url}?2'}}\n"
        async with running(tmp_path, text, oneshot=True) as monitor:
            await go(monitor, 2, on_probe=lambda number, one: heard.append((number, one.name)))

        assert sorted(heard) == [(1, "other"), (1, "site"), (2, "other"), (2, "site")]

    async def test_a_mistake_of_the_listener_ends_the_run(self, site: Site, tmp_path: Path) -> None:
        def broken(*_args: object) -> None:
            raise RuntimeError("a bug")

        async with running(tmp_path, watching(site.url), oneshot=True) as monitor:
            with pytest.raises(RuntimeError, match="a bug"):
                await go(monitor, on_probe=broken)


class TestUntil:
    @pytest.mark.parametrize(
        ("statuses", "goal", "cycles", "reached", "verdict"),
        [
            pytest.param([500, 500, 200], Outcome.PASS, 3, True, Outcome.PASS, id="passes at last"),
            pytest.param([500] * 5, Outcome.PASS, 5, False, Outcome.FAIL, id="never passes"),
            pytest.param([200, 500], Outcome.FAIL, 2, True, Outcome.FAIL, id="fails"),
            pytest.param([], Outcome.FAIL, 5, False, Outcome.PASS, id="never fails"),
            pytest.param([500, 200], None, 5, False, Outcome.PASS, id="no goal: all rounds"),
        ],
    )
    async def test_the_goal_ends_the_run_at_the_round_that_reaches_it(
        self,
        site: Site,
        tmp_path: Path,
        statuses: list[int],
        goal: Outcome | None,
        cycles: int,
        reached: bool,
        verdict: Outcome,
    ) -> None:
        site.statuses = statuses
        async with running(tmp_path, watching(site.url), oneshot=True) as monitor:
            finished = await go(monitor, 5, goal=goal)

        assert (finished.cycles, finished.reached, finished.verdict) == (cycles, reached, verdict)
        assert not finished.interrupted

    async def test_counts_go_on_from_run_to_run(self, site: Site, tmp_path: Path) -> None:
        text = watching(site.url).replace("failure_threshold: 1", "failure_threshold: 3")
        site.statuses = [500] * 3
        states = []
        for _ in range(3):
            async with running(tmp_path, text, oneshot=True) as monitor:
                finished = await go(monitor)
                states.append((finished.reports[0].state, finished.reports[0].consecutive_failures))

        assert states == [(Outcome.UNKNOWN, 1), (Outcome.UNKNOWN, 2), (Outcome.FAIL, 3)]


class TestInterrupted:
    async def test_during_the_first_round_there_is_no_verdict(self, tmp_path: Path) -> None:
        stop = asyncio.Event()
        async with (
            serve_script(say_nothing) as mute,
            running(tmp_path, watching(mute.url()), oneshot=True) as monitor,
        ):
            run = asyncio.create_task(go(monitor, 3, stop=stop))
            await until(lambda: mute.connections)
            stop.set()
            finished = await run

            assert not monitor.engine.situation.states, "what was cancelled has no consequences"
        assert (finished.interrupted, finished.cycles) == (True, 0)
        assert (finished.verdict, finished.reports) == (Outcome.UNKNOWN, ())

    async def test_between_rounds_the_last_round_counts(self, site: Site, tmp_path: Path) -> None:
        stop = asyncio.Event()
        async with running(tmp_path, watching(site.url), oneshot=True) as monitor:
            run = asyncio.create_task(go(monitor, 3, every=HOUR, stop=stop))
            await until(lambda: monitor.ready)
            await asyncio.sleep(0.05)
            stop.set()
            finished = await run

        assert (finished.interrupted, finished.cycles) == (True, 1)
        assert finished.verdict is Outcome.PASS

    async def test_before_the_first_round_nothing_is_asked(
        self, site: Site, tmp_path: Path
    ) -> None:
        stop = asyncio.Event()
        stop.set()
        async with running(tmp_path, watching(site.url), oneshot=True) as monitor:
            finished = await go(monitor, stop=stop)

        assert (finished.interrupted, site.asked) == (True, [])

    async def test_a_run_that_is_cancelled_leaves_no_probe_behind(self, tmp_path: Path) -> None:
        async with (
            serve_script(say_nothing) as mute,
            running(tmp_path, watching(mute.url()), oneshot=True) as monitor,
        ):
            run = asyncio.create_task(go(monitor))
            await until(lambda: mute.connections)
            before = asyncio.all_tasks() - {run}
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run

            assert asyncio.all_tasks() <= before
            assert not monitor.engine.latest


class TestOutbox:
    def telling(self, site: Site, url: str) -> str:
        site.statuses = [500]

        return watching(site.url, f"notifiers: {{ops: {{webhook: {{url: '{url}'}}}}}}\n")

    async def test_what_is_to_be_told_is_told_before_the_end(
        self, site: Site, tmp_path: Path
    ) -> None:
        async with (
            serve_receiver() as receiver,
            running(tmp_path, self.telling(site, receiver.url()), oneshot=True) as monitor,
        ):
            finished = await go(monitor)

            assert finished.undelivered == 0
            assert [one.json["event"] for one in receiver.received] == ["opened"]

    async def test_a_receiver_in_trouble_has_its_grace_and_the_next_run_tries_again(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rounds_module, "OUTBOX_GRACE", timedelta(milliseconds=300))
        async with serve_receiver(answers(503, retry_after="1"), then=answers()) as receiver:
            text = self.telling(site, receiver.url())
            async with running(tmp_path, text, oneshot=True) as monitor:
                site.statuses = [500, 500]
                first = await go(monitor)
            monkeypatch.undo()
            async with running(tmp_path, text, oneshot=True) as monitor:
                second = await go(monitor)

        assert (first.undelivered, second.undelivered) == (1, 0)
        assert len({one.headers["idempotency-key"] for one in receiver.received}) == 1

    async def test_whoever_interrupts_does_not_wait_for_a_receiver(
        self, site: Site, tmp_path: Path
    ) -> None:
        stop = asyncio.Event()
        async with serve_receiver(then=hangs()) as receiver:
            text = self.telling(site, receiver.url())
            async with running(tmp_path, text, oneshot=True) as monitor:
                run = asyncio.create_task(go(monitor, stop=stop))
                await receiver.wait_for(1)
                stop.set()
                async with asyncio.timeout(3):
                    finished = await run

        assert (finished.interrupted, finished.undelivered) == (True, 1)

    async def test_whoever_shall_not_be_told_keeps_nobody_waiting(
        self, site: Site, tmp_path: Path
    ) -> None:
        async with serve_receiver(then=hangs()) as receiver:
            text = self.telling(site, receiver.url())
            async with running(tmp_path, text, oneshot=True, notify=False) as monitor:
                finished = await go(monitor)

        assert (finished.undelivered, receiver.received) == (0, [])


class TestRollback:
    def healing(self, site: Site, folder: Path, script: str) -> str:
        site.down = folder / "down"
        hook = folder / "hook"
        hook.write_text(f"#!/bin/sh\n{script}\n")
        hook.chmod(0o755)

        return watching(
            site.url,
            "services: {site: {rollback: {mode: automatic, verify: {within: 10s}, "
            f"steps: [{{command: [{hook}]}}]}}}}}}\n",
        )

    async def break_it(self, monitor: Monitor, site: Site) -> None:
        await go(monitor)
        await announce_deploy(DeployMarker(service="site", version="2.0"), monitor.desk)
        assert site.down is not None
        site.down.touch()

    def states(self, monitor: Monitor) -> list[RollbackState]:
        return [one.state for one in monitor.engine.situation.rollbacks.values()]

    async def test_it_is_carried_out_and_verified_before_the_run_ends(
        self, site: Site, tmp_path: Path
    ) -> None:
        text = self.healing(site, tmp_path, f"sleep 0.3; rm {tmp_path}/down")
        async with running(tmp_path, text, oneshot=True) as monitor:
            await self.break_it(monitor, site)
            finished = await go(monitor)

            assert self.states(monitor) == [RollbackState.RECOVERED]
        assert finished.verdict is Outcome.FAIL, "the verdict is that of the last round"
        assert finished.cycles == 1

    async def test_an_interruption_does_not_wait_for_its_end(
        self, site: Site, tmp_path: Path
    ) -> None:
        stop = asyncio.Event()
        text = self.healing(site, tmp_path, "true")
        async with running(tmp_path, text, oneshot=True) as monitor:
            await self.break_it(monitor, site)
            run = asyncio.create_task(go(monitor, stop=stop))
            await until(lambda: RollbackState.VERIFYING in self.states(monitor))
            stop.set()
            finished = await run

            assert self.states(monitor) == [RollbackState.VERIFYING]
        assert finished.interrupted

    async def test_without_hooks_none_is_decided(self, site: Site, tmp_path: Path) -> None:
        text = self.healing(site, tmp_path, f"rm {tmp_path}/down")
        async with running(tmp_path, text, oneshot=True, hooks=False) as monitor:
            await self.break_it(monitor, site)
            await go(monitor)

            assert self.states(monitor) == []

    async def test_one_that_nothing_can_verify_any_more_is_not_waited_for(
        self, site: Site, tmp_path: Path
    ) -> None:
        left: Any = a_rollback(state=RollbackState.VERIFYING, triggers=("gone.health",))
        async with running(tmp_path, watching(site.url), oneshot=True) as monitor:
            monitor.engine.situation.apply(Changes(rollbacks=(left,)))
            finished = await go(monitor)

        assert finished.cycles == 1

    async def test_a_hook_that_takes_longer_than_the_proof_may_is_waited_for(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rounds_module, "HELD_GRACE", timedelta(seconds=-8.5))  # of 10 s
        text = self.healing(site, tmp_path, f"sleep 3; rm {tmp_path}/down")
        async with running(tmp_path, text, oneshot=True) as monitor:
            await self.break_it(monitor, site)
            await go(monitor)

            assert self.states(monitor) == [RollbackState.RECOVERED]

    async def test_one_that_is_held_half_way_is_left_for_the_next_run(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rounds_module, "HELD_GRACE", timedelta(milliseconds=200))
        left: Any = a_rollback(
            state=RollbackState.EXECUTING,
            triggers=("site.health",),
            verify_within=timedelta(milliseconds=100),
        )
        async with running(tmp_path, watching(site.url), oneshot=True) as monitor:
            await monitor.actuator.stop(timedelta())  # as if the store held it back for ever
            monitor.engine.situation.apply(Changes(rollbacks=(left,)))
            async with asyncio.timeout(10):
                finished = await go(monitor)

            assert self.states(monitor) == [RollbackState.EXECUTING]
        assert finished.cycles == 1
