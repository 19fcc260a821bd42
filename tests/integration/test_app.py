"""The whole monitor in one process: it starts, takes over what changes, and ends in good order."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from monitor import chores, plugins
from monitor.app import Monitor, RunOptions
from monitor.core.model.rollback import RollbackState
from monitor.core.model.verdict import Outcome
from monitor.daemon import control_path, run_daemon
from monitor.operations import DeployMarker, announce_deploy
from monitor.store import StoreError, StoreHeld
from monitor.web.server import ListenError
from tests.support.receiver import serve_receiver
from tests.support.running import NOON, Clock, build, loader, page_of, running, write
from tests.support.servers import (
    answers_page,
    page,
    say_nothing,
    serve_pages,
    serve_script,
    unused_port,
)
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from monitor.config import Compiled
    from tests.support.servers import Counterpart

FAST = "defaults: {every: 200ms, retry_every: 100ms, timeout: 150ms}\n"
SLOW = "defaults: {every: 1h, timeout: 20s}\n"


@pytest.fixture
async def shop() -> AsyncIterator[Counterpart]:
    async with serve_script(answers_page()) as counterpart:
        yield counterpart


def watching(url: str, *, head: str = FAST, more: str = "") -> str:
    return f"{head}web: {{listen: '127.0.0.1:{unused_port()}'}}\nendpoints:\n  shop: {url}\n{more}"


def events(log: list[Any]) -> list[str]:
    return [one["event"] for one in log]


def see_switch(monitor: Monitor) -> tuple[str | None, str]:
    """Give what the status and the metrics say of the kill switch."""
    page = page_of(monitor).decode()
    (value,) = [
        line.split()[1]
        for line in page.splitlines()
        if line.startswith("production_monitor_rollbacks_off ")
    ]

    return monitor.status()["rollbacks_off"], value


class TestStarting:
    async def test_it_is_ready_after_the_first_round_and_stays_so(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        async with running(tmp_path, watching(shop.url())) as monitor:
            assert not monitor.ready
            await until(lambda: monitor.ready)

            async with serve_script(say_nothing) as mute:
                slow = f"  slow: {{url: '{mute.url()}', timeout: 20s, every: 1h}}\n"
                write(tmp_path, watching(shop.url(), more=slow))
                assert (await monitor.reload()).problems == ()
                await until(lambda: mute.connections)

                assert "slow" not in monitor.engine.latest
                assert monitor.ready, "a new endpoint does not take it back"

    async def test_an_endpoint_that_was_removed_before_its_first_probe_keeps_nobody_waiting(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        async with serve_script(say_nothing) as mute:
            slow = f"  slow: {{url: '{mute.url()}', timeout: 20s, every: 1h}}\n"
            text = watching(shop.url(), more=slow)
            async with running(tmp_path, text) as monitor:
                await until(lambda: "shop" in monitor.engine.latest)
                assert not monitor.ready

                write(tmp_path, watching(shop.url()))
                await monitor.reload()

                assert monitor.ready

    async def test_only_what_is_selected_is_probed(self, shop: Counterpart, tmp_path: Path) -> None:
        text = watching(shop.url(), more="  other: http://127.0.0.1:9/\n")
        async with running(
            tmp_path, text, selected=lambda endpoint: endpoint.name == "shop"
        ) as monitor:
            await until(lambda: monitor.ready)

            assert monitor.engine.latest.keys() == {"shop"}

    async def test_a_store_that_is_held_is_not_touched(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        async with running(tmp_path, watching(shop.url())):
            with pytest.raises(StoreHeld, match="a test"):
                await build(tmp_path, watching(shop.url()))

    async def test_a_start_that_breaks_half_way_lets_go_of_the_store(
        self, shop: Counterpart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_args: object, **_kw: object) -> None:
            raise OSError("no such plug-in")

        monkeypatch.setattr(plugins, "make_plugins", broken)
        with pytest.raises(OSError, match="no such plug-in"):
            await build(tmp_path, watching(shop.url()))

        monkeypatch.undo()
        await (await build(tmp_path, watching(shop.url()))).close()

    async def test_a_corrupt_store_is_set_aside_and_people_are_told(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        folder = tmp_path / ".production-monitor"
        folder.mkdir()
        (folder / "monitor.db").write_bytes(b"no database at all" * 1000)
        async with (
            serve_receiver() as receiver,
            running(
                tmp_path,
                watching(
                    shop.url(),
                    more=f"notifiers: {{ops: {{webhook: {{url: '{receiver.url()}'}}}}}}\n",
                ),
            ),
        ):
            (told, *_) = await receiver.wait_for(1)

        assert "corrupt" in told.json["text"]

    async def test_without_state_nothing_is_written(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        async with running(tmp_path, watching(shop.url()), state=False) as monitor:
            await until(lambda: monitor.ready)

        assert [one.name for one in tmp_path.iterdir()] == ["monitor.yml"]

    async def test_without_notifiers_nothing_is_queued(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        text = watching("http://127.0.0.1:9/", more="notifiers: {ops: {log: {}}}\n")
        async with running(tmp_path, text, notify=False) as monitor:
            await until(monitor.engine.situation.open_incidents)

            assert not monitor.engine.situation.deliveries
            assert (await monitor.reload()).problems == ()
            assert monitor.compiled.notifiers == {}

    async def test_windows_go_on_where_the_last_process_left_them(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        rule = "{p95: {lt: 100ms, window: 1h}}"
        text = watching(f"{{url: '{shop.url()}', latency: {rule}}}")

        def samples(monitor: Monitor) -> int:
            return (monitor.engine.waiting(monitor.engine.checks["shop.latency.p95"]) or (0,))[0]

        async with running(tmp_path, text) as monitor:
            await until(lambda: samples(monitor) >= 2)
        again = await build(tmp_path, text)
        await again.close()

        assert samples(again) >= 2


class TestReloading:
    async def test_unchanged_plug_ins_stay_the_same_objects(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        text = watching(shop.url(), head=SLOW, more="notifiers: {ops: {log: {}}}\n")
        async with running(tmp_path, text) as monitor:
            before = dict(monitor.pipeline.probes), monitor.pipeline.witnesses
            write(tmp_path, text + "retention: 9d\n")

            assert (await monitor.reload()).problems == ()

            assert dict(monitor.pipeline.probes) == before[0]
            assert monitor.pipeline.witnesses is before[1]
            assert monitor.compiled.retention == timedelta(days=9)

    async def test_changed_plug_ins_are_replaced_and_the_old_ones_closed(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        hook = "services: {shop: {rollback: {mode: automatic, steps: [{command: [/bin/true]}]}}}\n"
        more = f"notifiers: {{ops: {{log: {{}}}}}}\n{hook}witnesses: [{{tcp: '127.0.0.1:9'}}]\n"
        async with serve_receiver() as receiver:
            text = watching(shop.url(), more=more)
            async with running(tmp_path, text) as monitor:
                await until(lambda: monitor.ready)
                old = monitor.pipeline.probes["shop"], monitor.pipeline.witnesses
                write(
                    tmp_path,
                    text.replace("timeout: 150ms", "timeout: 140ms")
                    .replace("log: {}", f"webhook: {{url: '{receiver.url()}'}}")
                    .replace("/bin/true", "/bin/echo")
                    .replace("127.0.0.1:9'", "127.0.0.1:8'")
                    .replace(shop.url(), "http://127.0.0.1:9/"),
                )

                assert (await monitor.reload()).problems == ()
                new = monitor.pipeline.probes["shop"], monitor.pipeline.witnesses
                await receiver.wait_for(1)

                assert old[0] is not new[0]
                assert old[1] is not new[1]
                assert receiver.received[0].json["event"] == "opened"

    async def test_a_reload_while_a_probe_runs_drops_the_answer_to_the_old_question(
        self, tmp_path: Path
    ) -> None:
        async with serve_script(say_nothing) as mute, serve_pages({"/": page()}) as fine:
            text = watching(mute.url(), head="defaults: {every: 1h, timeout: 1s}\n")
            async with running(tmp_path, text) as monitor:
                await until(lambda: mute.connections)
                write(
                    tmp_path,
                    text.replace(mute.url(), fine.url())
                    .replace("1h", "300ms", 1)
                    .replace("timeout: 1s", "timeout: 200ms"),
                )
                assert (await monitor.reload()).problems == ()
                await until(lambda: monitor.ready)

                assert monitor.engine.latest["shop"].observation.fault is None
                assert monitor.engine.situation.states["shop.health"].consecutive_failures == 0

    async def test_a_mistake_changes_nothing_and_is_told_in_full(
        self, shop: Counterpart, tmp_path: Path, log: list[Any]
    ) -> None:
        async with running(tmp_path, watching(shop.url(), head=SLOW)) as monitor:
            before = monitor.compiled, dict(monitor.pipeline.probes)
            write(tmp_path, "endpoints: {a: {url: 5}, b: {evry: 1}}\n")

            problems = (await monitor.reload()).problems

            assert len(problems) >= 2
            assert all(problem.startswith("monitor.yml:1:") for problem in problems)
            assert (monitor.compiled, dict(monitor.pipeline.probes)) == before
            assert "reload_refused" in events(log)

    async def test_what_cannot_be_set_up_changes_nothing_either(
        self, shop: Counterpart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = watching(shop.url(), head=SLOW)
        async with running(tmp_path, text) as monitor:
            before = monitor.compiled

            def broken(*_args: object, **_kw: object) -> None:
                raise OSError("the file of the authority is gone")

            monkeypatch.setattr(plugins, "make_probe", broken)
            write(tmp_path, text.replace("timeout: 20s", "timeout: 19s"))
            problems = (await monitor.reload()).problems

            assert problems == (
                "what is configured cannot be set up: the file of the authority is gone",
            )
            assert monitor.compiled is before

    async def test_what_needs_a_restart_is_said(
        self, shop: Counterpart, tmp_path: Path, log: list[Any]
    ) -> None:
        async with running(tmp_path, watching(shop.url(), head=SLOW)) as monitor:
            write(tmp_path, f"store: sqlite:///other.db\n{watching(shop.url(), head=SLOW)}")
            await monitor.reload()

        keys = [one["key"] for one in log if one["event"] == "change_needs_a_restart"]
        assert keys == ["store", "web.listen"]

    async def test_secrets_that_are_new_are_masked_from_then_on(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        text = watching(shop.url(), head=SLOW)
        (tmp_path / "token").write_text("a-new-secret")
        async with running(tmp_path, text) as monitor:
            hook = (
                "notifiers: {ops: {webhook: {url: 'http://127.0.0.1:9/', secret: '${file:token}'}}}"
            )
            write(tmp_path, f"{text}{hook}\n")
            assert (await monitor.reload()).problems == ()

            assert monitor.redactor.mask("it said a-new-secret") == "it said ***"

    async def test_a_monitor_that_ends_takes_nothing_over(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        monitor = await build(tmp_path, watching(shop.url(), head=SLOW))
        await monitor.start()
        await monitor.close()

        assert (await monitor.reload()).problems == ("the monitor is stopping",)


class TestEnding:
    async def test_a_probe_that_hangs_has_its_grace_and_then_no_verdict(
        self, tmp_path: Path
    ) -> None:
        async with serve_script(say_nothing) as mute:
            monitor = await build(tmp_path, watching(mute.url(), head=SLOW))
            await monitor.start()
            await until(lambda: mute.connections)
            await monitor.close(timedelta(milliseconds=50))

        assert "shop" not in monitor.engine.latest
        assert not monitor.engine.situation.states

    async def test_a_hurry_cuts_the_grace_short(self, tmp_path: Path) -> None:
        hurry = asyncio.Event()
        async with serve_script(say_nothing) as mute:
            monitor = await build(tmp_path, watching(mute.url(), head=SLOW))
            await monitor.start()
            await until(lambda: mute.connections)
            closing = asyncio.create_task(monitor.close(timedelta(hours=1), hurry))
            await asyncio.sleep(0.05)
            assert not closing.done()
            hurry.set()

            async with asyncio.timeout(10):
                await closing

        assert "shop" not in monitor.engine.latest

    async def test_everything_counted_is_in_the_store(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        clock = Clock()
        text = watching(shop.url(), head=SLOW)
        async with running(tmp_path, text, clock=clock) as monitor:
            await until(lambda: monitor.ready)
        after = await build(tmp_path, text, clock=clock)

        assert after.engine.situation.states["shop.health"].last_outcome is Outcome.PASS
        await after.close()

    async def test_a_store_that_fails_to_the_end_is_said_and_let_go(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        monitor = await build(tmp_path, watching(shop.url(), head=SLOW))
        await monitor.start()

        async def full(_changes: object) -> None:
            raise StoreError("disk full")

        monitor.journal._commit = full
        await until(lambda: monitor.ready)
        with pytest.raises(StoreError, match="disk full"):
            await monitor.close()

        await (await build(tmp_path, watching(shop.url()))).close()

    async def test_a_part_that_crashes_is_noticed_and_logged(
        self, shop: Counterpart, tmp_path: Path, log: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chores, "TICK", timedelta(milliseconds=10))
        async with running(tmp_path, watching(shop.url(), head=SLOW)) as monitor:

            def broken(_now: object) -> None:
                raise RuntimeError("a bug")

            monkeypatch.setattr(monitor.engine, "tick", broken)
            async with asyncio.timeout(5):
                await monitor.crashed.wait()

        assert ("task_crashed", "chores") in [(one["event"], one.get("task")) for one in log]


class TestLiving:
    async def test_a_store_that_fails_is_told_from_memory_and_that_it_works_again(
        self, shop: Counterpart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chores, "TICK", timedelta(milliseconds=20))
        async with serve_receiver() as receiver:
            text = watching(
                shop.url(), more=f"notifiers: {{ops: {{webhook: {{url: '{receiver.url()}'}}}}}}\n"
            )
            async with running(tmp_path, text) as monitor:
                commit = monitor.journal._commit

                async def full(_changes: object) -> None:
                    raise StoreError("disk full")

                monitor.journal._commit = full
                await receiver.wait_for(1)
                assert monitor.journal.error is not None
                assert b"production_monitor_store_works 0.0" in page_of(monitor)
                monitor.journal._commit = commit
                await receiver.wait_for(2)

                assert monitor.store_works

        assert [one.json["event"] for one in receiver.received] == ["blind", "resolved"]
        assert "disk full" in receiver.received[0].json["text"]

    async def test_old_results_are_forgotten_and_a_failure_of_that_harms_nobody(
        self, shop: Counterpart, tmp_path: Path, log: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(datetime.now(UTC))
        text = f"retention: 1d\n{watching(shop.url(), head=SLOW)}"
        async with running(tmp_path, text, clock=clock) as monitor:
            await until(lambda: monitor.ready)
            for number in range(30):
                await announce_deploy(
                    DeployMarker(service="shop", version=f"{number}.0"), monitor.desk
                )
                clock.later(minutes=20)
            await monitor.journal.flush()
            clock.later(days=3)
            await monitor.chores.prune()
            assert await monitor._store.results(None, NOON, 10) == []
            assert len(monitor.engine.situation.deploys) == 20

            async def broken(*_args: object) -> int:
                raise sqlite3.OperationalError("database is locked")

            monkeypatch.setattr(monitor._store, "prune", broken)
            await monitor.chores.prune()

        assert "pruned" in events(log)
        assert "pruning_failed" in events(log)

    async def test_a_rollback_goes_its_way_and_is_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chores, "TICK", timedelta(milliseconds=20))
        down = tmp_path / "down"
        hook = tmp_path / "hook"
        hook.write_text(f"#!/bin/sh\nrm -f {down}\n")
        hook.chmod(0o755)

        async def answer(_request: object) -> Any:
            from aiohttp import web

            return web.Response(status=500 if down.exists() else 200)

        async with serve_pages({"/": answer}) as shop:
            text = watching(
                shop.url(),
                more="services: {shop: {rollback: {mode: automatic, verify: {within: 5s}, "
                f"steps: [{{command: [{hook}]}}]}}}}}}\n",
            )
            async with running(tmp_path, text) as monitor:
                await until(
                    lambda: (
                        "shop.health" in monitor.engine.situation.states
                        and monitor.engine.situation.states["shop.health"].state is Outcome.PASS
                    )
                )
                await announce_deploy(DeployMarker(service="shop", version="2.0"), monitor.desk)
                down.touch()
                await until(
                    lambda: any(
                        one.state is RollbackState.RECOVERED
                        for one in monitor.engine.situation.rollbacks.values()
                    )
                )
                page = page_of(monitor).decode()

        assert 'production_monitor_rollbacks_total{outcome="recovered",service="shop"} 1.0' in page
        assert 'production_monitor_last_deploy_timestamp_seconds{service="shop"}' in page

    async def test_the_file_beside_the_store_is_the_kill_switch(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        async with running(tmp_path, watching(shop.url(), head=SLOW)) as monitor:
            assert not monitor._conditions().kill_switch
            (tmp_path / ".production-monitor/rollbacks-off").touch()

            assert monitor._conditions().kill_switch

    async def test_people_see_that_rollbacks_are_switched_off(
        self, shop: Counterpart, tmp_path: Path, log: list[Any]
    ) -> None:
        switch = tmp_path / ".production-monitor/rollbacks-off"
        async with running(tmp_path, watching(shop.url(), head=SLOW)) as monitor:
            seen = [see_switch(monitor)]
            switch.touch()
            await until(lambda: "rollbacks_switched_off" in events(log))
            seen.append(see_switch(monitor))
            switch.unlink()
            await until(lambda: "rollbacks_switched_on" in events(log))
            seen.append(see_switch(monitor))

        assert seen == [(None, "0.0"), (str(switch), "1.0"), (None, "0.0")]
        turns = [(one["event"], one["file"]) for one in log if "switched" in one["event"]]
        assert turns == [
            ("rollbacks_switched_off", str(switch)),
            ("rollbacks_switched_on", str(switch)),
        ]


class TestDaemon:
    """`run_daemon` in this process, which gets real signals."""

    async def daemon(
        self,
        folder: Path,
        text: str,
        *,
        environ: dict[str, str] | None = None,
        load: Callable[[], Compiled] | None = None,
        **options: Any,
    ) -> tuple[asyncio.Task[bool], Monitor]:
        write(folder, text)
        built: list[Monitor] = []
        task = asyncio.create_task(
            run_daemon(
                load or loader(folder),
                RunOptions(holder="a test", **options),
                environ=environ or {},
                on_built=built.append,
            )
        )
        await until(lambda: task.done() or (built and built[0].ready))
        if task.done():
            await task

        return task, built[0]

    async def test_a_signal_ends_it_in_good_order(
        self, shop: Counterpart, tmp_path: Path, log: list[Any]
    ) -> None:
        task, _ = await self.daemon(tmp_path, watching(shop.url()))
        assert (tmp_path / ".production-monitor/control.sock").is_socket()

        signal.raise_signal(signal.SIGTERM)

        assert await task is True
        assert [one for one in events(log) if one in ("started", "stopping", "stopped")] == [
            "started",
            "stopping",
            "stopped",
        ]
        assert not (tmp_path / ".production-monitor/control.sock").exists()

    async def test_a_part_that_broke_ends_it_and_says_so(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        task, monitor = await self.daemon(tmp_path, watching(shop.url()))

        monitor.crashed.set()

        assert await task is False

    async def test_signals_during_the_end_neither_kill_nor_reload_it(
        self, tmp_path: Path, log: list[Any]
    ) -> None:
        async with serve_script(say_nothing) as mute:
            write(tmp_path, watching(mute.url(), head=SLOW))
            task = asyncio.create_task(
                run_daemon(loader(tmp_path), RunOptions(holder="a test"), environ={})
            )
            await until(lambda: mute.connections)
            signal.raise_signal(signal.SIGTERM)
            await until(lambda: "stopping" in events(log))
            signal.raise_signal(signal.SIGHUP)
            await asyncio.sleep(0.1)
            assert not task.done(), "the probe has its grace"

            signal.raise_signal(signal.SIGINT)

            async with asyncio.timeout(8):
                assert await task is True
        assert "reloaded" not in events(log)

    async def test_signals_during_the_start_are_heard_after_it(
        self, shop: Counterpart, tmp_path: Path, log: list[Any]
    ) -> None:
        write(tmp_path, watching(shop.url(), head=SLOW))

        def signalled(_monitor: Monitor) -> None:
            signal.raise_signal(signal.SIGHUP)

        task = asyncio.create_task(
            run_daemon(
                loader(tmp_path), RunOptions(holder="a test"), environ={}, on_built=signalled
            )
        )
        await until(lambda: "reloaded" in events(log))
        signal.raise_signal(signal.SIGTERM)

        assert await task is True

    async def test_a_reload_that_breaks_leaves_what_was(
        self, shop: Counterpart, tmp_path: Path, log: list[Any]
    ) -> None:
        good, bugs = loader(tmp_path), [None, RuntimeError("a bug"), None]

        def broken_once() -> Compiled:
            if bug := bugs.pop(0):
                raise bug
            return good()

        task, _ = await self.daemon(tmp_path, watching(shop.url()), load=broken_once)
        signal.raise_signal(signal.SIGHUP)
        await until(lambda: "reload_broke" in events(log))
        signal.raise_signal(signal.SIGHUP)
        await until(lambda: "reloaded" in events(log))
        signal.raise_signal(signal.SIGTERM)

        assert await task is True

    async def test_a_port_that_is_taken_leaves_no_lock_and_no_socket(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        text = f"web: {{listen: '127.0.0.1:{shop.port}'}}\nendpoints: {{shop: '{shop.url()}'}}\n"

        with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{shop.port}: .*in use"):
            await self.daemon(tmp_path, text)

        assert not (tmp_path / ".production-monitor/control.sock").exists()
        await (await build(tmp_path, text)).close()

    async def test_a_path_that_is_too_long_for_a_socket_is_explained(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        deep = tmp_path / ("d" * 60) / ("e" * 60)
        deep.mkdir(parents=True)

        with pytest.raises(ListenError, match=r"at most 107 bytes .* set RUNTIME_DIRECTORY"):
            await self.daemon(deep, watching(shop.url()))

        task, _ = await self.daemon(
            deep, watching(shop.url()), environ={"RUNTIME_DIRECTORY": str(tmp_path)}
        )
        assert (tmp_path / "control.sock").is_socket()
        signal.raise_signal(signal.SIGTERM)
        assert await task

    async def test_another_monitor_keeps_its_control_socket(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        path = tmp_path / "control.sock"
        async with await asyncio.start_unix_server(lambda _reader, writer: writer.close(), path):
            with pytest.raises(ListenError, match="another monitor answers"):
                await self.daemon(
                    tmp_path, watching(shop.url()), environ={"RUNTIME_DIRECTORY": str(tmp_path)}
                )

            assert path.is_socket()

    async def test_what_is_no_socket_is_not_removed(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        (tmp_path / "control.sock").write_text("precious")

        with pytest.raises(ListenError, match="expected no file or an old socket there"):
            await self.daemon(
                tmp_path, watching(shop.url()), environ={"RUNTIME_DIRECTORY": str(tmp_path)}
            )

        assert (tmp_path / "control.sock").read_text() == "precious"

    async def test_a_folder_that_is_missing_is_said(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        with pytest.raises(ListenError, match=r"cannot open the control socket: .*no such file"):
            await self.daemon(
                tmp_path, watching(shop.url()), environ={"RUNTIME_DIRECTORY": f"{tmp_path}/none"}
            )

    async def test_a_socket_that_a_crash_left_behind_is_replaced(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / "control.sock"))

        task, _ = await self.daemon(
            tmp_path, watching(shop.url()), environ={"RUNTIME_DIRECTORY": str(tmp_path)}
        )
        reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
        writer.write(b"GET /-/healthy HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        signal.raise_signal(signal.SIGTERM)

        assert await task is True
        assert b" 200 OK" in answer

    async def test_without_state_there_is_no_control_socket_and_no_folder(
        self, shop: Counterpart, tmp_path: Path
    ) -> None:
        task, _ = await self.daemon(tmp_path, watching(shop.url()), state=False)

        assert [one.name for one in tmp_path.iterdir()] == ["monitor.yml"]
        signal.raise_signal(signal.SIGTERM)
        assert await task

    async def test_systemd_that_does_not_listen_is_no_reason_to_stop(
        self, shop: Counterpart, tmp_path: Path, log: list[Any]
    ) -> None:
        task, _ = await self.daemon(
            tmp_path, watching(shop.url()), environ={"NOTIFY_SOCKET": "@nobody-listens-here"}
        )
        signal.raise_signal(signal.SIGTERM)

        assert await task is True
        assert "notify_failed" in events(log)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({}, "/var/lib/it/control.sock"),
        ({"RUNTIME_DIRECTORY": ""}, "/var/lib/it/control.sock"),
        ({"RUNTIME_DIRECTORY": "/run/it"}, "/run/it/control.sock"),
        ({"RUNTIME_DIRECTORY": "/run/it:/run/other"}, "/run/it/control.sock"),
    ],
)
def test_the_control_socket_is_where_systemd_says_else_beside_the_store(
    environ: dict[str, str], path: str
) -> None:
    from pathlib import Path

    assert control_path(Path("/var/lib/it/monitor.db"), environ) == Path(path)
